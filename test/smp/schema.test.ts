import { describe, expect, expectTypeOf, test } from "vitest";
import type { RequestOf, ResponseOf } from "../../src/smp/command.js";
import type { imageList, imageUpload } from "../../src/smp/groups/image.js";
import type { osMemoryPools, osTaskStats } from "../../src/smp/groups/os.js";
import type { shellExec } from "../../src/smp/groups/shell.js";
import type { statRead } from "../../src/smp/groups/stat.js";
import type { Kind, TypeOf } from "../../src/smp/schema.js";
import {
  anything,
  bool,
  bytes,
  int,
  list,
  object,
  optional,
  record,
  text,
  uint,
  uint64,
} from "../../src/smp/schema.js";

const hear = <T>(kind: Kind<T>, value: unknown): T => kind.check(value, "", "hear");

describe("types follow from declarations", () => {
  test("of a request", () => {
    expectTypeOf<RequestOf<typeof imageUpload>>().toEqualTypeOf<{
      readonly off: number;
      readonly data: Uint8Array;
      readonly len?: number | undefined;
      readonly sha?: Uint8Array | undefined;
      readonly image?: number | undefined;
      readonly upgrade?: boolean | undefined;
    }>();
    expectTypeOf<RequestOf<typeof shellExec>>().toEqualTypeOf<{ readonly argv: readonly string[] }>();
    expectTypeOf<keyof RequestOf<typeof imageList>>().toEqualTypeOf<never>();
  });

  test("of a response", () => {
    expectTypeOf<ResponseOf<typeof imageUpload>>().toEqualTypeOf<{
      readonly off: number;
      readonly match?: boolean | undefined;
    }>();
    type Slot = ResponseOf<typeof imageList>["images"][number];
    expectTypeOf<Slot["hash"]>().toEqualTypeOf<Uint8Array | undefined>();
    expectTypeOf<Slot["slot"]>().toEqualTypeOf<number>();
    expectTypeOf<ResponseOf<typeof statRead>["fields"]>().toEqualTypeOf<
      Readonly<Record<string, number | bigint>>
    >();
    expectTypeOf<ResponseOf<typeof osTaskStats>["tasks"][string]["prio"]>().toEqualTypeOf<number>();
    expectTypeOf<ResponseOf<typeof osMemoryPools>[string]["nfree"]>().toEqualTypeOf<number>();
  });

  test("of kinds", () => {
    expectTypeOf<TypeOf<typeof uint64>>().toEqualTypeOf<number | bigint>();
    const nested = object({ a: list(object({ b: optional(int) })), c: anything });
    expectTypeOf<TypeOf<typeof nested>>().toEqualTypeOf<{
      readonly a: readonly { readonly b?: number | undefined }[];
      readonly c: unknown;
    }>();
  });
});

describe("a value of the right kind passes", () => {
  test.each([
    [uint, 0],
    [uint, Number.MAX_SAFE_INTEGER],
    [int, -1],
    [uint64, 2n ** 64n - 1n],
    [uint64, 5],
    [text, ""],
    [bool, false],
    [bytes(), Uint8Array.of(1)],
    [bytes(2), Uint8Array.of(1, 2)],
    [anything, null],
    [list(uint), [1, 2]],
    [record(text), { any: "x" }],
    [object({ a: optional(uint) }), {}],
  ] as readonly [Kind<unknown>, unknown][])("$0.name (%#)", (kind, value) => {
    expect(hear(kind, value)).toEqual(value);
  });
});

