import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { asText, decodeSetting, encodeSetting, SETTING_TYPES } from "../../src/smp/setting-value.js";

/** Bytes as a little endian C compiler lays them out. */
test.each([
  ["u8", "255", "ff"],
  ["u16", "0x1234", "3412"],
  ["u32", "70000", "70110100"],
  ["u64", "18446744073709551615", "ffffffffffffffff"],
  ["i8", "-1", "ff"],
  ["i16", "-2", "feff"],
  ["i32", "-70000", "90eefeff"],
  ["i64", "-9223372036854775808", "0000000000000080"],
  ["f32", "1.5", "0000c03f"],
  ["f64", "-2", "00000000000000c0"],
  ["bool", "on", "01"],
  ["bool", "FALSE", "00"],
  ["text", "Grüße", "4772c3bcc39f65"],
  ["hex", "CAFE01", "cafe01"],
  ["base64", "yv4B", "cafe01"],
] as const)("%s %s is %s", (type, word, hex) => {
  const bytes = encodeSetting(type, word);
  expect(toHex(bytes)).toBe(hex);
  const back = decodeSetting(type, bytes);
  expect(toHex(encodeSetting(type, String(back)))).toBe(hex);
});

test("big endian has the high byte first", () => {
  expect(toHex(encodeSetting("u32", "0x01020304", { bigEndian: true }))).toBe("01020304");
  expect(decodeSetting("i16", fromHex("fffe"), { bigEndian: true })).toBe(-2);
  expect(toHex(encodeSetting("f32", "1.5", { bigEndian: true }))).toBe("3fc00000");
});

test.each([
  ["u8", "256"],
  ["u8", "-1"],
  ["i8", "128"],
  ["i8", "-129"],
  ["u64", "18446744073709551616"],
  ["u32", "1.5"],
  ["u32", ""],
  ["f32", "one"],
  ["f64", ""],
  ["bool", "maybe"],
  ["bool", "constructor"],
  ["hex", "abc"],
  ["base64", "a"],
] as const)("%s cannot be %s", (type, word) => {
  expect(() => encodeSetting(type, word)).toThrow(expect.objectContaining({ code: "bad-value", type }));
});

describe("what a device has that is not of the type", () => {
  test.each(["u16", "u32", "u64", "i16", "f32", "f64"] as const)("%s of another width", (type) => {
    expect(() => decodeSetting(type, Uint8Array.of(1))).toThrow(/has \d bytes, the device has 1: 01/);
  });

  test("text that is none", () => {
    expect(() => decodeSetting("text", Uint8Array.of(0xff, 0xfe))).toThrow(/is not a text/);
    expect(asText(fromHex("6100"))).toBe("a");
    expect(asText(fromHex("1b5b31"))).toBeUndefined();
  });
});

test("whatever bytes a device holds, reading them throws no other error", () => {
  fc.assert(
    fc.property(fc.constantFrom(...SETTING_TYPES), fc.uint8Array({ maxLength: 12 }), (type, bytes) => {
      try {
        decodeSetting(type, bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: "bad-value" });
      }
    }),
  );
});

test("integers come back as they went, of every width and sign", () => {
  const cases = fc.constantFrom("u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64");
  fc.assert(
    fc.property(cases, fc.bigInt(0n, 2n ** 64n - 1n), fc.boolean(), (type, random, bigEndian) => {
      const bits = Number(type.slice(1));
      const value = type.startsWith("i") ? BigInt.asIntN(bits, random) : BigInt.asUintN(bits, random);
      const bytes = encodeSetting(type, `${value}`, { bigEndian });
      expect(bytes).toHaveLength(bits / 8);
      expect(BigInt(decodeSetting(type, bytes, { bigEndian }) as number)).toBe(value);
    }),
  );
});
