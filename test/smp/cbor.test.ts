import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex, toHex } from "../../src/bytes.js";
import { decodeCbor, encodeCbor, MAX_DEPTH, MAX_ITEMS } from "../../src/smp/cbor.js";

/** RFC 8949, appendix A: every example of a kind SMP uses. */
const RFC_8949 = [
  ["00", 0],
  ["0a", 10],
  ["17", 23],
  ["1818", 24],
  ["1819", 25],
  ["1864", 100],
  ["1903e8", 1000],
  ["1a000f4240", 1_000_000],
  ["1b000000e8d4a51000", 1_000_000_000_000],
  ["1bffffffffffffffff", 18_446_744_073_709_551_615n],
  ["3bfffffffffffffffe", -18_446_744_073_709_551_615n],
  ["3bffffffffffffffff", -18_446_744_073_709_551_616n],
  ["20", -1],
  ["29", -10],
  ["3863", -100],
  ["3903e7", -1000],
  ["f4", false],
  ["f5", true],
  ["f6", null],
  ["40", new Uint8Array(0)],
  ["4401020304", Uint8Array.of(1, 2, 3, 4)],
  ["60", ""],
  ["6161", "a"],
  ["6449455446", "IETF"],
  ["62225c", '"\\'],
  ["62c3bc", "ü"],
  ["63e6b0b4", "水"],
  ["64f0908591", "𐅑"],
  ["80", []],
  ["83010203", [1, 2, 3]],
  ["8301820203820405", [1, [2, 3], [4, 5]]],
  ["98190102030405060708090a0b0c0d0e0f101112131415161718181819", Array.from({ length: 25 }, (_, i) => i + 1)],
  ["a0", {}],
  ["a26161016162820203", { a: 1, b: [2, 3] }],
  ["826161a161626163", ["a", { b: "c" }]],
  ["a56161614161626142616361436164614461656145", { a: "A", b: "B", c: "C", d: "D", e: "E" }],
  ["fb3ff199999999999a", 1.1],
] as const;

test.each(RFC_8949)("RFC 8949: %s both ways", (hex, value) => {
  expect(decodeCbor(fromHex(hex))).toEqual(value);
  expect(toHex(encodeCbor(value))).toBe(hex);
});

test.each([
  ["9fff", []],
  ["9f018202039f0405ffff", [1, [2, 3], [4, 5]]],
  ["83018202039f0405ff", [1, [2, 3], [4, 5]]],
  ["bf61610161629f0203ffff", { a: 1, b: [2, 3] }],
  ["bf6346756ef563416d7421ff", { Fun: true, Amt: -2 }],
  ["f93c00", 1],
  ["fa47c35000", 100_000],
  ["a10102", { "1": 2 }],
  ["1b0000000000000005", 5],
  ["1b001fffffffffffff", Number.MAX_SAFE_INTEGER],
  ["1b0020000000000000", 2n ** 53n],
] as const)("decoded only: %s", (hex, value) => {
  expect(decodeCbor(fromHex(hex))).toEqual(value);
});

describe("encoding", () => {
  test.each([
    0,
    23,
    24,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 1,
    -1,
    -24,
    -25,
    -257,
    -(2 ** 32),
    -(2 ** 32) - 1,
  ])("%d has the shortest head and comes back", (value) => {
    const bytes = encodeCbor(value);
    const magnitude = value < 0 ? -1 - value : value;
    const shortest = [1, 2, 3, 5].find((_, index) => magnitude < [24, 256, 65_536, 2 ** 32][index]!) ?? 9;
    expect(bytes).toHaveLength(shortest);
    expect(decodeCbor(bytes)).toBe(value);
    expect(encodeCbor(BigInt(value))).toEqual(bytes);
  });

  test.each([23, 24, 31, 32, 255, 256, 300])("text and maps of %i have the shortest head", (count) => {
    const head = count < 24 ? 1 : count < 256 ? 2 : 3;
    expect(encodeCbor("x".repeat(count))).toHaveLength(head + count);
    expect(encodeCbor("é".repeat(10))).toHaveLength(1 + 20);
    const map = Object.fromEntries(Array.from({ length: count }, (_, index) => [String(1000 + index), 0]));
    expect(encodeCbor(map)).toHaveLength(head + count * 6);
  });

  test("keeps the order of keys, leaves undefined ones out, and takes views for what they show", () => {
    expect(toHex(encodeCbor({ b: 1, c: undefined, a: 2 }))).toBe("a2616201616102");
    expect(toHex(encodeCbor(Uint8Array.of(9, 1, 2, 9).subarray(1, 3)))).toBe("420102");
    expect(toHex(encodeCbor(Buffer.from([1, 2])))).toBe("420102");
    expect(toHex(encodeCbor(JSON.parse('{"__proto__": 1}')))).toBe("a1695f5f70726f746f5f5f01");
  });

  test("an earlier result stays what it was", () => {
    const first = encodeCbor("one");
    encodeCbor("two");
    expect(decodeCbor(first)).toBe("one");
  });

  test.each([
    [() => 0],
    [Symbol("s")],
    [new Date(0)],
    [new Map()],
    [undefined],
    [2n ** 64n],
    [-(2n ** 64n) - 1n],
  ])("a value that SMP has no form for is refused (%#)", (value) => {
    expect(() => encodeCbor({ value: [value] })).toThrow(expect.objectContaining({ code: "unencodable" }));
  });

  test("what fits no message is refused", () => {
    expect(() => encodeCbor(new Uint8Array(65_533))).toThrow(expect.objectContaining({ code: "too-big" }));
    expect(encodeCbor(new Uint8Array(65_532))).toHaveLength(65_535);
    const circle: unknown[] = [];
    circle.push(circle);
    expect(() => encodeCbor(circle)).toThrow(expect.objectContaining({ code: "too-deep" }));
  });
});

