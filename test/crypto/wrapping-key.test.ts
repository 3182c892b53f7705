import { describe, expect, it } from "vitest";
import { concat, fromHex, toBase64 } from "../../src/bytes.js";
import { HASHES } from "../../src/crypto/hashes.js";
import { parseWrappingKey, unwrapAesKey, WrappingKey } from "../../src/crypto/wrapping-key.js";
import { cryptBody, unwrapContentKey } from "../../src/mcuboot/encryption.js";
import { encodeHeader, IMAGE_F } from "../../src/mcuboot/header.js";
import { buildTlvArea, TLV, TLV_INFO_MAGIC } from "../../src/mcuboot/tlv.js";
import { verifyImage } from "../../src/mcuboot/verify.js";

/** RFC 3394, section 4: those whose keys images can have. */
const RFC_3394 = [
  {
    name: "4.1: 128 bits with 128",
    kek: "000102030405060708090a0b0c0d0e0f",
    wrapped: "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
    key: "00112233445566778899aabbccddeeff",
  },
  {
    name: "4.3: 128 bits with 256",
    kek: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    wrapped: "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7",
    key: "00112233445566778899aabbccddeeff",
  },
  {
    name: "4.6: 256 bits with 256",
    kek: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    wrapped: "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
    key: "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
  },
];

describe("RFC 3394", () => {
  it.each(RFC_3394)("$name", async ({ kek, wrapped, key }) => {
    const wrapping = new WrappingKey(fromHex(kek));
    expect(await unwrapAesKey(fromHex(wrapped), wrapping)).toEqual(fromHex(key));
    expect(await unwrapContentKey({ tlvs: [tlv(wrapped)] }, wrapping)).toEqual(fromHex(key));
  });

  it.each(RFC_3394)("$name: any bit changed", async ({ kek, wrapped }) => {
    const wrapping = new WrappingKey(fromHex(kek));
    for (let at = 0; at < wrapped.length / 2; at++) {
      const bytes = fromHex(wrapped);
      bytes[at]! ^= 0x40;
      expect(await unwrapAesKey(bytes, wrapping)).toBeUndefined();
    }
  });

  it.each([0, 8, 16, 23, 25, 48, 65535])("a TLV of %i bytes", async (length) => {
    const wrapping = new WrappingKey(fromHex(RFC_3394[0]!.kek));
    const attempt = unwrapContentKey({ tlvs: [{ ...tlv(""), value: new Uint8Array(length) }] }, wrapping);
    await expect(attempt).rejects.toMatchObject({ code: "wrong-decryption-key" });
  });
});

function tlv(hex: string) {
  return { type: TLV.ENC_KW, value: fromHex(hex), protected: false, offset: 0 };
}

describe("an image whose content key is wrapped with AES", () => {
  const { kek, wrapped, key } = RFC_3394[0]!;
  const body = Uint8Array.from({ length: 64 }, (_, index) => index);

  async function image(): Promise<Uint8Array> {
    const header = encodeHeader({
      loadAddress: 0,
      headerSize: 32,
      protectedSize: 0,
      bodySize: 64,
      flags: IMAGE_F.ENCRYPTED_AES128,
      version: { major: 1, minor: 0, revision: 0, build: 0 },
      pad: 0,
    });
    const hash = HASHES.sha256.digest(concat(header, body));
    const tlvs = [
      { type: TLV.SHA256, value: hash },
      { type: TLV.ENC_KW, value: fromHex(wrapped) },
    ];
    return concat(header, await cryptBody(fromHex(key), body), buildTlvArea(TLV_INFO_MAGIC, tlvs, "little"));
  }

  it("is checked with that key, given raw or as MCUboot's key files have it", async () => {
    for (const file of [fromHex(kek), new TextEncoder().encode(`${toBase64(fromHex(kek))}\n`)]) {
      const { checks } = await verifyImage(await image(), { decryptionKey: parseWrappingKey(file) });
      expect(checks.find(({ name }) => name === "hash")?.result).toBe("pass");
    }
  });

  it("not with another", async () => {
    const { result, checks } = await verifyImage(await image(), {
      decryptionKey: new WrappingKey(new Uint8Array(16)),
    });
    expect(result).toBe("bad");
    expect(checks.find(({ name }) => name === "hash")?.result).toBe("not-checked");
  });

  it("shows nothing of itself", () => {
    const wrapping = new WrappingKey(fromHex(kek));
    expect(JSON.stringify(wrapping)).toBe('{"type":"aes-128-kw"}');
    expect(Object.values(wrapping)).toEqual([128]);
  });

  it.each([
    ["unsupported-key", new Uint8Array(0)],
    ["not-a-key", new Uint8Array(15).fill(0x21)],
    ["unsupported-key", new TextEncoder().encode(toBase64(new Uint8Array(24)))],
  ])("%s", (code, file) => expect(() => parseWrappingKey(file)).toThrow(expect.objectContaining({ code })));
});
