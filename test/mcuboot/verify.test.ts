import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat, fromHex } from "../../src/bytes.js";
import { keyFromSecret } from "../../src/crypto/keys.js";
import { keySigner } from "../../src/crypto/signer.js";
import { encodeHeader, IMAGE_F } from "../../src/mcuboot/header.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { largestImage } from "../../src/mcuboot/largest-image.js";
import { resignImage } from "../../src/mcuboot/resign.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { buildTlvArea, TLV, TLV_INFO_MAGIC, type TlvEntry } from "../../src/mcuboot/tlv.js";
import { type CheckName, type Verdict, type VerifyOptions, verifyImage } from "../../src/mcuboot/verify.js";
import { payload } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";

const keys = await throwAwayKeys();
const COMMON: SignOptions = { version: "2.0.0", headerSize: 32, padHeader: true, slotSize: 0x1000 };
const trusted: VerifyOptions = { keys: [keys.ed25519.publicKey] };

const signed = (options: Partial<SignOptions> = {}) =>
  signImage(payload("p64"), { ...COMMON, key: keys.ed25519, ...options }).then(({ bytes }) => bytes);

function resultOf(verdict: Verdict, name: CheckName): string {
  return verdict.checks.find((check) => check.name === name)!.result;
}

describe("the verdict", () => {
  it("good: every check listed, none failed, and who signed", async () => {
    const verdict = await verifyImage(await signed(), { ...trusted, slotSize: 0x1000 });
    expect(verdict).toMatchObject({ result: "good", warnings: [] });
    expect(verdict.checks.map(({ name, result }) => `${name}: ${result}`)).toEqual([
      "structure: pass",
      "flags: pass",
      "bootable: pass",
      "size: pass",
      "tlv-types: pass",
      "protected-area: pass",
      "hash: pass",
      "key-hash: pass",
      "signature: pass",
      "security-counter: not-checked",
    ]);
    expect(verdict.signedBy?.type).toBe("ed25519");
  });

  it("is never good when the signature was not checked", async () => {
    const verdict = await verifyImage(await signed());
    expect(verdict.result).toBe("signature-not-checked");
    expect(resultOf(verdict, "signature")).toBe("not-checked");
    expect((await verifyImage(await signed(), { keys: [] })).result).toBe("bad");
    const { bytes } = await signImage(payload("p64"), COMMON);
    expect((await verifyImage(bytes)).result).toBe("signature-not-checked");
    expect((await verifyImage(bytes, trusted)).result).toBe("bad");
  });

  it("a broken structure: one failure with the reason, nothing else pretended", async () => {
    const verdict = await verifyImage(payload("p64"), trusted);
    expect(verdict.result).toBe("bad");
    expect(verdict.image).toBeUndefined();
    expect(verdict.checks[0]).toMatchObject({ name: "structure", result: "fail" });
    expect(verdict.checks.slice(1).every(({ result }) => result === "not-checked")).toBe(true);
  });

  it("several trusted keys, also of several types", async () => {
    const other = keyFromSecret("ed25519", new Uint8Array(32).fill(9)).publicKey;
    const both = [other, keys["rsa-2048"].publicKey, keys.ed25519.publicKey];
    const verdict = await verifyImage(await signed(), { keys: both });
    expect(verdict).toMatchObject({ result: "good" });
    expect(verdict.signedBy).toBe(both[2]);
    const foreign = await verifyImage(await signed(), { keys: [other] });
    expect(foreign.checks.find(({ name }) => name === "signature")!.sentence).toMatch(
      /^None of the given keys signed the image\. It names key /,
    );
  });

  it("tries each signature against each key when asked", async () => {
    const [first, second] = [keys.ed25519, keyFromSecret("ed25519", new Uint8Array(32).fill(9))];
    const both = await resignImage(await signed(), keySigner(second), { add: true });
    const trusts = [first, second, keys["rsa-2048"]].map(({ publicKey }) => publicKey);
    const { trials } = await verifyImage(both, { keys: trusts, tryEveryKey: true });
    expect(trials!.map(({ tried }) => tried.map(({ key, good }) => [key, good]))).toEqual([
      [
        [trusts[0], true],
        [trusts[1], false],
      ],
      [
        [trusts[0], false],
        [trusts[1], true],
      ],
    ]);
    expect((await verifyImage(both, { keys: trusts })).trials).toBeUndefined();
  });

  it("says whether the image names a trusted key, apart from whether the signature holds", async () => {
    const bytes = await signed();
    bytes[bytes.length - 1]! ^= 1;
    const damaged = await verifyImage(bytes, trusted);
    expect([resultOf(damaged, "key-hash"), resultOf(damaged, "signature")]).toEqual(["pass", "fail"]);
    const other = keyFromSecret("ed25519", new Uint8Array(32).fill(9)).publicKey;
    expect(resultOf(await verifyImage(await signed(), { keys: [other] }), "key-hash")).toBe("fail");
    expect(resultOf(await verifyImage(await signed()), "key-hash")).toBe("not-checked");
    const { bytes: unsigned } = await signImage(payload("p64"), COMMON);
    expect(resultOf(await verifyImage(unsigned, trusted), "key-hash")).toBe("not-checked");
  });

  it("names the size's limit in each upgrade mode", async () => {
    const bytes = await signed();
    const geometry = { primarySize: 0x3000, sectorSize: 0x1000 };
    const { sentence } = (await verifyImage(bytes, { geometry })).checks.find(({ name }) => name === "size")!;
    for (const mode of ["swap-move", "swap-offset", "swap-scratch", "overwrite-only"] as const)
      expect(sentence).toContain(`${mode} takes ${largestImage(mode, geometry)}`);
  });

  it("the whole public key instead of its hash", async () => {
    expect((await verifyImage(await signed({ publicKeyFormat: "full" }), trusted)).result).toBe("good");
  });

  it("Ed25519 with SHA-512, pure, and a bootloader that knows only SHA-256", async () => {
    expect((await verifyImage(await signed({ hash: "sha512" }), trusted)).result).toBe("good");
    expect((await verifyImage(await signed({ pure: true }), trusted)).result).toBe("good");
    const only256 = await verifyImage(await signed({ hash: "sha512" }), { ...trusted, hash: "sha256" });
    expect(resultOf(only256, "hash")).toBe("fail");
  });
});

