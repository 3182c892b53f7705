// Not its main entry: that loads native code, which takes longer than all its work here and reads what devices send.
import { Encoder } from "cbor-x/encode";
import { BootproofError } from "../errors.js";

/**
 * The only door to cbor-x. What a device sends is walked once before cbor-x sees it, because cbor-x reads far more than
 * SMP uses: tags that define record structures, packed tables and references, which a hostile device could use against it.
 */

export type CborErrorCode =
  /** The bytes end inside an item. */
  | "truncated"
  /** Bytes follow the item that should be the last. */
  | "trailing"
  /** Nested deeper than {@link MAX_DEPTH}. */
  | "too-deep"
  /** Longer than a message can be, or more items than {@link MAX_ITEMS}. */
  | "too-big"
  /** Valid CBOR that SMP has no use for: tags, strings in pieces, reserved simple values, keys that are no text. */
  | "unsupported"
  /** No CBOR at all: a reserved length, a stray stop code, a key without a value. */
  | "malformed"
  /** A value CBOR cannot carry, or SMP does not: a function, a date, an integer beyond 64 bits. */
  | "unencodable";

/** A payload is no CBOR this side accepts, or a value cannot become one. */
export class CborError extends BootproofError {
  declare readonly code: CborErrorCode;
  /** Byte offset in the payload; absent when encoding. */
  readonly offset?: number;

  constructor(code: CborErrorCode, message: string, offset?: number, cause?: unknown) {
    super(code, message, { cause });
    if (offset !== undefined) this.offset = offset;
  }
}

/** The deepest SMP answer (slot info, trust counters) nests 5 levels. */
export const MAX_DEPTH = 16;
/** No payload is longer: the header counts its bytes with 16 bits. */
export const MAX_CBOR = 0xffff;
/** Far above any answer that fits a server buffer; bounds the objects one payload can make. */
export const MAX_ITEMS = 16_384;

const codec = new Encoder({
  // Maps stay maps: as objects, cbor-x writes 16-bit heads and renames a `__proto__` key.
  mapsAsObjects: false,
  // Records are a private tag that no server knows.
  useRecords: false,
  // Otherwise bytes get tag 64, which zcbor refuses.
  tagUint8Array: false,
  // Decoded bytes must not be a window into a receive buffer that is used again.
  copyBuffers: true,
});

/** One value as CBOR: definite lengths, every head as short as it can be, keys in the order given. Throws {@link CborError}. */
export function encodeCbor(value: unknown): Uint8Array {
  // A copy: cbor-x hands out a view of its own 8 KiB work buffer.
  const bytes = new Uint8Array(codec.encode(toCborX(value, 0)));
  if (bytes.length > MAX_CBOR)
    throw new CborError("too-big", `A payload of ${bytes.length} bytes; the most is ${MAX_CBOR}.`);
  return bytes;
}

/**
 * The value of exactly one CBOR item. Maps become plain objects with their keys in order, a key `__proto__` being a key
 * like any other; integers beyond 2^53 become bigint. Definite and indefinite maps and lists are both accepted: Zephyr
 * and MCUboot send indefinite ones. Throws {@link CborError}.
 */
export function decodeCbor(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_CBOR)
    throw new CborError("too-big", `A payload of ${bytes.length} bytes; the most is ${MAX_CBOR}.`, 0);
  new Walk(bytes).whole();
  try {
    // A fresh view, because cbor-x hangs a property on the array it reads.
    return fromCborX(codec.decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)));
  } catch (cause) {
    throw new CborError("malformed", "The payload cannot be decoded.", 0, cause);
  }
}

function toCborX(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new CborError("too-deep", `Nested deeper than ${MAX_DEPTH} levels.`);
  if (typeof value === "number" || typeof value === "bigint") return toCborXNumber(value);
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value.buffer, value.byteOffset, value.length);
  if (Array.isArray(value)) return value.map((entry) => toCborX(entry, depth + 1));
  if (isPlainObject(value)) {
    const sent = Object.entries(value).filter(([, entry]) => entry !== undefined);
    return new Map(sent.map(([key, entry]) => [key, toCborX(entry, depth + 1)]));
  }
  throw new CborError("unencodable", `A value of type ${typeof value} cannot be sent.`);
}

/**
 * cbor-x writes numbers beyond 32 bits as floats and every bigint in 8 bytes, so each gets what the other does well. The
 * lowest 64-bit integer, -2^64, it would write as a tag; it goes the way of wider ones.
 */
