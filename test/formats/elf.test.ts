import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { putU16le, putU32le } from "../../src/bytes.js";
import { ElfError, isElf, parseElf } from "../../src/formats/elf.js";
import { joinSegments, parseIntelHex } from "../../src/formats/intel-hex.js";
import { vectorFile } from "../support/image-imgtool-args.js";

const { made_by, rows } = JSON.parse(vectorFile("elf-files.json")) as {
  made_by: string;
  rows: { name: string; elf: string; binary: string; hex: string }[];
};
const unpack = (text: string) => new Uint8Array(gunzipSync(Buffer.from(text, "base64")));
const small = unpack(rows[0]!.elf);

describe(`what ${made_by} makes of an ELF file`, () => {
  it.each(rows)("$name", ({ elf, binary, hex }) => {
    const joined = joinSegments(parseElf(unpack(elf)));
    const expected = joinSegments(parseIntelHex(new TextDecoder().decode(unpack(hex))));
    expect(joined.address).toBe(expected.address);
    expect(joined.bytes).toEqual(unpack(binary));
  });
});

/** A copy with something written at an offset. */
function changed(offset: number, write: (bytes: Uint8Array, offset: number) => void): Uint8Array {
  const copy = small.slice();
  write(copy, offset);
  return copy;
}

describe("damaged files", () => {
  it.each([
    ["not-elf", 0, new Uint8Array(100)],
    ["not-elf", 0, new Uint8Array(0)],
    ["broken-elf", 40, small.subarray(0, 40)],
    ["unsupported-elf", 4, changed(4, (bytes, at) => bytes.fill(3, at, at + 1))],
    ["unsupported-elf", 4, changed(5, (bytes, at) => bytes.fill(0, at, at + 1))],
    // The table of segments: outside the file, or of entries that are too small.
    ["broken-elf", small.length, changed(28, (bytes, at) => putU32le(bytes, at, 0xffff_fff0))],
    ["broken-elf", 52, changed(42, (bytes, at) => putU16le(bytes, at, 8))],
    ["broken-elf", 52, changed(44, (bytes, at) => putU16le(bytes, at, 0xffff))],
    // The first segment: beyond the file, beyond 32 bits of address.
    ["broken-elf", 52, changed(52 + 16, (bytes, at) => putU32le(bytes, at, 0xffff_ffff))],
    ["broken-elf", 52, changed(52 + 12, (bytes, at) => putU32le(bytes, at, 0xffff_fff8))],
  ])("%s at %i", (code, offset, bytes) => {
    const attempt = () => parseElf(bytes);
    expect(attempt).toThrow(ElfError);
    expect(attempt).toThrow(expect.objectContaining({ code, offset }));
  });

  it("nothing to load: no segment of that kind", () => {
    const none = small.slice();
    putU16le(none, 44, 0);
    expect(() => parseElf(none)).toThrow(expect.objectContaining({ code: "nothing-to-load" }));
  });

  it("any change gives segments inside the file, or a typed error", () => {
    const change = fc.tuple(fc.nat(small.length - 1), fc.nat(255));
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.nat(small.length),
        (changes, length) => {
          const bytes = small.slice(0, length);
          for (const [at, value] of changes) if (at < length) bytes[at] = value;
          try {
            const total = parseElf(bytes).reduce((sum, segment) => sum + segment.bytes.length, 0);
            expect(total).toBeLessThanOrEqual(64 * bytes.length);
          } catch (error) {
            expect(error).toBeInstanceOf(ElfError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("is told by its first bytes", () => {
    expect(isElf(small)).toBe(true);
    expect(isElf(small.subarray(1))).toBe(false);
    expect(isElf(new Uint8Array(3))).toBe(false);
  });
});
