import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, fromHex, toHex } from "../../src/bytes.js";
import { encodeHeader, flagNames, ImageError, parseHeader } from "../../src/mcuboot/header.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { parseSlot } from "../../src/mcuboot/slot.js";
import { TLV_KINDS, tlvKind, tlvName } from "../../src/mcuboot/tlv.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import {
  compareVersions,
  formatVersion,
  parseVersion,
  securityCounterOf,
} from "../../src/mcuboot/version.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";

const keys = await throwAwayKeys();
const COMMON: SignOptions = { version: "1.2.3+4", headerSize: 32, padHeader: true, slotSize: 0x2000 };

/** Complete bytes of imgtool's output for 64 bytes 00 .. 3f, `-H 32 --pad-header -v 1.2.3+4`, hash only. */
const HASH_ONLY = fromHex(
  `3db8f396000000002000000040000000000000000102030004000000${"00000000"}${toHex(payload("p64"))}` +
    "0769280010002000fe96bbe6d74ed7c809aa78e2a605d5c4cca33969885bfcc9ac10d7c52df5e00d",
);

describe("parsing", () => {
  it("a whole image, field by field", () => {
    const image = parseImage(HASH_ONLY);
    expect(image.header).toEqual({
      loadAddress: 0,
      headerSize: 32,
      protectedSize: 0,
      bodySize: 64,
      flags: 0,
      version: { major: 1, minor: 2, revision: 3, build: 4 },
      pad: 0,
    });
    expect(image).toMatchObject({ size: 136, endian: "little", encrypted: false, dependencies: [] });
    expect(toHex(image.imageHash!.value)).toMatch(/^fe96bbe6/);
    expect(image.tlvs).toMatchObject([{ type: 0x10, protected: false, offset: 100 }]);
    expect(image.securityCounter).toBeUndefined();
    expect(toHex(encodeHeader(image.header))).toBe(toHex(HASH_ONLY.subarray(0, 32)));
  });

  it("what stands in the protected area, little and big endian", async () => {
    for (const endian of ["little", "big"] as const) {
      const dependencies = [{ image: 1, version: parseVersion("2.0.0+7") }];
      const options = { ...COMMON, endian, securityCounter: 9, dependencies, key: keys.ed25519 };
      const { bytes } = await signImage(payload("p64"), {
        ...options,
        customTlvs: [{ type: 0x1a5, value: Uint8Array.of(7) }],
      });
      const image = parseImage(bytes);
      expect(image).toMatchObject({ endian, securityCounter: 9, dependencies });
      expect(image.tlvs.map(({ type }) => tlvName(type))).toEqual([
        "SEC_CNT",
        "DEPENDENCY",
        "0x01a5",
        "SHA256",
        "KEYHASH",
        "ED25519",
      ]);
      expect(toHex(image.keyHashes[0]!)).toBe(toHex(keys.ed25519.keyHash));
      expect((await verifyImage(bytes, { keys: [keys.ed25519] })).result).toBe("good");
    }
  });

  it.each([
    ["nothing", new Uint8Array(0), "image-too-short", 0],
    ["31 bytes", HASH_ONLY.subarray(0, 31), "image-too-short", 31],
    ["erased flash", new Uint8Array(200).fill(0xff), "bad-magic", 0],
    ["the header alone", HASH_ONLY.subarray(0, 32), "image-truncated", 32],
    ["cut in the body", HASH_ONLY.subarray(0, 95), "image-truncated", 95],
    ["cut before the TLVs", HASH_ONLY.subarray(0, 98), "image-truncated", 98],
    ["cut in the TLVs", HASH_ONLY.subarray(0, 135), "image-truncated", 135],
    ["a header size of 31", edit(8, 31), "bad-header-size", 8],
    ["an image size too large", edit(15, 0xff), "image-truncated", 136],
    ["a protected area that is not there", edit(10, 8), "protected-size", 96],
    ["another magic before the TLVs", edit(96, 0x09), "no-tlv-area", 96],
    ["a TLV area smaller than its header", edit(98, 3), "tlv-total", 98],
    ["a TLV longer than its area", edit(102, 33), "tlv-overrun", 100],
    ["half a TLV header at the end", edit(98, 0x26), "tlv-overrun", 100],
  ])("%s", (_, bytes, code, offset) => {
    const attempt = () => parseImage(bytes);
    expect(attempt).toThrow(ImageError);
    expect(attempt).toThrow(expect.objectContaining({ code, offset }));
  });

  it("says what else it might be", () => {
    const elf = concat(fromHex("7f454c46"), new Uint8Array(60));
    expect(() => parseHeader(elf)).toThrow(
      expect.objectContaining({ message: expect.stringContaining("an ELF file") }),
    );
    const erased = new Uint8Array(64).fill(0xff);
    expect(() => parseHeader(erased)).toThrow(
      expect.objectContaining({ message: expect.stringContaining("erased flash") }),
    );
  });

  function edit(offset: number, value: number): Uint8Array {
    const bytes = HASH_ONLY.slice();
    bytes[offset] = value;
    return bytes;
  }
});

