import { BootproofError } from "../errors.js";

/**
 * The CBOR of SMP, RFC 8949 without what SMP has no use for: tags, strings in pieces, keys that are no text or whole
 * numbers. What a device sends is hostile until it is read: depth, items and lengths are bounded. Written here because each
 * message of an upload passes through it twice, and a library for all of CBOR took a third of a message's processor time.
 */

export type CborErrorCode =
  /** The bytes end inside an item. */
  | "cbor-truncated"
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

/**
 * One value as CBOR: definite lengths, every head as short as it can be, keys in the order given.
 *
 * @param value - numbers, text, bytes, booleans, null, lists and maps
 * @returns at most 65 535 bytes
 * @throws {@link CborError}
 */
export function encodeCbor(value: unknown): Uint8Array {
  return encodeCborBehind(0, value);
}

/** The same behind so many bytes that are left for others: 0. */
export function encodeCborBehind(room: number, value: unknown): Uint8Array {
  const page = spare ?? new Uint8Array(LONGEST_ROOM + MAX_CBOR);
  // Whatever a getter of the value does, it writes on another one.
  spare = undefined;
  const writer = new Writer(page, LONGEST_ROOM);
  writer.item(value, 0);
  spare = page;
  const length = writer.position - LONGEST_ROOM;
  if (length > MAX_CBOR) throw tooBig(length);
  page.fill(0, LONGEST_ROOM - room, LONGEST_ROOM);
  return page.slice(LONGEST_ROOM - room, writer.position);
}

/** The room that a header takes. */
const LONGEST_ROOM = 8;
/** Values are written here first: so their length need not be known before. */
let spare: Uint8Array | undefined;

function tooBig(length: number): CborError {
  return new CborError("too-big", `A payload of ${length} bytes; at most ${MAX_CBOR} are allowed.`);
}

function tooDeep(): CborError {
  return new CborError("too-deep", `Nested deeper than ${MAX_DEPTH} levels.`);
}

function unencodable(value: unknown): CborError {
  return new CborError("unencodable", `A value of type ${typeof value} cannot be sent.`);
}

/** How many bytes {@link encodeCbor} makes of a value. Throws {@link CborError}. */
export function cborLength(value: unknown): number {
  const length = lengthOf(value, 0);
  if (length > MAX_CBOR) throw tooBig(length);
  return length;
}

/**
 * The value of exactly one CBOR item. Maps become plain objects with their keys in order, a key `__proto__` being a key
 * like any other; integers beyond 2^53 become bigint. Definite and indefinite maps and lists are both accepted: Zephyr
 * and MCUboot send indefinite ones. Throws {@link CborError}.
 */
export function decodeCbor(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_CBOR)
    throw new CborError("too-big", `A payload of ${bytes.length} bytes; at most ${MAX_CBOR} are allowed.`, 0);
  return new Reader(bytes).whole();
}

/** Bytes of an item's head with this argument. */
function headLength(argument: number): number {
  return argument < 24 ? 1 : argument <= 0xff ? 2 : argument <= 0xffff ? 3 : argument <= 0xffff_ffff ? 5 : 9;
}

function lengthOf(value: unknown, depth: number): number {
  if (depth > MAX_DEPTH) throw tooDeep();
  switch (typeof value) {
    case "number":
      return Number.isSafeInteger(value) ? headLength(value < 0 ? -1 - value : value) : FLOAT_LENGTH;
    case "bigint":
      return headLength(Number(argumentOf(value)));
    case "string": {
      const length = utf8Length(value);
      return headLength(length) + length;
    }
    case "boolean":
      return 1;
    case "object":
      if (value === null) return 1;
      if (value instanceof Uint8Array) return headLength(value.length) + value.length;
      if (Array.isArray(value))
        return value.reduce<number>(
          (sum, entry) => sum + lengthOf(entry, depth + 1),
          headLength(value.length),
        );
      if (isPlainObject(value)) {
        let count = 0;
        let length = 0;
        for (const key of Object.keys(value)) {
          if (value[key] === undefined) continue;
          count++;
          const keyLength = utf8Length(key);
          length += headLength(keyLength) + keyLength + lengthOf(value[key], depth + 1);
        }
        return headLength(count) + length;
      }
  }
  throw unencodable(value);
}

const FLOAT_LENGTH = 9;

/** What stands behind the head of a bigint's item. */
function argumentOf(value: bigint): bigint {
  const argument = value < 0n ? -1n - value : value;
  if (argument >= 2n ** 64n)
    throw new CborError("unencodable", `The integer ${value} has more than 64 bits.`);
  return argument;
}

function utf8Length(text: string): number {
  for (let at = 0; at < text.length; at++)
    if (text.charCodeAt(at) > 0x7f) return new TextEncoder().encode(text).length;
  return text.length;
}

