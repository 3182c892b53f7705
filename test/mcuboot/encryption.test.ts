import {
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  privateDecrypt,
  timingSafeEqual,
} from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat, fromHex, toHex } from "../../src/bytes.js";
import { SIGNATURE_ALGORITHMS } from "../../src/crypto/algorithms.js";
import { generateKey, type Key, keyFromSecret, publicRawOf, toPem } from "../../src/crypto/keys.js";
import { cryptBody, decryptRange, unwrapContentKey, wrapContentKey } from "../../src/mcuboot/encryption.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { signingPlan } from "../../src/mcuboot/signing-plan.js";
import { reservedTrailerSize } from "../../src/mcuboot/slot-padding.js";
import { TLV, tlvName } from "../../src/mcuboot/tlv.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";

const keys = await throwAwayKeys();
const COMMON: SignOptions = { version: "1.2.3+4", headerSize: 32, padHeader: true, slotSize: 0x2000 };

/** ECIES by hand, step by step with known results; plaintext 00 .. 3f; MCUboot's published test keys. */
const KNOWN = [
  {
    name: "P-256",
    key: keyFromSecret(
      "ecdsa-p256",
      fromHex("f61e519df8fadda1b7d9a964643b54d03dd01fe578d91798a528cacc6b679e06"),
    ),
    type: TLV.ENC_EC256,
    value:
      "04611468cbf0b69235553650706ed5b7b33fe80e19147702e23376bed41e5310303c8c9d88b65d0b83587b2a6abce366cf54333f1c258bce7b2fe2ec5a52a136a8549179a294d11d5bfd9215cb160a02edf5169f4ba80cb766811c55dc755f28c3d164300bfe7113f255328ea7d881ed8d",
    contentKey: "234130bde2ad5fb018e6f96c229b25c8",
    body: "3e70524d7cad23dc1e0335f9bc278fd0a46cba8a0a774d304adc265c31cffd992f11a3a8610e70ac83fa8d4077b05a735ff53904b960d694623232d7f0efde60",
  },
  {
    name: "X25519",
    key: keyFromSecret("x25519", fromHex("28802fefef829550f14193036c1bb9496c51e526878f7707f8b41f04456d844f")),
    type: TLV.ENC_X25519,
    value:
      "78b55b2d2c881d6432545d060d59d73ded5af4a2fcec5c29ad50ff02196599644fcada3160fc7e2d8f1d8f0c1c4ac84f2358fbeabaa939e9ac0bdf943ad8e8015403cb49128129363af7cfd3cf249cd3",
    contentKey: "269f7479c2322afe27fa7e1a67266405",
    body: "6c3054b58927b9c3f643e9846ec75e6886c08b43f28639d581c69bc232c358e01a79dade33e406b810fda9e9b9e13361138f128d6bd2529604fa8d89ac00bbab",
  },
  {
    name: "X25519 with SHA-512",
    key: keyFromSecret("x25519", fromHex("28802fefef829550f14193036c1bb9496c51e526878f7707f8b41f04456d844f")),
    type: TLV.ENC_X25519_SHA512,
    value:
      "60503086acf1231d9616205d29c00472ea19307eeeb6817fa4a8aa8c3a33542ad6795c5ab4dcdd0e10a7ea1a9ba44a217824bd8f253f1a3351a192ef685e440d9130054e7d974269207974b5bf90b343d70b32d0059becd657fe7f742ff02d71374f28b1bf595921cdeab14021286553",
    contentKey: "71210ddc8c5ec5663304b0991a393cdc",
    body: "427cddf001f21422d1d23586540518c03a6ea1e6a79d042c458dfb44a5fe738d52d45ffe790a6449d9b8a66928a08f08202901beca60dbc8addfc4caf4ef633a",
  },
] as const;