describe("hostile payloads", () => {
  const repeat = (hex: string, count: number) => fromHex(hex.repeat(count));
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ["nothing", new Uint8Array(0), "cbor-truncated"],
    ["a list of 4 294 967 295 items", fromHex("9affffffff"), "cbor-truncated"],
    ["a map of 2^64-1 pairs", fromHex("bbffffffffffffffff"), "cbor-truncated"],
    ["a text of 2^64-1 bytes", fromHex("7bffffffffffffffff"), "cbor-truncated"],
    ["2 GiB of bytes", fromHex("5a7fffffff00"), "cbor-truncated"],
    ["lists in lists without end", repeat("81", 60_000), "too-deep"],
    ["indefinite lists in lists", repeat("9f", 60_000), "too-deep"],
    ["maps in maps", concat(repeat("a16161", 20_000), fromHex("a0")), "too-deep"],
    ["a list of very many items", concat(fromHex("99fff0"), repeat("00", 65_520)), "too-big"],
    ["more bytes than a message has", concat(fromHex("5a00010000"), new Uint8Array(65_536)), "too-big"],
    ["an indefinite list that does not end", fromHex("9f0102"), "cbor-truncated"],
    ["an indefinite map that does not end", fromHex("bf616101"), "cbor-truncated"],
    ["a map that ends behind a key", fromHex("bf6161ff"), "malformed"],
    ["a map that ends behind a key for good", fromHex("a16161"), "cbor-truncated"],
    ["a stray stop", fromHex("ff"), "malformed"],
    ["a stop in a definite list", fromHex("8201ff"), "malformed"],
    ["two items", fromHex("0000"), "trailing"],
    ["bytes behind a map", fromHex("a000"), "trailing"],
    ["a reserved length", fromHex("1c"), "malformed"],
    ["an indefinite number", fromHex("1f"), "malformed"],
    ["bytes in pieces", fromHex("5f42010243030405ff"), "unsupported"],
    ["text in pieces", fromHex("7f61616162ff"), "unsupported"],
    ["a date tag", fromHex("c11a514b67b0"), "unsupported"],
    ["a big number tag", fromHex("c249010000000000000000"), "unsupported"],
    ["a record definition of cbor-x", fromHex("d9dfff8301816161f6"), "unsupported"],
    ["a packed table of cbor-x", fromHex("d83384808080e0"), "unsupported"],
    ["a shared reference of cbor-x", fromHex("d81d00"), "unsupported"],
    ["a regular expression of cbor-x", fromHex("d81b8266526567457870632e2a2b"), "unsupported"],
    ["a packed value of cbor-x", fromHex("e0"), "unsupported"],
    ["a list as key", fromHex("a1800000"), "unsupported"],
    ["a map as key", fromHex("a1a000"), "unsupported"],
    ["a simple value in two bytes", fromHex("f820"), "unsupported"],
    ["half a float", fromHex("fb3ff1"), "cbor-truncated"],
  ];

  test.each(cases)("%s", (_name, bytes, code) => {
    expect(() => decodeCbor(bytes)).toThrow(expect.objectContaining({ name: "CborError", code }));
  });

  test("as deep and as many as allowed is fine", () => {
    const deep = concat(repeat("81", MAX_DEPTH), fromHex("00"));
    expect(JSON.stringify(decodeCbor(deep))).toBe(`${"[".repeat(MAX_DEPTH)}0${"]".repeat(MAX_DEPTH)}`);
    const many = concat(fromHex("993fff"), new Uint8Array(MAX_ITEMS - 1));
    expect(decodeCbor(many)).toHaveLength(MAX_ITEMS - 1);
  });

  test("a key __proto__ is a key, and changes nothing", () => {
    const value = decodeCbor(fromHex("a1695f5f70726f746f5f5fa16261641863")) as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(value.bad).toBeUndefined();
    expect(({} as Record<string, unknown>).bad).toBeUndefined();
  });

  test("decoded bytes are the reader's own", () => {
    const payload = fromHex("420102");
    const value = decodeCbor(payload) as Uint8Array;
    payload.fill(0);
    expect(value).toEqual(Uint8Array.of(1, 2));
    expect(Buffer.isBuffer(value)).toBe(false);
  });

  test("no bytes at all do anything but decode or throw CborError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeCbor(bytes);
        } catch (error) {
          expect(error).toMatchObject({ name: "CborError" });
        }
      }),
      { numRuns: 3000 },
    );
  });
});

test("any payload comes back", () => {
  const scalar = fc.oneof(
    fc.boolean(),
    fc.constant(null),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
    fc.string({ unit: "grapheme", maxLength: 40 }),
    fc.uint8Array({ maxLength: 40 }),
  );
  const payload = fc.dictionary(
    fc.string({ maxLength: 12 }),
    fc.oneof(scalar, fc.array(fc.oneof(scalar, fc.dictionary(fc.string({ maxLength: 8 }), scalar)))),
  );
  fc.assert(
    fc.property(payload, (value) => {
      expect(decodeCbor(encodeCbor(value))).toEqual({ ...value });
    }),
    { numRuns: 500 },
  );
});
