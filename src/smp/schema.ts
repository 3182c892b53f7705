import { BootproofError } from "../errors.js";

/**
 * Field kinds: what a value in a payload may be, checked at run time and known to the compiler. A declaration is written
 * once; types come out of it by inference and checks by calling {@link Kind.check}.
 */
export interface Kind<T> {
  /** For people: `uint`, `bytes(32)`, `list of text`. */
  readonly name: string;
  readonly form: Form;
  /** Of a list: the kind of its entries. */
  readonly item?: Kind<unknown>;
  /** The value itself when it is of this kind. Throws {@link ShapeError} naming `path`. */
  check(value: unknown, path: string, mode: CheckMode): T;
}

/** What a value is made of, for code that reads values written elsewhere, such as the words of a command line. */
export type Form = "uint" | "int" | "text" | "bool" | "bytes" | "list" | "map" | "anything";

/**
 * `hear`: what a device said; keys nobody declared are kept, since servers, hooks and vendor trees add some. `say`: what
 * we are about to send; an undeclared key is a mistake, and absent optional ones are left out.
 */
export type CheckMode = "hear" | "say";

/** A kind whose key may be missing. */
export interface Optional<T> extends Kind<T> {
  readonly optional: true;
}

/** The kind of a map with declared keys. */
export interface ObjectKind<F extends Fields> extends Kind<ObjectOf<F>> {
  readonly fields: F;
}

export type Fields = { readonly [key: string]: Kind<unknown> };
export type TypeOf<K> = K extends Kind<infer T> ? T : never;
type OptionalKeys<F> = { [K in keyof F]: F[K] extends Optional<unknown> ? K : never }[keyof F];
type Simplify<T> = { [K in keyof T]: T[K] } & {};
export type ObjectOf<F extends Fields> = Simplify<
  { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: TypeOf<F[K]> } & {
    readonly [K in OptionalKeys<F>]?: TypeOf<F[K]> | undefined;
  }
>;

export type ShapeErrorCode =
  /** A key that must be there is not. */
  | "missing"
  /** A value of another kind than declared. */
  | "wrong-kind"
  /** A key to be sent that the command does not have. */
  | "unknown-key";

/** A payload does not have the shape its command declares. */
export class ShapeError extends BootproofError {
  declare readonly code: ShapeErrorCode;
  /** Where: `images[1].hash`. */
  readonly path: string;
  /** The kind that was declared there. */
  readonly expected: string;
  /** What was there instead, in words. */
  readonly got: string;

  constructor(code: ShapeErrorCode, path: string, expected: string, got: string) {
    super(code, SHAPE_SENTENCES[code](path === "" ? "payload" : path, expected, got));
    this.path = path;
    this.expected = expected;
    this.got = got;
  }
}

const SHAPE_SENTENCES = {
  missing: (path: string, expected: string) => `"${path}" is missing (should be ${expected}).`,
  "wrong-kind": (path: string, expected: string, got: string) =>
    `"${path}" should be ${expected}, not ${got}.`,
  "unknown-key": (path: string, expected: string) => `"${path}" is not one of: ${expected}.`,
} as const;

/** A whole number from 0 up to 2^53-1, the largest a JavaScript number holds exactly. */
export const uint: Kind<number> = kind("uint", "uint", (value) => isInteger(value) && value >= 0);

/** A whole number, negative allowed, exact in a JavaScript number. */
export const int: Kind<number> = kind("int", "int", isInteger);

/** A whole number of up to 64 bits: a number while that is exact, a bigint beyond. For counters that may be that wide. */
export const uint64: Kind<number | bigint> = kind(
  "uint64",
  "uint",
  (value) => (isInteger(value) || typeof value === "bigint") && value >= 0 && value <= 0xffff_ffff_ffff_ffffn,
);

export const text: Kind<string> = kind("text", "text", (value) => typeof value === "string");
export const bool: Kind<boolean> = kind("bool", "bool", (value) => typeof value === "boolean");

/** Anything a payload can hold, unchecked. */
export const anything: Kind<unknown> = kind("anything", "anything", () => true);

/**
 * A byte string; of exactly `length` bytes when given.
 *
 * @param length - in bytes
 * @returns a kind of field
 */
export function bytes(length?: number): Kind<Uint8Array> {
  const name = length === undefined ? "bytes" : `bytes(${length})`;
  return kind(
    name,
    "bytes",
    (value) => value instanceof Uint8Array && (length === undefined || value.length === length),
  );
}

/**
 * The key may be missing.
 *
 * @param inner - what stands there when it does
 * @returns a kind of field
 */
export function optional<T>(inner: Kind<T>): Optional<T> {
  return { ...inner, optional: true };
}

