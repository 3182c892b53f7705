import { BootproofError } from "./errors.js";

/**
 * Reads and writes that never leave the bytes they are given.
 *
 * Everything the project parses comes from a device or a file, so an offset is checked before it is used and a
 * failure says where it was. Names carry width and order: `u16be` is two bytes, most significant first.
 */

export type BytesErrorCode =
  /** The bytes end before what should be read or written. */
  | "out-of-bounds"
  /** A number does not fit the width it should be written with. */
  | "out-of-range"
  /** A text is not hex, or not base64. */
  | "bad-text";

/** A read or write left its bytes, or a text does not spell bytes. */
export class BytesError extends BootproofError {
  declare readonly code: BytesErrorCode;
  /** Where it happened: byte offset, or character position in a text. */
  readonly offset: number;

  constructor(code: BytesErrorCode, offset: number, message: string) {
    super(code, message);
    this.offset = offset;
  }
}

/** `length` bytes from `offset`, as a view. Throws instead of giving fewer, which `subarray` would. */
export function take(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  mustHold(bytes, offset, length);
  return bytes.subarray(offset, offset + length);
}

export function u8(bytes: Uint8Array, offset: number): number {
  return read(bytes, offset, 1, false);
}
export function u16be(bytes: Uint8Array, offset: number): number {
  return read(bytes, offset, 2, false);
}
export function u16le(bytes: Uint8Array, offset: number): number {
  return read(bytes, offset, 2, true);
}
export function u32be(bytes: Uint8Array, offset: number): number {
  return read(bytes, offset, 4, false);
}
export function u32le(bytes: Uint8Array, offset: number): number {
  return read(bytes, offset, 4, true);
}

export function putU8(bytes: Uint8Array, offset: number, value: number): void {
  put(bytes, offset, 1, value, false);
}
export function putU16be(bytes: Uint8Array, offset: number, value: number): void {
  put(bytes, offset, 2, value, false);
}
export function putU16le(bytes: Uint8Array, offset: number, value: number): void {
  put(bytes, offset, 2, value, true);
}
export function putU32be(bytes: Uint8Array, offset: number, value: number): void {
  put(bytes, offset, 4, value, false);
}
export function putU32le(bytes: Uint8Array, offset: number, value: number): void {
  put(bytes, offset, 4, value, true);
}

/** One new array holding all parts in order. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/**
 * Like {@link equal}, but looks at every byte even after a difference. For comparing digests and key material, where
 * the time until the first difference would tell how much of a guess was right.
 */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= a[index]! ^ b[index]!;
  return difference === 0;
}

/** Are all bytes `value`? True for no bytes at all. Erased flash is `isFilledWith(bytes, 0xff)`. */
export function isFilledWith(bytes: Uint8Array, value: number): boolean {
  // Slots and flash dumps are long, and most are looked at from an aligned byte on: four bytes at a time.
  const words = bytes.byteOffset % 4 === 0 ? bytes.length >> 2 : 0;
  const word = Math.imul(value, 0x01010101) >>> 0;
  const view = new Uint32Array(bytes.buffer, words === 0 ? 0 : bytes.byteOffset, words);
  for (let at = 0; at < words; at++) if (view[at] !== word) return false;
  for (let at = 4 * words; at < bytes.length; at++) if (bytes[at] !== value) return false;
  return true;
}

/** Two digits of each byte. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hex without separators. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** Hex digits of either case, nothing else. Throws `bad-text`. */
export function fromHex(text: string): Uint8Array {
  const bad = text.search(/[^0-9a-fA-F]/);
  if (bad >= 0) throw new BytesError("bad-text", bad, `There is no hex digit at position ${bad}.`);
  if (text.length % 2 !== 0)
    throw new BytesError("bad-text", text.length, `Odd number of hex digits: ${text.length}.`);
  return Uint8Array.from({ length: text.length / 2 }, (_, index) =>
    Number.parseInt(text.slice(2 * index, 2 * index + 2), 16),
  );
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_CODES = Uint8Array.from(BASE64, (character) => character.charCodeAt(0));
/** What each code stands for; 255: it is no character of base64. */
const BASE64_VALUES = new Uint8Array(256).fill(255);
for (const [value, code] of BASE64_CODES.entries()) BASE64_VALUES[code] = value;
const PAD = "=".charCodeAt(0);
const ascii = new TextDecoder();

/** Standard alphabet with padding. RFC 4648, section 4. */
export function toBase64(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  putBase64(codes, 0, bytes);
  return ascii.decode(codes);
}

/** Writes the characters' codes at an offset, four for each three bytes begun; gives back where they end. */
export function putBase64(codes: Uint8Array, offset: number, bytes: Uint8Array): number {
  const { length } = bytes;
  let to = offset;
  let from = 0;
  for (; from + 2 < length; from += 3) {
    const group = (bytes[from]! << 16) | (bytes[from + 1]! << 8) | bytes[from + 2]!;
    codes[to++] = BASE64_CODES[group >> 18]!;
    codes[to++] = BASE64_CODES[(group >> 12) & 63]!;
    codes[to++] = BASE64_CODES[(group >> 6) & 63]!;
    codes[to++] = BASE64_CODES[group & 63]!;
  }
  if (from === length) return to;
  const isOne = from + 1 === length;
  const group = (bytes[from]! << 16) | (isOne ? 0 : bytes[from + 1]! << 8);
  codes[to++] = BASE64_CODES[group >> 18]!;
  codes[to++] = BASE64_CODES[(group >> 12) & 63]!;
  codes[to++] = isOne ? PAD : BASE64_CODES[(group >> 6) & 63]!;
  codes[to++] = PAD;
  return to;
}

/**
 * Strict: standard alphabet, whole groups of four, padding only at the end and only when needed. Throws `bad-text`.
 * Decoders that skip what they do not know would turn a damaged line into wrong bytes.
 */
export function fromBase64(text: string): Uint8Array {
  const end = endOfBase64(text);
  const codes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) codes[at] = text.charCodeAt(at);
  return bytesOfBase64(codes, end);
}

