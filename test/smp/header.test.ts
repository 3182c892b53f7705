import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex } from "../../src/bytes.js";
import { answers, decodeHeader, encodeHeader, joinMessage, OPS, readMessage } from "../../src/smp/header.js";

const header = { version: 2, op: "write", flags: 0, length: 9, group: 0x1234, seq: 0x42, id: 7 } as const;

// The first byte of every message: facts of smp_protocol.rst, version and op side by side.
test.each([
  ["00", 1, "read"],
  ["01", 1, "read-rsp"],
  ["02", 1, "write"],
  ["03", 1, "write-rsp"],
  ["08", 2, "read"],
  ["09", 2, "read-rsp"],
  ["0a", 2, "write"],
  ["0b", 2, "write-rsp"],
] as const)("first byte %s is version %i %s", (first, version, op) => {
  const bytes = fromHex(`${first}00000912344207`);
  expect(decodeHeader(bytes)).toEqual({ ...header, version, op });
  expect(encodeHeader({ ...header, version, op })).toEqual(bytes);
});

test("every other first byte is no SMP", () => {
  const known = new Set([0, 1, 2, 3, 8, 9, 10, 11]);
  for (let first = 0; first < 256; first++) {
    const read = () => decodeHeader(Uint8Array.of(first, 0, 0, 0, 0, 0, 0, 0));
    if (known.has(first)) expect(read).not.toThrow();
    else expect(read).toThrow(expect.objectContaining({ code: "not-smp", got: first }));
  }
});

test("all headers are read back", () => {
  const byte = fc.nat(0xff);
  const arbitrary = fc.record({
    version: fc.constantFrom(1, 2),
    op: fc.constantFrom("read", "read-rsp", "write", "write-rsp"),
    flags: byte,
    length: fc.nat(0xffff),
    group: fc.nat(0xffff),
    seq: byte,
    id: byte,
  });
  fc.assert(
    fc.property(arbitrary, (any) => {
      expect(decodeHeader(encodeHeader(any))).toEqual(any);
    }),
  );
});

test.each([
  ["seq", 256],
  ["seq", -1],
  ["group", 0x10000],
  ["id", 1.5],
  ["length", 0x10000],
])("%s %d does not fit", (field, value) => {
  expect(() => encodeHeader({ ...header, [field]: value })).toThrow(
    expect.objectContaining({ code: "out-of-range" }),
  );
});

describe("a whole message", () => {
  test("is header and payload, the length following from it", () => {
    const message = joinMessage(header, Uint8Array.of(0xa0));
    expect(message).toEqual(fromHex("0a00000112344207a0"));
    expect(readMessage(message)).toEqual({ header: { ...header, length: 1 }, payload: Uint8Array.of(0xa0) });
  });

  test.each([
    ["0a0000011234420", "message-too-short", 8, 7],
    ["", "message-too-short", 8, 0],
    ["0a00000212344207a0", "length", 2, 1],
    ["0a00000012344207a0", "length", 0, 1],
  ])("%j is refused as %s", (hex, code, expected, got) => {
    const bytes = fromHex(hex.length % 2 === 0 ? hex : hex.slice(0, -1));
    expect(() => readMessage(bytes)).toThrow(
      expect.objectContaining({ name: "MessageError", code, expected, got }),
    );
  });
});

describe("an answer", () => {
  const answer = { ...header, op: "write-rsp", length: 3 } as const;

  test("repeats seq, group and command, with op plus one", () => {
    expect(answers(answer, header)).toBe(true);
    expect(answers({ ...answer, op: "read-rsp" }, { ...header, op: "read" })).toBe(true);
    expect(OPS["write-rsp"]).toBe(3);
  });

  test("may come in version 1 form, from servers that know no other", () => {
    expect(answers({ ...answer, version: 1 }, header)).toBe(true);
  });

  test.each([{ seq: 0x41 }, { group: 1 }, { id: 6 }, { op: "read-rsp" }, { op: "write" }] as const)(
    "with %j is none",
    (other) => {
      expect(answers({ ...answer, ...other }, header)).toBe(false);
    },
  );
});