describe("the device's side", () => {
  it.each([
    [4, "pass"],
    [5, "pass"],
    [6, "fail"],
  ])("counter 5 in the image, %i stored: %s", async (storedCounter, expected) => {
    const verdict = await verifyImage(await signed({ securityCounter: 5 }), { ...trusted, storedCounter });
    expect(resultOf(verdict, "security-counter")).toBe(expected);
  });

  it("no counter where the device keeps one", async () => {
    expect(resultOf(await verifyImage(await signed(), { storedCounter: 0 }), "security-counter")).toBe(
      "fail",
    );
  });

  it("NON_BOOTABLE matters only for an image that shall boot", async () => {
    const bytes = await signed({ nonBootable: true });
    expect((await verifyImage(bytes, trusted)).result).toBe("good");
    expect((await verifyImage(bytes, { ...trusted, toBoot: true })).result).toBe("bad");
  });

  it("size: by the slot, by the mode, by any mode", async () => {
    const { bytes } = await signImage(new Uint8Array(7000), { ...COMMON, slotSize: 0, key: keys.ed25519 });
    const size = async (options: VerifyOptions) => resultOf(await verifyImage(bytes, options), "size");
    expect(await size({})).toBe("not-checked");
    expect(await size({ slotSize: 4096 })).toBe("fail");
    expect(await size({ slotSize: 8192 })).toBe("pass");
    const geometry = { primarySize: 12288, sectorSize: 4096, maxSectors: 3 };
    expect(await size({ geometry, mode: "overwrite-only" })).toBe("pass");
    expect(await size({ geometry, mode: "swap-move" })).toBe("fail");
    expect(await size({ geometry })).toBe("not-checked");
    expect(await size({ geometry: { ...geometry, primarySize: 4096 } })).toBe("fail");
    expect(await size({ geometry: { ...geometry, primarySize: 65536 } })).toBe("pass");
  });
});

describe("warnings", () => {
  const warningsOf = async (options: Partial<SignOptions>) =>
    (await verifyImage(await signed(options), trusted)).warnings;

  it("a published development key", async () => {
    const seed = fromHex("28c970c9a1a8a8bc77786862d2e76d0d430a2b57c87cfc37904bcbaac874cbd8");
    const key = keyFromSecret("ed25519", seed);
    const { warnings } = await verifyImage(await signed({ key }), { keys: [key] });
    expect(warnings).toEqual([expect.stringContaining("root-ed25519.pem")]);
    expect((await verifyImage(await signed({ key, pure: true }))).warnings).toEqual([
      expect.stringContaining("root-ed25519.pem"),
    ]);
  });

  it("custom TLV types that MCUboot keeps for itself, and bytes behind the image", async () => {
    const value = new Uint8Array(1);
    expect(await warningsOf({ customTlvs: [{ type: 0x1a5, value }] })).toEqual([]);
    expect(await warningsOf({ customTlvs: [{ type: 0x110, value }] })).toEqual([
      expect.stringContaining("0x0110"),
    ]);
    expect(await warningsOf({ trailer: "test" })).toEqual([
      expect.stringContaining("neither hash nor signature"),
    ]);
  });
});

/**
 * Real MCUboot (RAM-load, SHA-256, no signature, allow-list on) with a manipulated image in slot 1 and a good one in
 * slot 0; the left column is what was done to a valid image, the right one whether it was booted. After each edit the
 * image hash was recomputed, except where it says otherwise.
 */