function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Writes items. What has no room is counted and not written. */
class Writer {
  position: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, position: number) {
    this.#bytes = bytes;
    this.position = position;
  }

  item(value: unknown, depth: number): void {
    if (depth > MAX_DEPTH) throw tooDeep();
    if (typeof value === "number") this.#number(value);
    else if (typeof value === "string") this.#text(value);
    else if (typeof value === "boolean") this.#byte(value ? TRUE : FALSE);
    else if (typeof value === "bigint") this.#bigint(value);
    else if (value === null) this.#byte(NULL);
    else if (value instanceof Uint8Array) {
      this.#head(MAJOR.bytes, value.length);
      this.#put(value);
    } else if (Array.isArray(value)) {
      this.#head(MAJOR.list, value.length);
      for (const entry of value) this.item(entry, depth + 1);
    } else if (typeof value === "object" && isPlainObject(value)) this.#map(value, depth);
    else throw unencodable(value);
  }

  #map(value: Record<string, unknown>, depth: number): void {
    const keys = Object.keys(value);
    let count = 0;
    for (const key of keys) if (value[key] !== undefined) count++;
    this.#head(MAJOR.map, count);
    for (const key of keys) {
      if (value[key] === undefined) continue;
      this.#text(key);
      this.item(value[key], depth + 1);
    }
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value)) {
      if (value < 0) this.#head(MAJOR.negative, -1 - value);
      else this.#head(MAJOR.uint, value);
      return;
    }
    this.#byte(FLOAT64);
    EIGHT.setFloat64(0, value);
    this.#put(EIGHT_WRITTEN);
  }

  #bigint(value: bigint): void {
    const major = value < 0n ? MAJOR.negative : MAJOR.uint;
    const argument = argumentOf(value);
    if (argument <= 0xffff_ffffn) {
      this.#head(major, Number(argument));
      return;
    }
    this.#byte((major << 5) | EIGHT_BYTES);
    EIGHT.setBigUint64(0, argument);
    this.#put(EIGHT_WRITTEN);
  }

  #text(text: string): void {
    const length = utf8Length(text);
    this.#head(MAJOR.text, length);
    if (length === text.length) for (let at = 0; at < length; at++) this.#byte(text.charCodeAt(at));
    else this.#put(new TextEncoder().encode(text));
  }

  #put(bytes: Uint8Array): void {
    if (this.position + bytes.length <= this.#bytes.length) this.#bytes.set(bytes, this.position);
    this.position += bytes.length;
  }

  #byte(value: number): void {
    this.#bytes[this.position++] = value;
  }

  #head(major: number, argument: number): void {
    const first = major << 5;
    if (argument < 24) this.#byte(first | argument);
    else if (argument <= 0xff) {
      this.#byte(first | 24);
      this.#byte(argument);
    } else if (argument <= 0xffff) {
      this.#byte(first | 25);
      this.#byte(argument >> 8);
      this.#byte(argument);
    } else if (argument <= 0xffff_ffff) {
      this.#byte(first | 26);
      for (let shift = 24; shift >= 0; shift -= 8) this.#byte(argument >>> shift);
    } else {
      this.#byte(first | EIGHT_BYTES);
      EIGHT.setBigUint64(0, BigInt(argument));
      this.#put(EIGHT_WRITTEN);
    }
  }
}

/** Eight bytes to write a number into. */
const EIGHT_WRITTEN = new Uint8Array(8);
const EIGHT = new DataView(EIGHT_WRITTEN.buffer);
const EIGHT_BYTES = 27;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
const FLOAT64 = 0xfb;

/** The major types of RFC 8949, section 3.1. */
const MAJOR = { uint: 0, negative: 1, bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 } as const;
const INDEFINITE = 31;
const STOP = 0xff;
/** Argument bytes after the first, by the low five bits of it. */
const ARGUMENT_SIZES: Readonly<Record<number, number>> = { 24: 1, 25: 2, 26: 4, 27: 8 };

