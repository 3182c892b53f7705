import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex } from "../../src/bytes.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { crc16 } from "../../src/smp/framing/crc16.js";
import type { Decoder, Received } from "../../src/smp/framing/framing.js";
import { latin1 } from "../support/smp-vectors.js";
import { linesOf, SPLITS, slowCrc, wireOf } from "../support/smp-wire.js";

const framing = consoleFraming();

/** A message whose bytes tell their place, so that a swapped line cannot pass. */
function messageOf(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8) * 7 + size) & 0xff);
}

function message(bytes: Uint8Array): Received {
  return { kind: "message", bytes };
}

function text(words: string): Received {
  return { kind: "text", text: words };
}

function fault(code: string, numbers: object = {}): unknown {
  return expect.objectContaining({ kind: "fault", code, ...numbers });
}

/** Short to compare: deep equality of long byte arrays takes most of a second per megabyte. */
function summary(received: readonly Received[]): string[] {
  return received.map((entry) => (entry.kind === "message" ? hex(entry.bytes) : JSON.stringify(entry)));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function hearInPieces(decoder: Decoder, wire: Uint8Array, size: number): Received[] {
  const received: Received[] = [];
  for (let at = 0; at < wire.length; at += size) received.push(...decoder.push(wire.subarray(at, at + size)));
  return received;
}

const hear = (...wire: (string | Uint8Array)[]): Received[] =>
  framing.decoder().push(concat(...wire.map((part) => (typeof part === "string" ? latin1(part) : part))));

describe("CRC16", () => {
  test("has the published values of the XMODEM variant", () => {
    expect(crc16(latin1("123456789"))).toBe(0x31c3);
    expect(crc16(new Uint8Array(0))).toBe(0);
  });

  test("over a message and its CRC is 0", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const crc = crc16(bytes);
        expect(crc).toBe(slowCrc(bytes));
        expect(crc16(concat(bytes, Uint8Array.of(crc >> 8, crc & 0xff)))).toBe(0);
      }),
    );
  });
});

describe("encoding", () => {
  test("every size gives the lines another sender gives, none longer than 127 bytes", () => {
    for (let size = 0; size <= 2100; size++) {
      const wire = framing.encode(messageOf(size));
      expect(hex(wire)).toBe(hex(wireOf(messageOf(size), "mcuboot")));
      const r = size + 4;
      expect(wire.length).toBe(4 * Math.ceil(r / 3) + 3 * Math.ceil(r / 93));
    }
  });

  test.each([7, 8, 11, 64, 100, 127, 128, 512])(
    "lines of %i bytes: as asked, each decodable alone",
    (lineLength) => {
      const narrow = consoleFraming({ lineLength });
      for (const size of [0, 1, 2, 8, 50, 91, 300]) {
        const wire = narrow.encode(messageOf(size));
        for (const line of Buffer.from(wire).toString("latin1").split("\n").slice(0, -1)) {
          expect(line.length + 1).toBeLessThanOrEqual(lineLength);
          expect((line.length - 2) % 4).toBe(0);
        }
        expect(narrow.decoder().push(wire)).toEqual([message(messageOf(size))]);
      }
    },
  );

  test("refuses lines without room for base64, and messages its length cannot count", () => {
    expect(() => consoleFraming({ lineLength: 6 })).toThrow(
      expect.objectContaining({ code: "out-of-range" }),
    );
    expect(() => consoleFraming({ lineLength: Number.NaN })).toThrow();
    expect(() => framing.encode(new Uint8Array(65_534))).toThrow(
      expect.objectContaining({ code: "out-of-range" }),
    );
    const longest = messageOf(65_533);
    expect(summary(framing.decoder().push(framing.encode(longest)))).toEqual([hex(longest)]);
  });
});

