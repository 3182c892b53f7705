import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as bytes from "../src/bytes.js";

const sample = Uint8Array.of(0x01, 0x82, 0x03, 0xf4, 0x05);

describe("reads", () => {
  test.each([
    ["u8", bytes.u8, 1, 0x82],
    ["u16be", bytes.u16be, 1, 0x8203],
    ["u16le", bytes.u16le, 1, 0x0382],
    ["u32be", bytes.u32be, 1, 0x8203f405],
    ["u32le", bytes.u32le, 0, 0xf4038201],
  ] as const)("%s", (_name, read, offset, expected) => {
    expect(read(sample, offset)).toBe(expected);
  });

  test.each([
    ["behind the end", 2, 4],
    ["far behind the end", 2 ** 40, 4],
    ["before the start", -1, 1],
    ["between two bytes", 0.5, 1],
    ["nowhere", Number.NaN, 1],
  ])("%s: says where and that it is out of bounds", (_name, offset, length) => {
    expect(() => bytes.take(sample, offset, length)).toThrow(
      expect.objectContaining({ name: "BytesError", code: "out-of-bounds", offset }),
    );
    expect(() => bytes.u32le(sample, offset)).toThrow(bytes.BytesError);
  });

  test("take gives a view, also of nothing at the very end", () => {
    expect(bytes.take(sample, 5, 0)).toEqual(new Uint8Array(0));
    expect(bytes.take(sample, 1, 2).buffer).toBe(sample.buffer);
    expect(() => bytes.take(sample, 6, 0)).toThrow(bytes.BytesError);
    expect(() => bytes.take(sample, 0, -1)).toThrow(bytes.BytesError);
  });
});

describe("writes", () => {
  const pairs = [
    [bytes.putU8, bytes.u8, 1],
    [bytes.putU16be, bytes.u16be, 2],
    [bytes.putU16le, bytes.u16le, 2],
    [bytes.putU32be, bytes.u32be, 4],
    [bytes.putU32le, bytes.u32le, 4],
  ] as const;

  test("are read back, and touch nothing else", () => {
    for (const [put, read, width] of pairs) {
      fc.assert(
        fc.property(fc.nat(256 ** width - 1), fc.nat(8 - width), (value, offset) => {
          const target = new Uint8Array(8).fill(0xa5);
          put(target, offset, value);
          expect(read(target, offset)).toBe(value);
          const others = target.filter((_, index) => index < offset || index >= offset + width);
          expect(bytes.isFilledWith(others, 0xa5)).toBe(true);
        }),
      );
    }
  });

  test.each(pairs)("refuse what does not fit (%#)", (put, _read, width) => {
    const target = new Uint8Array(4);
    for (const value of [256 ** width, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => put(target, 0, value)).toThrow(expect.objectContaining({ code: "out-of-range" }));
    expect(() => put(target, 5 - width, 0)).toThrow(expect.objectContaining({ code: "out-of-bounds" }));
    expect(target).toEqual(new Uint8Array(4));
  });
});

test("concat joins in order, and copies", () => {
  const part = Uint8Array.of(1, 2);
  const joined = bytes.concat(part, new Uint8Array(0), Uint8Array.of(3));
  part[0] = 9;
  expect(joined).toEqual(Uint8Array.of(1, 2, 3));
  expect(bytes.concat()).toEqual(new Uint8Array(0));
});

test.each([bytes.equal, bytes.equalConstantTime])("equality (%#)", (same) => {
  expect(same(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(same(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(same(Uint8Array.of(0, 2), Uint8Array.of(1, 2))).toBe(false);
  expect(same(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false);
  expect(same(new Uint8Array(0), new Uint8Array(0))).toBe(true);
});

describe("hex", () => {
  test("both ways", () => {
    expect(bytes.toHex(sample)).toBe("018203f405");
    expect(bytes.fromHex("018203F405")).toEqual(sample);
    expect(bytes.toHex(sample.subarray(1, 3))).toBe("8203");
  });

  test.each([
    ["0", 1],
    ["0g", 1],
    ["00 11", 2],
    ["0x00", 1],
  ])("%j is refused at its position", (text, offset) => {
    expect(() => bytes.fromHex(text)).toThrow(expect.objectContaining({ code: "bad-text", offset }));
  });
});

describe("base64", () => {
  // RFC 4648, section 10.
  test.each([
    ["", ""],
    ["f", "Zg=="],
    ["fo", "Zm8="],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg=="],
    ["foobar", "Zm9vYmFy"],
  ])("%j", (text, base64) => {
    const plain = new TextEncoder().encode(text);
    expect(bytes.toBase64(plain)).toBe(base64);
    expect(bytes.fromBase64(base64)).toEqual(plain);
  });

  test.each(["Zg=", "Zg", "Zm9vY", "Z===", "====", "Zg==Zg==", "Zm 9v", "Zm9_", "Zm9-", "Zm9v\n", "=Zg="])(
    "%j is refused",
    (text) => {
      expect(() => bytes.fromBase64(text)).toThrow(expect.objectContaining({ code: "bad-text" }));
    },
  );

  test("any bytes survive", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (plain) => {
        expect(bytes.fromBase64(bytes.toBase64(plain))).toEqual(plain);
        expect(bytes.fromHex(bytes.toHex(plain))).toEqual(plain);
      }),
    );
  });
});

describe("filled with one value", () => {
  test("is told wherever the bytes begin, and wherever one of them differs", () => {
    const buffer = new ArrayBuffer(40);
    for (const value of [0, 0x7f, 0xff])
      for (let start = 0; start < 8; start++)
        for (let length = 0; length < 20; length++) {
          const view = new Uint8Array(buffer, start, length).fill(value);
          expect(bytes.isFilledWith(view, value)).toBe(true);
          for (let at = 0; at < length; at++) {
            view[at]! ^= 0x10;
            expect(bytes.isFilledWith(view, value), `${value} ${start} ${length} ${at}`).toBe(false);
            view[at]! ^= 0x10;
          }
        }
  });
});
