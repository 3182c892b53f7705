import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, fromBase64, fromHex, putU32le } from "../../src/bytes.js";
import { SIGNATURE_ALGORITHMS } from "../../src/crypto/algorithms.js";
import { HASHES } from "../../src/crypto/hashes.js";
import { keySigner } from "../../src/crypto/signer.js";
import { filterArmThumb } from "../../src/formats/arm-thumb.js";
import { decodeLzma2, LzmaError } from "../../src/formats/lzma2.js";
import { uncompressedRange } from "../../src/mcuboot/compression.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { buildTlvArea, TLV, TLV_INFO_MAGIC, TLV_PROT_INFO_MAGIC } from "../../src/mcuboot/tlv.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { cliVectors } from "../support/image-cli-vectors.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";

interface Row {
  readonly of: string;
  readonly thumb: boolean;
  readonly packed: string;
  readonly sha256?: string;
  readonly length?: number;
}

const { made_by, rows } = JSON.parse(vectorFile("lzma2.json")) as { made_by: string; rows: Row[] };
const keys = await throwAwayKeys();
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe(`what ${made_by} packs`, () => {
  it.each(rows)("$of, Thumb filter $thumb", ({ of, thumb, packed, length, sha256: wanted }) => {
    const expected = wanted === undefined ? payload(of) : undefined;
    const size = length ?? expected!.length;
    const out = decodeLzma2(fromBase64(packed), size);
    if (thumb) filterArmThumb(out, "to-relative");
    expect(out.length).toBe(size);
    expect(sha256(out)).toBe(wanted ?? sha256(expected!));
  });

  it("no byte more than the limit", () => {
    const stream = fromBase64(rows.find(({ of }) => of === "z2200000+p64")!.packed);
    expect(() => decodeLzma2(stream, 2_200_063)).toThrow(expect.objectContaining({ code: "lzma-too-large" }));
    expect(() => decodeLzma2(stream, 0)).toThrow(LzmaError);
  });

  it.each([
    ["lzma-truncated", ""],
    ["bad-lzma", "02000000"],
    ["bad-lzma", "03000000"],
    ["bad-lzma", "80000000000000000000"],
    // Properties that do not exist: lc and lp of more than four together.
    ["bad-lzma", "e00000000666000000000000000000"],
    ["lzma-truncated", "01ffff00"],
  ])("%s: %s", (code, hex) => {
    expect(() => decodeLzma2(fromHex(hex), 100_000)).toThrow(expect.objectContaining({ code }));
  });

  it("any damage gives bytes within the limit, or a typed error", () => {
    const streams = rows.filter(({ of }) => of !== "z2200000+p64").map(({ packed }) => fromBase64(packed));
    const change = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255));
    fc.assert(
      fc.property(
        fc.constantFrom(...streams),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (stream, changes) => {
          const bytes = stream.slice();
          for (const [place, value] of changes) bytes[Math.floor(place * (bytes.length - 1))] = value;
          try {
            expect(decodeLzma2(bytes, 80_000).length).toBeLessThanOrEqual(80_000);
          } catch (error) {
            expect(error).toBeInstanceOf(LzmaError);
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe("the Thumb filter", () => {
  it("there and back, at every length", () => {
    const code = payload("t64");
    for (let length = 0; length <= code.length; length++) {
      const bytes = code.slice(0, length);
      filterArmThumb(bytes, "to-absolute");
      filterArmThumb(bytes, "to-relative");
      expect(bytes).toEqual(code.subarray(0, length));
    }
  });
});

describe("imgtool's compressed images", () => {
  const image = (name: string) => fromHex(cliVectors.extra[name]!);

  it.each(["lzma2.img", "lzma2armthumb.img"])("%s unpacks to the image that is stated", async (name) => {
    const verdict = await verifyImage(image(name), {
      keys: [keys.ed25519.publicKey],
      supports: { compression: true },
    });
    expect(verdict).toMatchObject({ result: "good" });
    expect(verdict.checks.find((check) => check.name === "compressed-body")).toMatchObject({
      result: "pass",
      sentence: expect.stringContaining("hash and signature"),
    });
    const parsed = parseImage(image(name));
    const inner = uncompressedRange(parsed, parsed.hashedRange);
    expect(inner.subarray(32, 32 + 6000)).toEqual(payload("t6000"));
  });

  const options: SignOptions = {
    version: "1.2.3+4",
    headerSize: 32,
    padHeader: true,
    slotSize: 0,
    securityCounter: 5,
  };

  /** An image that states something else of its inside; hash and signature around it are good. */
  async function lying(type: number, change: (value: Uint8Array) => void): Promise<Uint8Array> {
    const { tlvs, body } = parseImage(image("lzma2.img"));
    const stated = tlvs
      .filter((tlv) => tlv.protected)
      .map((tlv) => ({ type: tlv.type, value: tlv.value.slice() }));
    change(stated.find((tlv) => tlv.type === type)!.value);
    const header = image("lzma2.img").subarray(0, 32);
    const range = concat(header, body, buildTlvArea(TLV_PROT_INFO_MAGIC, stated, "little"));
    const digest = HASHES.sha256.digest(range);
    const algorithm = SIGNATURE_ALGORITHMS.ed25519;
    const signer = keySigner(keys.ed25519);
    const signature = await signer.sign({ algorithm, hash: "sha256", range, digest, pure: false });
    const around = [
      { type: TLV.SHA256, value: digest },
      { type: TLV.KEYHASH, value: keys.ed25519.keyHash },
      { type: TLV.ED25519, value: signature },
    ];
    return concat(range, buildTlvArea(TLV_INFO_MAGIC, around, "little"));
  }

  it.each([
    ["a wrong size", TLV.DECOMP_SIZE, (value: Uint8Array) => putU32le(value, 0, 5999)],
    ["a size of gigabytes", TLV.DECOMP_SIZE, (value: Uint8Array) => putU32le(value, 0, 0xffff_ffff)],
    ["a wrong hash", TLV.DECOMP_SHA, (value: Uint8Array) => value.fill(0)],
    ["a signature of something else", TLV.DECOMP_SIGNATURE, (value: Uint8Array) => value.fill(1)],
  ] as const)("%s", async (_name, type, change) => {
    const { result, checks } = await verifyImage(await lying(type, change), {
      keys: [keys.ed25519.publicKey],
      supports: { compression: true },
    });
    expect(result).toBe("bad");
    const failed = checks.filter((check) => check.result === "fail").map(({ name }) => name);
    expect(failed).toEqual(["compressed-body"]);
  });

  it("what compression does not make smaller stays as it is", async () => {
    const compress = async (bytes: Uint8Array) => bytes;
    const plain = await signImage(payload("p64"), { ...options, key: keys.ed25519 });
    const asked = await signImage(payload("p64"), {
      ...options,
      key: keys.ed25519,
      compression: { kind: "lzma2", compress },
    });
    expect(asked.bytes).toEqual(plain.bytes);
  });

  it("non-bootable is refused: the flag would be lost", async () => {
    const compress = async () => new Uint8Array(10);
    const attempt = signImage(payload("t6000"), {
      ...options,
      nonBootable: true,
      compression: { kind: "lzma2", compress },
    });
    await expect(attempt).rejects.toMatchObject({ code: "bad-option" });
  });
});