describe("known content keys", () => {
  it.each(KNOWN)("$name", async ({ key, type, value, contentKey, body }) => {
    const tlv = { type, value: fromHex(value), protected: false, offset: 0 };
    const unwrapped = await unwrapContentKey({ tlvs: [tlv] }, key);
    expect(toHex(unwrapped)).toBe(contentKey);
    expect(toHex(await cryptBody(unwrapped, fromHex(body)))).toBe(toHex(payload("p64")));
  });

  it.each(KNOWN)("$name: each changed bit of the wrapped key is noticed", async ({ key, type, value }) => {
    const bytes = fromHex(value);
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = bytes.slice();
      changed[at]! ^= 0x10;
      const tlv = { type, value: changed, protected: false, offset: 0 };
      await expect(unwrapContentKey({ tlvs: [tlv] }, key)).rejects.toMatchObject({
        code: "wrong-decryption-key",
      });
    }
    for (const length of [0, 31, 64, 79, bytes.length - 1]) {
      const tlv = { type, value: bytes.subarray(0, length), protected: false, offset: 0 };
      await expect(unwrapContentKey({ tlvs: [tlv] }, key)).rejects.toMatchObject({
        code: "wrong-decryption-key",
      });
    }
  });
});

describe("images encrypted by imgtool", () => {
  const { made_by, images } = JSON.parse(vectorFile("imgtool-encrypted.json")) as {
    made_by: string;
    images: [source: string, key: "rsa-2048" | "ecdsa-p256" | "x25519", options: string[], hex: string][];
  };

  it.each(images)(`${made_by}: %s for %s %j`, async (source, type, options, hex) => {
    const bytes = fromHex(hex);
    const decryptionKey = keys[type];
    const signed = options.includes("-k");
    const verdict = await verifyImage(bytes, { decryptionKey, ...(signed && { keys: [keys.ed25519] }) });
    expect(verdict).toMatchObject({ result: signed ? "good" : "signature-not-checked" });
    const decisive = ["flags", "decryption", "hash"];
    expect(
      verdict.checks.filter(({ name }) => decisive.includes(name)).map(({ name, result }) => [name, result]),
    ).toEqual(decisive.map((name) => [name, "pass"]));
    if (!options.includes("--clear")) {
      const range = await decryptRange(parseImage(bytes), decryptionKey);
      const { headerSize } = parseImage(bytes).header;
      expect(toHex(range).slice(headerSize * 2)).toMatch(new RegExp(`^${toHex(payload(source))}`));
      const closed = await verifyImage(bytes, signed ? { keys: [keys.ed25519] } : {});
      // The signature is over the digest that the image states: it needs no key that decrypts.
      expect(closed.result).toBe(signed ? "digest-not-checked" : "signature-not-checked");
      if (signed) await expectTurnedBitsToFail(bytes);
      const wrong = await verifyImage(bytes, { decryptionKey: await generateKey(type) });
      expect(wrong.result).toBe("bad");
    }
  });
});