describe("a value of another kind names where and what", () => {
  const shape = object({
    images: list(object({ hash: bytes(2), slot: uint })),
    tasks: record(object({ prio: int })),
  });
  const good = { images: [{ hash: Uint8Array.of(1, 2), slot: 0 }], tasks: { "main.x": { prio: -1 } } };

  test("nothing wrong", () => {
    expect(hear(shape, good)).toEqual(good);
  });

  test.each([
    [
      { ...good, images: [good.images[0], { hash: Uint8Array.of(1), slot: 1 }] },
      "wrong-kind",
      "images[1].hash",
      "bytes(2)",
      "1 bytes",
    ],
    [{ ...good, images: [{ slot: 1 }] }, "missing", "images[0].hash", "bytes(2)", "nothing"],
    [{ ...good, images: {} }, "wrong-kind", "images", "list of map with hash, slot", "a map"],
    [{ ...good, tasks: { idle: { prio: "x" } } }, "wrong-kind", "tasks.idle.prio", "int", 'the text "x"'],
    [{ ...good, tasks: [] }, "wrong-kind", "tasks", "map of map with prio", "a list of 0"],
    [{ images: [] }, "missing", "tasks", "map of map with prio", "nothing"],
    [null, "wrong-kind", "", "map with images, tasks", "null"],
    [Uint8Array.of(1), "wrong-kind", "", "map with images, tasks", "1 bytes"],
  ])("%#: %s", (value, code, path, expected, got) => {
    expect(() => hear(shape, value)).toThrow(
      expect.objectContaining({ name: "ShapeError", code, path, expected, got }),
    );
  });

  test.each([
    [uint, -1],
    [uint, 1.5],
    [uint, 2n ** 60n],
    [uint, "1"],
    [int, Number.NaN],
    [uint64, -1n],
    [uint64, 2n ** 64n],
    [uint64, 1.5],
    [text, 1],
    [text, Uint8Array.of(0x41)],
    [bool, 0],
    [bytes(), "41"],
    [bytes(), [1]],
    [optional(uint), null],
  ] as readonly [Kind<unknown>, unknown][])("$0.name is not $1", (kind, value) => {
    expect(() => hear(object({ x: kind }), { x: value })).toThrow(
      expect.objectContaining({ code: "wrong-kind", path: "x", expected: kind.name }),
    );
  });

  test("in a sentence", () => {
    expect(() => hear(object({ off: uint }), { off: "x".repeat(100) })).toThrow(
      '"off" should be uint, not a long text.',
    );
    expect(() => hear(object({ off: uint }), {})).toThrow('"off" is missing (should be uint).');
    expect(() => hear(object({ off: uint }), 7)).toThrow(
      '"payload" should be map with off, not the number 7.',
    );
  });
});

describe("keys nobody declared", () => {
  const shape = object({ off: uint, inner: optional(object({ a: uint })) });

  test("are kept when heard: servers, hooks and vendor trees add some", () => {
    const value = { off: 1, security_counter: 7, inner: { a: 1, extra: [true] } };
    expect(hear(shape, value)).toEqual(value);
  });

  test("are a mistake when said, at any depth", () => {
    const say = (value: unknown) => () => shape.check(value, "", "say");
    expect(say({ off: 1, offset: 1 })).toThrow(
      expect.objectContaining({ code: "unknown-key", path: "offset" }),
    );
    expect(say({ off: 1, inner: { a: 1, b: 1 } })).toThrow(
      expect.objectContaining({ code: "unknown-key", path: "inner.b", expected: "a" }),
    );
  });

  test.each(["__proto__", "constructor", "toString", "hasOwnProperty"])("may be called %s", (key) => {
    const hostile = JSON.parse(`{"off": 1, "${key}": {"polluted": true}}`);
    const heard = hear(shape, hostile) as Record<string, unknown>;
    expect(Object.hasOwn(heard, key)).toBe(true);
    expect(Object.getPrototypeOf(heard)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(Object.keys(hear(record(anything), hostile))).toEqual(["off", key]);
    expect(() => hear(object({ [key]: uint }), {})).toThrow(expect.objectContaining({ code: "missing" }));
  });
});

test("optional keys that are undefined are not said", () => {
  const shape = object({ a: uint, b: optional(uint), c: optional(text) });
  expect(Object.keys(shape.check({ c: "x", b: undefined, a: 1 }, "", "say"))).toEqual(["c", "a"]);
  expect(() => shape.check({ a: undefined }, "", "say")).toThrow(
    expect.objectContaining({ code: "missing", path: "a" }),
  );
});