describe("names of flags and TLVs", () => {
  it("flags, and bits without a meaning", () => {
    expect(flagNames(0x80000034)).toEqual({
      names: ["ENCRYPTED_AES128", "NON_BOOTABLE", "RAM_LOAD"],
      unknown: 0x80000000,
    });
  });

  it("each type once; vendors' types have none", () => {
    expect(new Set(TLV_KINDS.map(({ type }) => type)).size).toBe(TLV_KINDS.length);
    expect(tlvKind(0x74)?.name).toBe("UUID_VID");
    expect(tlvKind(0x80)).toBeUndefined();
    expect(tlvName(0xa0)).toBe("0x00a0");
  });
});

describe("versions", () => {
  it.each(["1", "1.2", "1.2.3", "1.2.3+4", "255.255.65535+4294967295"])("%s", (text) => {
    expect(parseVersion(formatVersion(parseVersion(text)))).toEqual(parseVersion(text));
  });

  it("order: the build counts only when asked for", () => {
    const sorted = ["0.0.1", "0.1.0", "0.1.1", "1.0.0", "1.0.10", "2.0.0"].map(parseVersion);
    expect(sorted.toSorted((a, b) => compareVersions(a, b))).toEqual(sorted);
    const [old, built] = [parseVersion("1.0.0"), parseVersion("1.0.0+5")];
    expect(compareVersions(old, built)).toBe(0);
    expect(compareVersions(old, built, { build: true })).toBeLessThan(0);
  });

  it("the counter that auto derives", () => {
    expect(securityCounterOf(parseVersion("1.2.3+4"))).toBe(0x01020003);
    expect(securityCounterOf(parseVersion("255.255.65535"))).toBe(0xffffffff);
  });
});