describe("images encrypted here", () => {
  const cases = [
    ["rsa-2048", { keyLength: 128 }],
    ["rsa-2048", { keyLength: 256 }],
    ["ecdsa-p256", { keyLength: 128 }],
    ["ecdsa-p256", { keyLength: 256 }],
    ["x25519", { keyLength: 128 }],
    ["x25519", { keyLength: 256, hash: "sha512" }],
  ] as const;

  it.each(cases)("%s %j: opened by OpenSSL's library", async (type, how) => {
    const encrypt = { key: keys[type].publicKey, ...how };
    const { bytes } = await signImage(payload("p1000"), { ...COMMON, key: keys.ed25519, encrypt });
    const image = parseImage(bytes);
    expect(image.encrypted).toBe(true);
    const tlv = image.tlvs.at(-1)!;
    expect(tlvName(tlv.type)).toMatch(/^ENC_/);
    const contentKey = await openElsewhere(keys[type], tlv.type, tlv.value);
    expect(contentKey.length * 8).toBe(how.keyLength);
    const cipher = createDecipheriv(`aes-${how.keyLength}-ctr`, contentKey, new Uint8Array(16));
    const plain = cipher.update(image.body);
    expect(toHex(plain.subarray(0, 1000))).toBe(toHex(payload("p1000")));
    expect((32 + plain.length) % 16).toBe(0);
    const range = concat(bytes.subarray(0, 32), plain);
    expect(toHex(image.imageHash!.value)).toBe(createHash("sha256").update(range).digest("hex"));
    expect((await verifyImage(bytes, { keys: [keys.ed25519], decryptionKey: keys[type] })).result).toBe(
      "good",
    );
  });

  it("each image has its own content key", async () => {
    const encrypt = { key: keys.x25519.publicKey };
    const make = () =>
      signImage(payload("p64"), { ...COMMON, encrypt }).then(({ bytes }) => toHex(parseImage(bytes).body));
    expect(await make()).not.toBe(await make());
  });

  it("--clear: flagged and with a content key, the body as it was", async () => {
    const encrypt = { key: keys.x25519.publicKey, clear: true };
    const { bytes } = await signImage(payload("p64"), { ...COMMON, key: keys.ed25519, encrypt });
    expect(toHex(parseImage(bytes).body)).toBe(toHex(payload("p64")));
    expect((await verifyImage(bytes, { keys: [keys.ed25519], supports: { encryption: true } })).result).toBe(
      "good",
    );
  });

  it.each([
    ["ed25519", undefined, "unsupported-encryption-key"],
    ["ecdsa-p384", undefined, "unsupported-encryption-key"],
    ["rsa-3072", undefined, "unsupported-encryption-key"],
    ["ecdsa-p256", "sha512", "unsupported-encryption-key"],
  ] as const)(
    "for a key that cannot receive it, an error instead of an image nobody can open: %s",
    async (type, hash, code) => {
      await expect(wrapContentKey(new Uint8Array(16), keys[type], hash)).rejects.toMatchObject({ code });
    },
  );

  it("signed with one family, encrypted for another: refused as in imgtool", async () => {
    const attempt = (signing: Key, encryption: Key) =>
      signImage(payload("p64"), { ...COMMON, key: signing, encrypt: { key: encryption } });
    await expect(attempt(keys["ecdsa-p256"], keys.x25519)).rejects.toMatchObject({ code: "key-mismatch" });
    await expect(attempt(keys["rsa-2048"], keys["ecdsa-p256"])).rejects.toMatchObject({
      code: "key-mismatch",
    });
    await expect(attempt(keys["rsa-3072"], keys["rsa-2048"])).resolves.toBeDefined();
    await expect(attempt(keys.ed25519, keys["ecdsa-p256"])).resolves.toBeDefined();
  });
});

describe("what is reserved for the trailer", () => {
  const encrypt = { key: keys.x25519.publicKey };
  // imgtool's own figures for a write size of 1 and 128 sectors.
  it.each([
    [8, false, 0, 464],
    [8, true, 80, 592],
    [8, true, 113, 672],
    [8, true, 256, 944],
    [16, false, 0, 496],
    [32, false, 0, 608],
  ] as const)("alignment %i, whole TLVs saved: %s", (maxAlign, saveTlv, length, size) => {
    const common = { version: "1.0.0", headerSize: 32, slotSize: 0x1000 };
    const { slot } = signingPlan({ ...common, maxAlign, encrypt: { ...encrypt, saveTlv } });
    expect(reservedTrailerSize(slot, length)).toBe(size);
  });
});

/** A bit of the signature, or of the digest that it is over, is another one. */
async function expectTurnedBitsToFail(bytes: Uint8Array): Promise<void> {
  const { tlvs } = parseImage(bytes);
  for (const type of [TLV.ED25519, TLV.SHA256]) {
    const turned = Uint8Array.from(bytes);
    turned[tlvs.find((tlv) => tlv.type === type)!.offset + 4 + 7]! ^= 1;
    const verdict = await verifyImage(turned, { keys: [keys.ed25519] });
    expect(verdict).toMatchObject({ result: "bad" });
    expect(verdict.checks.find(({ name }) => name === "signature")).toMatchObject({ result: "fail" });
  }
}