describe("decoding", () => {
  test.each(SPLITS)("every size up to 2100, lines cut as %s does", (split) => {
    const decoder = framing.decoder();
    for (let size = 0; size <= 2100; size++) {
      expect(summary(decoder.push(wireOf(messageOf(size), split)))).toEqual([hex(messageOf(size))]);
    }
  });

  test.each(SPLITS)("every split of the chunks (%s)", (split) => {
    const sent = [messageOf(17), messageOf(250), messageOf(0)];
    const wire = concat(latin1("boot\r\n"), ...sent.map((bytes) => wireOf(bytes, split)), latin1("end\n"));
    const expected = [text("boot"), ...sent.map(message), text("end")];
    for (let size = 1; size <= wire.length; size++)
      expect(hearInPieces(framing.decoder(), wire, size)).toEqual(expected);
    for (let cut = 0; cut <= wire.length; cut++) {
      const decoder = framing.decoder();
      expect([...decoder.push(wire.subarray(0, cut)), ...decoder.push(wire.subarray(cut))]).toEqual(expected);
    }
  });

  test("log text between the lines stays apart and in order", () => {
    const [first, second, third] = linesOf(messageOf(200), "zephyr");
    const log = "[00:00:01.000] <inf> x\r\n";
    expect(hear("a\n", first!, log, second!, "\r\n", "b\n", third!, "c\n")).toEqual([
      text("a"),
      text("[00:00:01.000] <inf> x"),
      text("b"),
      message(messageOf(200)),
      text("c"),
    ]);
  });

  test("a prompt or an unfinished log line may precede any line of a frame", () => {
    const [first, second, third] = linesOf(messageOf(200), "mcuboot");
    expect(hear("\x1b[1;32muart:~$ \x1b[m", first!, "half a log", second!, third!)).toEqual([
      text("\x1b[1;32muart:~$ \x1b[m"),
      text("half a log"),
      message(messageOf(200)),
    ]);
  });

  test("a carriage return before the line feed is tolerated", () => {
    const wire = linesOf(messageOf(200), "mcuboot").map((line) => line.replace("\n", "\r\n"));
    expect(hear(...wire)).toEqual([message(messageOf(200))]);
  });

  test("a lost line feed between two lines of a frame is made good", () => {
    const wire = linesOf(messageOf(200), "mcuboot").join("").replaceAll("\n", "");
    expect(hear(wire, "\n")).toEqual([message(messageOf(200))]);
  });

  test("text that is not ASCII is read as UTF-8; what is not is replaced, not lost", () => {
    expect(hear(new TextEncoder().encode("21 °C, ok ✓\n"))).toEqual([text("21 °C, ok ✓")]);
    expect(hear(Uint8Array.of(0x41, 0xff, 0x42, 0x0a))).toEqual([text("A\ufffdB")]);
  });

  test("messages are copies", () => {
    const wire = framing.encode(messageOf(20));
    const [received] = framing.decoder().push(wire);
    wire.fill(0);
    expect(received).toEqual(message(messageOf(20)));
  });
});

/** G02 of the golden messages, and what happens to it on the way. Numbers N1 to N10 are those of the facts. */
describe("a frame that was damaged", () => {
  const g02 = fromHex("0a00000900004200a161646568656c6c6f");
  const good = "\x06\x09ABMKAAAJAABCAKFhZGVoZWxsb0YZ\n";
  const pieces = [
    "\x06\x09ABMKAAAJ\n",
    "\x04\x14AABCAKFh\n",
    "\x04\x14ZGVoZWxs\n",
    "\x04\x14b0YZ\n",
  ] as const;

  test.each([
    [
      "N1 one bit of the CRC",
      ["\x06\x09ABMKAAAJAABCAKFhZGVoZWxsb0YY\n"],
      [fault("crc", { expected: 0x4618, got: 0x4619 })],
    ],
    [
      "N2 length too large: the next frame shows it",
      ["\x06\x09ABcKAAAJAABCAKFhZGVoZWxsb0YZ\n", good],
      [fault("length", { expected: 23, got: 19 }), message(g02)],
    ],
    [
      "N3 length too small",
      ["\x06\x09AA8KAAAJAABCAKFhZGVoZWxsb0YZ\n"],
      [fault("length", { expected: 15, got: 19 })],
    ],
    [
      "N4 CRC bytes swapped",
      ["\x06\x09ABMKAAAJAABCAKFhZGVoZWxsbxlG\n"],
      [fault("crc", { expected: 0x1946 })],
    ],
    ["N5 short lines are none", pieces, [message(g02)]],
    [
      "N6 nor is text between them",
      pieces.flatMap((line) => [line, "[00:00:01.000,000] <inf> x\r\n"]).slice(0, -1),
      [
        text("[00:00:01.000,000] <inf> x"),
        text("[00:00:01.000,000] <inf> x"),
        text("[00:00:01.000,000] <inf> x"),
        message(g02),
      ],
    ],
    ["N7 a last line alone", ["\x04\x14b0YZ\n", "\x04\x14b0YZ\n"], [fault("orphan")]],
    ["N8 a prompt before it is none", ["uart:~$ ", good], [text("uart:~$ "), message(g02)]],
    ["N9 begun again", [pieces[0], good], [fault("length", { expected: 19, got: 4 }), message(g02)]],
    [
      "N10 CRC begun with 0xFFFF",
      ["\x06\x09ABMKAAAJAABCAKFhZGVoZWxsb4H1\n"],
      [fault("crc", { expected: 0x81f5 })],
    ],
    ["a missing line", [pieces[0], pieces[1], pieces[3], good], [fault("length"), message(g02)]],
    ["lines swapped", [pieces[0], pieces[2], pieces[1], pieces[3]], [fault("crc")]],
    [
      "a character that is not base64",
      ["\x06\x09ABMK*AAJAABCAKFhZGVoZWxsb0YZ\n", good],
      [fault("base64"), message(g02)],
    ],
    [
      "N12 a line cut inside a group",
      ["\x06\x09ABMKAAAJA\n", "\x04\x14ABCAKFhZGVoZWxsb0YZ\n", good],
      [fault("base64"), message(g02)],
    ],
    [
      "log text inside a line",
      ["\x06\x09ABMKAAAJ<err> oops\n", ...pieces.slice(2), good],
      [fault("base64"), message(g02)],
    ],
    ["a line of nothing but a marker", ["\x06\x09\n", good], [fault("base64"), message(g02)]],
    ["a first line without a whole length", ["\x06\x09AA==\n", good], [fault("length"), message(g02)]],
    [
      "a length too small for a CRC",
      ["\x06\x09AAEA\n", good],
      [fault("length", { expected: 1 }), message(g02)],
    ],
  ] as [string, readonly string[], unknown[]][])("%s", (_name, wire, expected) => {
    expect(hear(...wire)).toEqual(expected);
    expect(hearInPieces(framing.decoder(), latin1(wire.join("")), 1)).toEqual(expected);
  });

  test("in any byte never passes as another message, and the next frame is heard", () => {
    const sent = messageOf(120);
    const wire = framing.encode(sent);
    fc.assert(
      fc.property(fc.nat(wire.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = wire.slice();
        damaged[at]! ^= flip;
        const received = framing.decoder().push(concat(damaged, latin1("\n"), wire));
        const messages = received.filter(({ kind }) => kind === "message");
        expect(messages.length).toBeGreaterThanOrEqual(1);
        for (const entry of messages) expect(entry).toEqual(message(sent));
      }),
      { numRuns: 500 },
    );
  });

  test("any line dropped: no wrong message, and the next frame is heard", () => {
    const lines = linesOf(messageOf(500), "mcuboot");
    for (let lost = 0; lost < lines.length; lost++) {
      const received = hear(...lines.filter((_, index) => index !== lost), good);
      expect(received.filter(({ kind }) => kind === "message")).toEqual([message(g02)]);
      expect(received.some(({ kind }) => kind === "fault")).toBe(true);
    }
  });
});