/** Reads one item; throws on what {@link decodeCbor} will not hand on. */
class Reader {
  #position = 0;
  #items = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Few payloads have numbers for which it is needed. */
  get #view(): DataView {
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
  }

  whole(): unknown {
    const value = this.#item(0);
    if (this.#position !== this.#bytes.length)
      throw this.#error("trailing", "There are bytes after the last item.");
    return value;
  }

  #item(depth: number): unknown {
    if (depth > MAX_DEPTH) throw this.#error("too-deep", `Nested deeper than ${MAX_DEPTH} levels.`);
    if (++this.#items > MAX_ITEMS) throw this.#error("too-big", `More than ${MAX_ITEMS} items.`);
    const first = this.#byte();
    const major = first >> 5;
    const low = first & 31;
    if (major === MAJOR.simple) return this.#simple(low);
    if (major === MAJOR.list) return this.#list(low, depth);
    if (major === MAJOR.map) return this.#map(low, depth);
    if (major === MAJOR.tag) throw this.#error("unsupported", "A tag.");
    return this.#scalar(major, low);
  }

  #scalar(major: number, low: number): unknown {
    if (low === INDEFINITE)
      throw this.#error(
        major < MAJOR.bytes ? "malformed" : "unsupported",
        "A string in chunks, or a reserved length.",
      );
    const argument = this.#argument(low);
    if (major === MAJOR.bytes) return this.#take(argument).slice();
    if (major === MAJOR.text)
      return argument <= SHORT_TEXT ? this.#shortText(argument) : utf8.decode(this.#take(argument));
    if (Number.isSafeInteger(argument) && argument < Number.MAX_SAFE_INTEGER)
      return major === MAJOR.uint ? argument : -1 - argument;
    const exact = this.#view.getBigUint64(this.#position - 8);
    const value = major === MAJOR.uint ? exact : -1n - exact;
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : value;
  }

  /** As short as keys are: calling the decoder takes longer than reading them. */
  #shortText(length: number): string {
    const from = this.#position;
    let text = "";
    for (let at = from; at < from + length; at++) {
      const byte = this.#bytes[at];
      // The bytes end here, or it is more than ASCII.
      if (byte === undefined || byte > 0x7f) return utf8.decode(this.#take(length));
      text += String.fromCharCode(byte);
    }
    this.#position += length;
    return text;
  }

  #list(low: number, depth: number): unknown[] {
    const list: unknown[] = [];
    // A claimed count needs no bound of its own: every item takes a byte, and the bytes run out first.
    const count = low === INDEFINITE ? Number.POSITIVE_INFINITY : this.#argument(low);
    for (let index = 0; index < count; index++) {
      if (low === INDEFINITE && this.#stops()) break;
      list.push(this.#item(depth + 1));
    }
    return list;
  }

  #map(low: number, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    const count = low === INDEFINITE ? Number.POSITIVE_INFINITY : this.#argument(low);
    for (let index = 0; index < count; index++) {
      if (low === INDEFINITE && this.#stops()) break;
      const key = this.#key();
      const value = this.#item(depth + 1);
      // Assigned, this one would change what the map inherits.
      if (key === "__proto__")
        Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
      else map[key] = value;
    }
    return map;
  }

  /** A map's key. Text in every SMP command; whole numbers are let through for groups of users. */
  #key(): string {
    const major = (this.#bytes[this.#position] ?? 0) >> 5;
    if (major !== MAJOR.text && major !== MAJOR.uint && major !== MAJOR.negative)
      throw this.#error("unsupported", "A key that is neither text nor a whole number.");
    const key = this.#item(0);
    return typeof key === "string" ? key : String(key);
  }

  #simple(low: number): unknown {
    if (low >= 20 && low <= 23) return [false, true, null, undefined][low - 20];
    const size = low >= 25 && low <= 27 ? ARGUMENT_SIZES[low]! : undefined;
    if (size === undefined)
      throw this.#error(
        low < 25 ? "unsupported" : "malformed",
        "An unassigned simple value, or a stray break.",
      );
    const at = this.#position;
    this.#take(size);
    return size === 2
      ? float16(this.#view, at)
      : size === 4
        ? this.#view.getFloat32(at)
        : this.#view.getFloat64(at);
  }

  #argument(low: number): number {
    if (low < 24) return low;
    const size = ARGUMENT_SIZES[low];
    if (size === undefined) throw this.#error("malformed", "A reserved length.");
    let value = 0;
    for (let index = 0; index < size; index++) value = value * 256 + this.#byte();
    return value;
  }

  #stops(): boolean {
    if (this.#bytes[this.#position] !== STOP) return false;
    this.#position++;
    return true;
  }

  #byte(): number {
    const value = this.#bytes[this.#position];
    if (value === undefined) throw this.#error("cbor-truncated", "The payload ends inside an item.");
    this.#position++;
    return value;
  }

  #take(count: number): Uint8Array {
    const left = this.#bytes.length - this.#position;
    if (count > left) throw this.#error("cbor-truncated", `${count} bytes announced, ${left} left.`);
    this.#position += count;
    return this.#bytes.subarray(this.#position - count, this.#position);
  }

  #error(code: CborErrorCode, message: string): CborError {
    return new CborError(code, `${message} (payload offset ${this.#position})`, this.#position);
  }
}

const SHORT_TEXT = 24;
/** What is no UTF-8 becomes U+FFFD. */
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** IEEE 754 binary16, RFC 8949 appendix D. */
function float16(view: DataView, at: number): number {
  const half = view.getUint16(at);
  const exponent = (half >> 10) & 31;
  const fraction = half & 0x3ff;
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : (fraction + 1024) * 2 ** (exponent - 25);
  return half & 0x8000 ? -size : size;
}