/**
 * Any number of the same kind.
 *
 * @param item - kind of each entry
 * @returns a kind of field
 * @throws {@link ShapeError} when a value is checked that is no list
 */
export function list<T>(item: Kind<T>): Kind<readonly T[]> {
  const name = `list of ${item.name}`;
  return {
    name,
    form: "list",
    item,
    check(value, path, mode) {
      if (!Array.isArray(value)) throw new ShapeError("wrong-kind", path, name, describe(value));
      return value.map((entry: unknown, index) => item.check(entry, `${path}[${index}]`, mode));
    },
  };
}

/**
 * A map whose keys are data, such as thread names, and whose values are all of one kind.
 *
 * @param item - kind of each value
 * @returns a kind of field
 */
export function record<T>(item: Kind<T>): Kind<Readonly<Record<string, T>>> {
  const name = `map of ${item.name}`;
  return {
    name,
    form: "map",
    item,
    check: (value, path, mode) =>
      fromEntries(
        entriesOf(value, path, name).map(([key, entry]) => [key, item.check(entry, under(path, key), mode)]),
      ),
  };
}

/**
 * A map with declared keys.
 *
 * @param fields - name and kind of each
 * @returns a kind of field
 * @throws {@link ShapeError} when a value is checked that is no map, or lacks a key
 */
export function object<const F extends Fields>(fields: F): ObjectKind<F> {
  const name = `map with ${Object.keys(fields).join(", ") || "no keys"}`;
  const required = Object.keys(fields).filter((key) => !isOptional(fields[key]!));
  return {
    name,
    form: "map",
    fields,
    check(value, path, mode) {
      const map = mapAt(value, path, name);
      const isSaid = mode === "say";
      for (const key of required)
        if (!Object.hasOwn(map, key) || (isSaid && map[key] === undefined))
          throw new ShapeError("missing", under(path, key), fields[key]!.name, "nothing");
      const keys = Object.keys(map);
      // Nearly always a map is as it should be, and no copy is needed.
      let isOwn = true;
      const values = keys.map((key) => {
        const value = map[key];
        if (isSaid && value === undefined) {
          isOwn = false;
          return undefined;
        }
        const checked = checkField(fields, key, value, path, mode);
        isOwn &&= checked === value;
        return checked;
      });
      if (isOwn) return map as ObjectOf<F>;
      // The order of the keys stays the caller's.
      const checked: Record<string, unknown> = {};
      for (const [index, key] of keys.entries())
        if (!isSaid || map[key] !== undefined) define(checked, key, values[index]);
      return checked as ObjectOf<F>;
    },
  };
}

/**
 * What a value is, in the words of this file.
 *
 * @param value - any
 * @returns like `the number 5`
 */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === "boolean") return String(value);
  if (typeof value === "number" || typeof value === "bigint") return `the number ${value}`;
  if (typeof value === "string") return value.length > 40 ? "a long text" : `the text "${value}"`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return Array.isArray(value) ? `a list of ${value.length}` : "a map";
}

function checkField(fields: Fields, key: string, entry: unknown, path: string, mode: CheckMode): unknown {
  // Asked of the table itself: a device may well send a key named `constructor`.
  if (Object.hasOwn(fields, key)) return fields[key]!.check(entry, under(path, key), mode);
  if (mode === "say")
    throw new ShapeError("unknown-key", under(path, key), Object.keys(fields).join(", "), describe(entry));
  return entry;
}

function kind<T>(name: string, form: Form, holds: (value: unknown) => boolean): Kind<T> {
  return {
    name,
    form,
    check(value, path) {
      if (!holds(value)) throw new ShapeError("wrong-kind", path, name, describe(value));
      return value as T;
    },
  };
}

function entriesOf(value: unknown, path: string, name: string): [string, unknown][] {
  return Object.entries(mapAt(value, path, name));
}

function mapAt(value: unknown, path: string, name: string): Record<string, unknown> {
  const isMap =
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  if (!isMap) throw new ShapeError("wrong-kind", path, name, describe(value));
  return value as Record<string, unknown>;
}

/**
 * Gives a map a key; `__proto__` becomes an ordinary one.
 *
 * @param map - to be changed
 * @param key - any text
 * @param value - any
 */
export function define(map: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
  else map[key] = value;
}

/** `Object.fromEntries` defines keys instead of assigning them, so `__proto__` becomes an ordinary key. */
function fromEntries<T>(entries: [string, T][]): Record<string, T> {
  return Object.fromEntries(entries);
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/**
 * Whether a field of a declaration may be left out of a message.
 *
 * @param field - of a declaration
 * @returns true when it may be absent
 */
export function isOptional(field: Kind<unknown>): boolean {
  return "optional" in field;
}

function under(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