describe("bounds", () => {
  test("a frame longer than wanted is reported once, at its first line, and dropped", () => {
    const decoder = framing.decoder({ maxMessage: 100 });
    expect(decoder.push(framing.encode(messageOf(100)))).toEqual([message(messageOf(100))]);
    expect(decoder.push(framing.encode(messageOf(500)))).toEqual([
      fault("too-long", { expected: 102, got: 502 }),
    ]);
    expect(decoder.push(framing.encode(messageOf(20)))).toEqual([message(messageOf(20))]);
  });

  test("a frame line without an end is given up and swallowed", () => {
    const received = hear("x\x06\x09", "A".repeat(20_000), "\n", framing.encode(messageOf(5)));
    expect(received).toEqual([text("x"), fault("too-long", { expected: 4096 }), message(messageOf(5))]);
  });

  test("text without an end comes in pieces, nothing lost, and a marker at any place is found", () => {
    for (const length of [4094, 4095, 4096, 4097, 8190, 8191, 8192, 20_000]) {
      const received = hear("t".repeat(length), framing.encode(messageOf(5)));
      const words = received.flatMap((entry) => (entry.kind === "text" ? [entry.text] : []));
      expect(words.join("")).toBe("t".repeat(length));
      expect(Math.max(...words.map((piece) => piece.length))).toBeLessThanOrEqual(4096);
      expect(received.at(-1)).toEqual(message(messageOf(5)));
    }
  });

  test("an endless frame of tiny or empty lines ends by its length", () => {
    const decoder = framing.decoder();
    const tiny = latin1("\x04\x14AQ==\n\x04\x14Ag==\n".repeat(50_000));
    const received = [...decoder.push(latin1("\x06\x09gAAA\n")), ...decoder.push(tiny)];
    expect(received).toEqual([fault("crc")]);
    expect(hear("\x06\x09gAAA\n", "\x04\x14\n".repeat(1000))).toEqual([fault("base64")]);
  });

  test("any noise gives values, never an exception, and a frame behind it is heard", () => {
    const marker = fc.constantFrom(0x06, 0x09, 0x04, 0x14, 0x0a, 0x0d, 0x41, 0x3d);
    const noise = fc.array(fc.oneof(marker, fc.nat(255)), { maxLength: 400 });
    fc.assert(
      fc.property(noise, fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        const decoder = framing.decoder();
        hearInPieces(decoder, Uint8Array.from(bytes), size);
        decoder.push(latin1("\n"));
        expect(decoder.push(framing.encode(messageOf(120))).at(-1)).toEqual(message(messageOf(120)));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("giving up", () => {
  test("hands out text without a line end and reports the frame whose rest never came", () => {
    const decoder = framing.decoder();
    decoder.push(latin1(linesOf(messageOf(200), "mcuboot")[0]!));
    expect(decoder.push(latin1("uart:~$ "))).toEqual([]);
    expect(decoder.flush()).toEqual([text("uart:~$ "), fault("length", { expected: 202, got: 91 })]);
    expect(decoder.flush()).toEqual([]);
    expect(decoder.push(framing.encode(messageOf(5)))).toEqual([message(messageOf(5))]);
  });
});