describe("an encrypted image without the key that decrypts it", () => {
  it.each(["rsa-2048", "rsa-3072", "ecdsa-p256", "ed25519"] as const)(
    "has its %s signature judged by the public key alone",
    async (type) => {
      const receiver = { "rsa-2048": "rsa-2048", "rsa-3072": "rsa-2048" }[type as string] ?? "ecdsa-p256";
      const encrypt = { key: keys[receiver as "rsa-2048" | "ecdsa-p256"].publicKey };
      const { bytes } = await signImage(payload("p1000"), { ...COMMON, key: keys[type], encrypt });
      const judge = (file: Uint8Array) => verifyImage(file, { keys: [keys[type]], tryEveryKey: true });
      const verdict = await judge(bytes);
      expect(verdict).toMatchObject({ result: "digest-not-checked", trials: [{ tried: [{ good: true }] }] });
      const turned = Uint8Array.from(bytes);
      const { signatures } = parseImage(bytes);
      turned[signatures[0]!.offset + 4 + signatures[0]!.value.length - 3]! ^= 1;
      expect(await judge(turned)).toMatchObject({ result: "bad", trials: [{ tried: [{ good: false }] }] });
      const stranger = await verifyImage(bytes, { keys: [(await generateKey("ed25519")).publicKey] });
      expect(stranger.result).toBe("bad");
    },
  );

  it("has a pure signature, over the plain image, left open", async () => {
    const encrypt = { key: keys.x25519.publicKey };
    const { bytes } = await signImage(payload("p64"), { ...COMMON, key: keys.ed25519, pure: true, encrypt });
    const closed = await verifyImage(bytes, { keys: [keys.ed25519] });
    expect(closed.result).toBe("signature-not-checked");
    expect(closed.checks.find(({ name }) => name === "signature")?.sentence).toContain(
      "checking it needs the key that decrypts it",
    );
    expect((await verifyImage(bytes, { keys: [keys.ed25519], decryptionKey: keys.x25519 })).result).toBe(
      "good",
    );
  });
});

describe("RSA-PSS over a digest alone", () => {
  const { images } = JSON.parse(vectorFile("imgtool-signatures.json")) as {
    images: [type: "rsa-2048" | "rsa-3072", options: string[], hex: string][];
  };
  it.each(images.filter(([type]) => type.startsWith("rsa")))(
    "takes imgtool's %s %j",
    async (type, _, hex) => {
      const { hashedRange, signatures } = parseImage(fromHex(hex));
      const digest = createHash("sha256").update(hashedRange).digest();
      const { verify } = SIGNATURE_ALGORITHMS[type];
      const judge = (value: Uint8Array, over: Uint8Array = digest) =>
        verify(publicRawOf(keys[type]), { range: undefined, digest: over, pure: false }, value);
      const { value } = signatures[0]!;
      expect(await judge(value)).toBe(true);
      expect(await judge(value.map((byte, index) => (index === 100 ? byte ^ 1 : byte)))).toBe(false);
      expect(await judge(new Uint8Array(value.length).fill(0xff))).toBe(false);
      expect(await judge(value.subarray(1))).toBe(false);
      expect(await judge(value, createHash("sha256").update("another").digest())).toBe(false);
    },
  );
});

/** The content key as another implementation gets it. */
async function openElsewhere(key: Key, type: number, value: Uint8Array): Promise<Uint8Array> {
  const privateKey = createPrivateKey(await toPem(key, "private"));
  if (type === TLV.ENC_RSA2048) return privateDecrypt({ key: privateKey, oaepHash: "sha256" }, value);
  const [pointLength, hash, tagLength] =
    type === TLV.ENC_EC256
      ? [65, "sha256", 32]
      : [32, type === TLV.ENC_X25519 ? "sha256" : "sha512", type === TLV.ENC_X25519 ? 32 : 64];
  const length = value.length - pointLength - tagLength;
  const prefix =
    type === TLV.ENC_EC256
      ? "3059301306072a8648ce3d020106082a8648ce3d030107034200"
      : "302a300506032b656e032100";
  const publicKey = createPublicKey({
    key: Buffer.from(concat(fromHex(prefix), value.subarray(0, pointLength))),
    format: "der",
    type: "spki",
  });
  const shared = diffieHellman({ privateKey, publicKey });
  const derived = new Uint8Array(hkdfSync(hash, shared, "", "MCUBoot_ECIES_v1", length + tagLength));
  const encrypted = value.subarray(pointLength + tagLength);
  const tag = createHmac(hash, derived.subarray(length)).update(encrypted).digest();
  if (!timingSafeEqual(tag, value.subarray(pointLength, pointLength + tagLength)))
    throw new Error("wrong tag");
  return createDecipheriv(`aes-${length * 8}-ctr`, derived.subarray(0, length), new Uint8Array(16)).update(
    encrypted,
  );
}
