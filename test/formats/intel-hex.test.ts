import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import {
  formatIntelHex,
  HexError,
  joinSegments,
  parseIntelHex,
  readIntelHex,
} from "../../src/formats/intel-hex.js";
import { vectorFile } from "../support/image-imgtool-args.js";
import { inputFile } from "../support/input-files.js";

const END = ":00000001FF";

describe("reading", () => {
  it("records of every kind", () => {
    const segments = parseIntelHex(
      [
        ":10010000214601360121470136007EFE09D2190140",
        ":100110002146017E17C20001FF5F16002148011928",
        ":020000021200EA",
        ":0400000312345678E5",
        ":0300300002337A1E",
        ":020000040800F2",
        ":0400000508000131BD",
        ":02FFFE00ABCD89",
        END,
      ].join("\r\n"),
    );
    expect(segments.map(({ address, bytes }) => [address, toHex(bytes)])).toEqual([
      [0x100, "214601360121470136007efe09d219012146017e17c20001ff5f160021480119"],
      [0x12030, "02337a"],
      [0x0800fffe, "abcd"],
    ]);
  });

  it("segments come in the order of addresses, neighbours joined, blank lines left out", () => {
    const text = `\n:0100020003FA\n${END}\n`;
    const both = parseIntelHex(`:0100030004F8\n${text}`);
    expect(both).toEqual([{ address: 2, bytes: Uint8Array.of(3, 4) }]);
  });

  it.each([
    ["text", "hello", "bad-record", 1],
    ["an odd number of digits", ":0100000001FE0", "bad-record", 1],
    ["a length that is not true", ":0200000001FD", "bad-record", 1],
    ["a damaged byte", ":0100000002FE", "bad-checksum", 1],
    ["an unknown record type", `:00000006FA\n${END}`, "bad-type", 1],
    ["an address record of the wrong length", `:0100000401FA\n${END}`, "bad-record", 1],
    ["two lines for one address", `:0100000001FE\n:0100000002FD\n${END}`, "overlap", 2],
    ["bytes beyond 32 bits", `:02000004FFFFFC\n:02FFFF000102FD\n${END}`, "hex-bad-address", 2],
  ])("%s", (_, text, code, line) => {
    const attempt = () => parseIntelHex(text);
    expect(attempt).toThrow(HexError);
    expect(attempt).toThrow(expect.objectContaining({ code, line }));
  });

  const forms = JSON.parse(vectorFile("imgtool-hex-forms.json")) as {
    made_by: string;
    rows: { name: string; hex: string; exit: number }[];
  };

  it.each(forms.rows)(`$name: read or refused as ${forms.made_by} does`, ({ hex, exit }) => {
    if (exit !== 0) {
      expect(() => parseIntelHex(hex)).toThrow(HexError);
      return;
    }
    const image = parseIntelHex(hex).find(({ address }) => address === 0xc000)!;
    expect(Buffer.compare(image.bytes, inputFile("sec8.bin"))).toBe(0);
  });

  it("tells where a file does not end as the format says", () => {
    const form = (name: string) => readIntelHex(forms.rows.find((row) => row.name === name)!.hex);
    expect(form("as written")).toMatchObject({ ended: true, linesBehind: 0 });
    expect(form("no end record")).toMatchObject({ ended: false, linesBehind: 0 });
    expect(form("records behind the end")).toMatchObject({ ended: true, linesBehind: 1 });
  });

  it("a file of many records", () => {
    const bytes = new Uint8Array(3 * 1024 * 1024).map((_, index) => index * 31);
    const [segment] = parseIntelHex(formatIntelHex([{ address: 0x8000, bytes }]));
    expect(segment!.bytes.length).toBe(bytes.length);
    expect(Buffer.compare(segment!.bytes, bytes)).toBe(0);
  });
});

describe("writing", () => {
  it("an address record where 64 KiB end", () => {
    const text = formatIntelHex([{ address: 0xfffe, bytes: fromHex("01020304") }]);
    // As Python's intelhex writes it: the upper half is stated from the start where any record needs it.
    expect(text).toBe(":020000040000FA\n:02FFFE000102FE\n:020000040001F9\n:020000000304F7\n:00000001FF\n");
  });

  it("what is written reads back, whatever the segments", () => {
    const segment = fc.record({
      gap: fc.integer({ min: 1, max: 0x20000 }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 80 }),
    });
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (parts) => {
        let address = 0;
        const segments = parts.map(({ gap, bytes }) => {
          const at = address + gap;
          address = at + bytes.length;
          return { address: at, bytes };
        });
        expect(parseIntelHex(formatIntelHex(segments))).toEqual(segments);
      }),
    );
  });
});

describe("one segment of several", () => {
  it("fills the gap, and refuses a gap of gigabytes", () => {
    const near = parseIntelHex(`:0100000001FE\n:0100030002FA\n${END}`);
    expect(toHex(joinSegments(near).bytes)).toBe("01ffff02");
    expect(toHex(joinSegments(near, { fill: 0 }).bytes)).toBe("01000002");
    const far = [
      { address: 0, bytes: Uint8Array.of(1) },
      { address: 0xf000_0000, bytes: Uint8Array.of(1) },
    ];
    expect(() => joinSegments(far)).toThrow(expect.objectContaining({ code: "hex-too-large" }));
    expect(joinSegments([])).toEqual({ address: 0, bytes: new Uint8Array(0) });
  });
});

it("mutated files fail with the line or read as something", () => {
  const file = formatIntelHex([{ address: 0x1fff0, bytes: new Uint8Array(100).map((_, index) => index) }]);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(file.length - 1), fc.constantFrom(..."0129aAfF:\n xg"))),
      (changes) => {
        const characters = [...file];
        for (const [at, character] of changes) characters[at] = character;
        try {
          parseIntelHex(characters.join(""));
        } catch (error) {
          expect(error).toBeInstanceOf(HexError);
          expect((error as HexError).line).toBeGreaterThan(0);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