/** As {@link fromBase64}, of characters' codes; undefined where that would throw. */
export function fromBase64Codes(codes: Uint8Array): Uint8Array | undefined {
  const { length } = codes;
  if (length % 4 !== 0) return undefined;
  let end = length;
  while (end > 0 && end > length - 2 && codes[end - 1] === PAD) end--;
  for (let at = 0; at < end; at++) if (BASE64_VALUES[codes[at]!] === 255) return undefined;
  return bytesOfBase64(codes, end);
}

/** `end`: where the padding begins. */
function bytesOfBase64(codes: Uint8Array, end: number): Uint8Array {
  const bytes = new Uint8Array(Math.floor((end * 3) / 4));
  for (let from = 0, to = 0; from < end; from += 4, to += 3) {
    const third = from + 2 < end ? BASE64_VALUES[codes[from + 2]!]! : 0;
    const fourth = from + 3 < end ? BASE64_VALUES[codes[from + 3]!]! : 0;
    const group =
      (BASE64_VALUES[codes[from]!]! << 18) | (BASE64_VALUES[codes[from + 1]!]! << 12) | (third << 6) | fourth;
    // What lies behind the end is not written.
    bytes[to] = group >> 16;
    bytes[to + 1] = group >> 8;
    bytes[to + 2] = group;
  }
  return bytes;
}

/** Where the padding begins. */
function endOfBase64(text: string): number {
  const bad = text.search(/[^A-Za-z0-9+/]/);
  const end = bad < 0 ? text.length : bad;
  const padding = text.length - end;
  if (padding > 2 || text.slice(end) !== "=".repeat(padding))
    throw new BytesError("bad-text", end, `There is no base64 character at position ${end}.`);
  if (text.length % 4 !== 0)
    throw new BytesError("bad-text", text.length, "Base64 ends inside a group of four.");
  return end;
}

function read(bytes: Uint8Array, offset: number, width: number, littleEndian: boolean): number {
  mustHold(bytes, offset, width);
  let value = 0;
  for (let index = 0; index < width; index++) {
    // Multiplied, not shifted: a shift would make the fourth byte's top bit a sign.
    value = value * 256 + bytes[littleEndian ? offset + width - 1 - index : offset + index]!;
  }
  return value;
}

function put(bytes: Uint8Array, offset: number, width: number, value: number, littleEndian: boolean): void {
  mustHold(bytes, offset, width);
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * width))
    throw new BytesError("out-of-range", offset, `${value} does not fit ${width} byte(s).`);
  // Four bytes at most, which a shift by whole bytes takes apart.
  for (let index = 0; index < width; index++)
    bytes[littleEndian ? offset + index : offset + width - 1 - index] = value >>> (8 * index);
}

function mustHold(bytes: Uint8Array, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!whole || offset + length > bytes.length) {
    const wanted = `${length} byte(s) at offset ${offset}`;
    throw new BytesError(
      "out-of-bounds",
      offset,
      `Expected ${wanted}, but there are only ${bytes.length} bytes.`,
    );
  }
}

/** Byte order of header, TLV headers and TLV integers. Every in-tree bootloader is little; imgtool can write big. */
export type Endian = "little" | "big";

/** The multi-byte reads and writes of one byte order. */
export const ORDER = {
  little: { u16: u16le, u32: u32le, putU16: putU16le, putU32: putU32le },
  big: { u16: u16be, u32: u32be, putU16: putU16be, putU32: putU32be },
} as const;

/** A fresh u32. */
export function u32Bytes(value: number, endian: Endian): Uint8Array {
  const bytes = new Uint8Array(4);
  ORDER[endian].putU32(bytes, 0, value);
  return bytes;
}