describe("a whole slot", () => {
  const kinds = (slot: ReturnType<typeof parseSlot>) =>
    slot.map.map(({ kind, length }) => `${kind} ${length}`);

  it("image, free space, trailer: all of it, without gaps", async () => {
    const { bytes } = await signImage(payload("p64"), { ...COMMON, securityCounter: 1, trailer: "test" });
    const slot = parseSlot(bytes);
    expect(slot).toMatchObject({ size: 0x2000, imageOffset: 0, empty: false, trailer: { magic: "good" } });
    expect(slot.image?.securityCounter).toBe(1);
    expect(kinds(slot)).toEqual([
      "header 32",
      "body 64",
      "protected TLVs 12",
      "TLVs 40",
      "free 7996",
      "trailer 48",
    ]);
    const drawn = parseSlot(bytes, {
      mode: "swap-move",
      geometry: { primarySize: 0x2000, sectorSize: 4096, maxSectors: 32 },
    });
    expect(kinds(drawn).at(-1)).toBe("trailer 432");
  });

  it("an erased one", () => {
    const slot = parseSlot(new Uint8Array(4096).fill(0xff));
    expect(slot).toMatchObject({ empty: true, trailer: { magic: "unset" } });
    expect(slot.problem).toBeUndefined();
    expect(kinds(slot)).toEqual(["free 4048", "trailer 48"]);
  });

  it("something that is not an image, and the rest of a larger one", () => {
    const junk = parseSlot(concat(payload("p1000"), new Uint8Array(1000).fill(0xff)));
    expect(junk.problem?.code).toBe("bad-magic");
    expect(kinds(junk)).toEqual(["leftover 1952", "trailer 48"]);
    const left = concat(HASH_ONLY, new Uint8Array(100).fill(7), new Uint8Array(48).fill(0xff));
    expect(kinds(parseSlot(left)).slice(-2)).toEqual(["leftover 100", "trailer 48"]);
  });

  it("swap-using-offset: the update begins in the second sector", () => {
    const erased = new Uint8Array(512).fill(0xff);
    const slot = parseSlot(concat(erased, HASH_ONLY, erased), { sectorSize: 512, mode: "swap-offset" });
    expect(slot.imageOffset).toBe(512);
    expect(kinds(slot)).toEqual(["free 512", "header 32", "body 64", "TLVs 40", "free 456", "trailer 56"]);
  });

  it("an image that reaches into the trailer's place", () => {
    const slot = parseSlot(HASH_ONLY);
    expect(slot.map.reduce((sum, { length }) => sum + length, 0)).toBe(HASH_ONLY.length);
  });
});

describe("hostile bytes", () => {
  const seeds = (
    JSON.parse(vectorFile("imgtool-signatures.json")) as { images: [string, string[], string][] }
  ).images
    .slice(0, 12)
    .map(([, , hex]) => fromHex(hex));
  const change = fc.oneof(
    fc.record({ at: fc.nat(4000), value: fc.nat(255) }),
    // Where the sizes stand, and where the TLVs begin: most of what can go wrong.
    fc.record({
      at: fc.constantFrom(8, 9, 10, 11, 12, 13, 14, 15, 96, 97, 98, 99, 100, 102),
      value: fc.nat(255),
    }),
  );
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: 6 }), fc.nat(1000))
    .map(([seed, changes, cut]) => {
      const bytes = seed.slice(0, Math.max(0, seed.length - (cut > 700 ? cut - 700 : 0)));
      for (const { at, value } of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
      return bytes;
    });

  it("parse to an image inside the bytes, or fail with an offset inside them", () => {
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        try {
          const image = parseImage(bytes);
          expect(image.size).toBeLessThanOrEqual(bytes.length);
          for (const { offset, value } of image.tlvs)
            expect(offset + 4 + value.length).toBeLessThanOrEqual(image.size);
        } catch (error) {
          if (!(error instanceof ImageError)) throw error;
          expect(error.offset).toBeGreaterThanOrEqual(0);
          expect(error.offset).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it("get a verdict, never an exception", async () => {
    const trusted = Object.values(keys).map((key) => key.publicKey);
    await fc.assert(
      fc.asyncProperty(mutated, async (bytes) => {
        const { result, checks } = await verifyImage(bytes, { keys: trusted, storedCounter: 1 });
        // Others only where the image has what they look at.
        const always =
          "structure flags bootable size tlv-types protected-area hash key-hash signature security-counter";
        for (const name of always.split(" "))
          expect(checks.filter((one) => one.name === name)).toHaveLength(1);
        expect(["good", "bad", "signature-not-checked"]).toContain(result);
      }),
      { numRuns: 500 },
    );
  });

  it("in a slot: a map without gaps, whatever they are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 400 }), mutated, (tail, bytes) => {
        const slot = parseSlot(concat(bytes, tail), { sectorSize: 64 });
        let at = 0;
        for (const { offset, length } of slot.map) {
          expect(offset).toBe(at);
          at += length;
        }
        expect(at).toBe(slot.size);
      }),
      { numRuns: 2000 },
    );
  });
});