function toCborXNumber(value: number | bigint): number | bigint {
  if (typeof value === "number" && !Number.isSafeInteger(value)) return value;
  const wide = BigInt(value);
  if (wide <= -(2n ** 64n) || wide >= 2n ** 64n)
    throw new CborError("unencodable", `The integer ${value} has more than 64 bits.`);
  return wide >= -(2n ** 32n) && wide < 2n ** 32n ? Number(value) : wide;
}

function fromCborX(value: unknown): unknown {
  if (typeof value === "bigint") return isSafe(value) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(fromCborX);
  // Object.fromEntries defines keys instead of assigning them, so `__proto__` stays harmless.
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, entry]) => [String(key), fromCborX(entry)]));
  return value;
}

function isSafe(value: bigint): boolean {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The major types of RFC 8949, section 3.1. */
const MAJOR = { uint: 0, negative: 1, bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 } as const;
const INDEFINITE = 31;
const STOP = 0xff;
/** Argument bytes after the first, by the low five bits of it. */
const ARGUMENT_SIZES: Readonly<Record<number, number>> = { 24: 1, 25: 2, 26: 4, 27: 8 };

/** Steps over every item once, without building anything; throws on what {@link decodeCbor} will not hand on. */
class Walk {
  private position = 0;
  private items = 0;

  constructor(private readonly bytes: Uint8Array) {}

  whole(): void {
    this.item(0);
    if (this.position !== this.bytes.length) throw this.error("trailing", "Bytes follow the last item.");
  }

  private item(depth: number): void {
    if (depth > MAX_DEPTH) throw this.error("too-deep", `Nested deeper than ${MAX_DEPTH} levels.`);
    if (++this.items > MAX_ITEMS) throw this.error("too-big", `More than ${MAX_ITEMS} items.`);
    const first = this.byte();
    const major = first >> 5;
    const low = first & 31;
    if (major === MAJOR.simple) this.simple(low);
    else if (major === MAJOR.list || major === MAJOR.map) this.container(major, low, depth);
    else if (major === MAJOR.tag) throw this.error("unsupported", "A tag.");
    else this.scalar(major, low);
  }

  private scalar(major: number, low: number): void {
    if (low === INDEFINITE)
      throw this.error(
        major < MAJOR.bytes ? "malformed" : "unsupported",
        "A string in pieces, or a reserved length.",
      );
    const argument = this.argument(low);
    if (major >= MAJOR.bytes) this.skip(argument);
  }

  private container(major: number, low: number, depth: number): void {
    // A claimed count needs no bound of its own: every item takes a byte, and the bytes run out first.
    const count = low === INDEFINITE ? Number.POSITIVE_INFINITY : this.argument(low);
    for (let index = 0; index < count; index++) {
      if (low === INDEFINITE && this.stops()) return;
      if (major === MAJOR.map) this.key();
      this.item(depth + 1);
    }
  }

  /** A map's key. Text in every SMP command; whole numbers are let through for groups of users. */
  private key(): void {
    const major = (this.bytes[this.position] ?? 0) >> 5;
    if (major !== MAJOR.text && major !== MAJOR.uint && major !== MAJOR.negative)
      throw this.error("unsupported", "A key that is neither text nor a whole number.");
    this.item(0);
  }

  private simple(low: number): void {
    const isWord = low >= 20 && low <= 23;
    const isFloat = low >= 25 && low <= 27;
    if (isFloat) this.skip(ARGUMENT_SIZES[low]!);
    else if (!isWord)
      throw this.error(
        low < 25 ? "unsupported" : "malformed",
        "A simple value that means nothing, or a stray stop.",
      );
  }

  private argument(low: number): number {
    if (low < 24) return low;
    const size = ARGUMENT_SIZES[low];
    if (size === undefined) throw this.error("malformed", "A reserved length.");
    let value = 0;
    for (let index = 0; index < size; index++) value = value * 256 + this.byte();
    return value;
  }

  private stops(): boolean {
    if (this.bytes[this.position] !== STOP) return false;
    this.position++;
    return true;
  }

  private byte(): number {
    const value = this.bytes[this.position];
    if (value === undefined) throw this.error("truncated", "The payload ends inside an item.");
    this.position++;
    return value;
  }

  private skip(count: number): void {
    if (count > this.bytes.length - this.position)
      throw this.error("truncated", `${count} bytes announced, ${this.bytes.length - this.position} left.`);
    this.position += count;
  }

  private error(code: CborErrorCode, message: string): CborError {
    return new CborError(code, `${message} (payload offset ${this.position})`, this.position);
  }
}