describe("manipulated images, as real MCUboot judged them", () => {
  const good = (): Promise<Uint8Array> =>
    signImage(payload("p64"), { ...COMMON, loadAddress: 0x2000_0000 }).then(({ bytes }) => bytes);
  const sha = (name: string, bytes: Uint8Array) => new Uint8Array(createHash(name).update(bytes).digest());
  const edited = async (change: (bytes: Uint8Array) => void, rehash = true) => {
    const bytes = await good();
    change(bytes);
    if (rehash) bytes.set(sha("sha256", bytes.subarray(0, 96)), 104);
    return bytes;
  };
  const flag = (bits: number) =>
    edited((bytes) => {
      new DataView(bytes.buffer).setUint32(16, IMAGE_F.RAM_LOAD | bits, true);
    });
  const u16 = (offset: number, value: number) => (bytes: Uint8Array) =>
    new DataView(bytes.buffer).setUint16(offset, value, true);
  const withTlvs = async (entries: (digest: Uint8Array) => TlvEntry[]) => {
    const range = (await good()).slice(0, 96);
    return concat(range, buildTlvArea(TLV_INFO_MAGIC, entries(sha("sha256", range)), "little"));
  };
  const hash = (value: Uint8Array): TlvEntry => ({ type: TLV.SHA256, value });

  const ROWS: [string, () => Promise<Uint8Array>, boolean][] = [
    ["valid", good, true],
    [
      "payload bit flipped, hash as it was",
      () => edited((bytes) => bytes.set([bytes[40]! ^ 1], 40), false),
      false,
    ],
    ["header magic bit flipped", () => edited((bytes) => bytes.set([bytes[0]! ^ 1], 0)), false],
    ["old magic 0x96f3b83c", () => edited((bytes) => bytes.set([0x3c], 0)), false],
    ...[0x4, 0xc, 0x200, 0x400, 0x600, 0x800].map((bits): [string, () => Promise<Uint8Array>, boolean] => [
      `flags 0x${bits.toString(16)} added`,
      () => flag(bits),
      false,
    ]),
    ...[0x1, 0x100, 0x1000, 0x80000000].map((bits): [string, () => Promise<Uint8Array>, boolean] => [
      `flags 0x${bits.toString(16)} added`,
      () => flag(bits),
      true,
    ]),
    ["header pad 0xdeadbeef", () => edited((bytes) => bytes.set(fromHex("efbeadde"), 28)), true],
    ["NON_BOOTABLE", () => flag(IMAGE_F.NON_BOOTABLE), false],
    ["hdr_size 0x1f", () => edited(u16(8, 0x1f)), false],
    ["img_size 0xffffffff", () => edited((bytes) => bytes.fill(0xff, 12, 16)), false],
    ["TLV area missing", async () => (await good()).slice(0, 96), false],
    ["unprotected total 0x7000", () => edited(u16(98, 0x7000)), false],
    ["unprotected total 4", () => edited(u16(98, 4)), false],
    ["unprotected total 0", () => edited(u16(98, 0)), false],
    ["hash length 31", () => withTlvs((digest) => [hash(digest.subarray(0, 31))]), false],
    ["hash length 64", () => withTlvs((digest) => [hash(concat(digest, digest))]), false],
    ["hash TLV twice, identical", () => withTlvs((digest) => [hash(digest), hash(digest)]), true],
    [
      "hash TLV good, then a wrong one",
      () => withTlvs((digest) => [hash(digest), hash(new Uint8Array(32))]),
      false,
    ],
    [
      "SHA-384 only",
      async () => (await signImage(payload("p64"), { ...COMMON, hash: "sha384" })).bytes,
      false,
    ],
    ...[0xa0, TLV.SEC_CNT].map((type): [string, () => Promise<Uint8Array>, boolean] => [
      `unprotected 0x${type.toString(16)} appended`,
      () => withTlvs((digest) => [hash(digest), { type, value: new Uint8Array(4) }]),
      false,
    ]),
    [
      "protected SEC_CNT and 0xa0",
      async () =>
        (
          await signImage(payload("p64"), {
            ...COMMON,
            securityCounter: 1,
            customTlvs: [{ type: 0xa0, value: new Uint8Array(3) }],
          })
        ).bytes,
      true,
    ],
    [
      "protected area present, header size field 0",
      async () => {
        const { bytes } = await signImage(payload("p64"), { ...COMMON, securityCounter: 1 });
        u16(10, 0)(bytes);
        return bytes;
      },
      false,
    ],
    ["last byte missing", async () => (await good()).slice(0, -1), false],
  ];

  it.each(ROWS)("%s", async (_, make, booted) => {
    const verdict = await verifyImage(await make(), {
      hash: "sha256",
      slotSize: 0x1000,
      toBoot: true,
      supports: { encryption: false, compression: false },
    });
    expect({ result: verdict.result, checks: verdict.checks }).toMatchObject({
      result: booted ? "signature-not-checked" : "bad",
    });
  });
});

it("a verdict never depends on what stands behind the image", async () => {
  const bytes = await signed();
  const { result, image } = await verifyImage(concat(bytes, new Uint8Array(100).fill(7)), trusted);
  expect(result).toBe("good");
  expect(image!.size).toBe(bytes.length);
});

it("a header that states more than there is says how much is missing", async () => {
  const header = encodeHeader({ ...parseImage(await signed()).header, bodySize: 5000 });
  const verdict = await verifyImage(concat(header, new Uint8Array(100)), trusted);
  expect(verdict.checks[0]!.sentence).toContain("5032");
});
