import { BytesError, fromBase64, fromHex, toBase64, toHex } from "../bytes.js";
import { BootproofError } from "../errors.js";

/**
 * What a setting's bytes mean. The device stores bytes and does not say: whoever reads or writes must know the type its
 * firmware uses. Integers and floats are in the device's byte order, which is little endian on almost every one.
 */
export const SETTING_TYPES = [
  "u8",
  "u16",
  "u32",
  "u64",
  "i8",
  "i16",
  "i32",
  "i64",
  "f32",
  "f64",
  "bool",
  "text",
  "hex",
  "base64",
] as const;
export type SettingType = (typeof SETTING_TYPES)[number];

/** A setting's value as a person writes it: hex and base64 as text. */
export type SettingValue = number | bigint | boolean | string;

export interface ValueOptions {
  /** The device is big endian. */
  bigEndian?: boolean | undefined;
}

/** A value cannot be written as, or bytes cannot be read as, the type that was asked for. */
export class ValueError extends BootproofError {
  declare readonly code: "bad-value";
  readonly type: SettingType;

  constructor(type: SettingType, message: string, hint?: string) {
    super("bad-value", message, { hint });
    this.type = type;
  }
}

/**
 * The bytes of a value written as text: `0x10`, `-3`, `on`, `cafe00`.
 *
 * @param type - one of {@link SETTING_TYPES}
 * @param word - as somebody typed it
 * @param options - `bigEndian` for numbers
 * @returns as many bytes as the type has
 * @throws {@link ValueError}
 */
export function encodeSetting(type: SettingType, word: string, options: ValueOptions = {}): Uint8Array {
  return WRITERS[type](type, word, options.bigEndian ?? false);
}

/**
 * What bytes say as a value of a type.
 *
 * @param type - one of {@link SETTING_TYPES}
 * @param bytes - as the device stores them
 * @param options - `bigEndian` for numbers
 * @returns number, text, boolean or hex
 * @throws {@link ValueError} when they cannot be one
 */
export function decodeSetting(
  type: SettingType,
  bytes: Uint8Array,
  options: ValueOptions = {},
): SettingValue {
  return READERS[type](type, bytes, options.bigEndian ?? false);
}

/**
 * Text without the NUL that C programs often store behind it; undefined when the bytes are no printable UTF-8.
 *
 * @param bytes - as the device stores them
 * @returns without the NUL
 */
export function asText(bytes: Uint8Array): string | undefined {
  const end = bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, end));
    return /\p{Cc}/u.test(text.replace(/[\t\r\n]/g, "")) ? undefined : text;
  } catch {
    // Not UTF-8: the decoder throws a TypeError, and nothing else here can fail.
    return undefined;
  }
}

type Writer = (type: SettingType, word: string, bigEndian: boolean) => Uint8Array;
type Reader = (type: SettingType, bytes: Uint8Array, bigEndian: boolean) => SettingValue;

const WRITERS: Readonly<Record<SettingType, Writer>> = {
  u8: writeInteger,
  u16: writeInteger,
  u32: writeInteger,
  u64: writeInteger,
  i8: writeInteger,
  i16: writeInteger,
  i32: writeInteger,
  i64: writeInteger,
  f32: writeFloat,
  f64: writeFloat,
  bool: (type, word) => Uint8Array.of(readBool(type, word) ? 1 : 0),
  text: (_type, word) => new TextEncoder().encode(word),
  hex: (type, word) => decoded(type, word, fromHex),
  base64: (type, word) => decoded(type, word, fromBase64),
};

const READERS: Readonly<Record<SettingType, Reader>> = {
  u8: readInteger,
  u16: readInteger,
  u32: readInteger,
  u64: readInteger,
  i8: readInteger,
  i16: readInteger,
  i32: readInteger,
  i64: readInteger,
  f32: readFloat,
  f64: readFloat,
  bool: (type, bytes) => exactly(1, type, bytes).getUint8(0) !== 0,
  text: (type, bytes) => {
    const text = asText(bytes);
    if (text === undefined) throw new ValueError(type, `${toHex(bytes)} is not a text.`, "Read it as hex.");
    return text;
  },
  hex: (_type, bytes) => toHex(bytes),
  base64: (_type, bytes) => toBase64(bytes),
};

const widthOf = (type: SettingType) => Number(type.slice(1)) / 8;

function writeInteger(type: SettingType, word: string, bigEndian: boolean): Uint8Array {
  const bits = BigInt(widthOf(type) * 8);
  const signed = type.startsWith("i");
  const [min, max] = signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];
  const parts = /^(-?)(0x[0-9a-f]+|0b[01]+|0o[0-7]+|\d+)$/i.exec(word);
  const size = parts ? BigInt(parts[2]!) : undefined;
  const value = size === undefined ? undefined : parts![1] === "-" ? -size : size;
  if (value === undefined || value < min || value > max)
    throw new ValueError(type, `"${word}" is not a valid ${type}: a whole number from ${min} to ${max}.`);
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt.asUintN(64, value));
  const bytes = new Uint8Array(view.buffer).slice(8 - widthOf(type));
  return bigEndian ? bytes : bytes.reverse();
}

function readInteger(type: SettingType, bytes: Uint8Array, bigEndian: boolean): number | bigint {
  const view = exactly(widthOf(type), type, bytes);
  const ordered = Array.from({ length: view.byteLength }, (_, index) => view.getUint8(index));
  if (!bigEndian) ordered.reverse();
  const size = ordered.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const value = type.startsWith("i") ? BigInt.asIntN(view.byteLength * 8, size) : size;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function writeFloat(type: SettingType, word: string, bigEndian: boolean): Uint8Array {
  const value = word.trim() === "" ? Number.NaN : Number(word);
  if (Number.isNaN(value)) throw new ValueError(type, `"${word}" is not a number.`);
  const view = new DataView(new ArrayBuffer(widthOf(type)));
  if (type === "f32") view.setFloat32(0, value, !bigEndian);
  else view.setFloat64(0, value, !bigEndian);
  return new Uint8Array(view.buffer);
}

function readFloat(type: SettingType, bytes: Uint8Array, bigEndian: boolean): number {
  const view = exactly(widthOf(type), type, bytes);
  return type === "f32" ? view.getFloat32(0, !bigEndian) : view.getFloat64(0, !bigEndian);
}

const BOOLS: Readonly<Record<string, boolean>> = {
  true: true,
  on: true,
  yes: true,
  "1": true,
  false: false,
  off: false,
  no: false,
  "0": false,
};

function readBool(type: SettingType, word: string): boolean {
  const known = Object.hasOwn(BOOLS, word.toLowerCase()) ? BOOLS[word.toLowerCase()] : undefined;
  if (known === undefined) throw new ValueError(type, `"${word}" is neither true nor false.`);
  return known;
}

function decoded(type: SettingType, word: string, decode: (text: string) => Uint8Array): Uint8Array {
  try {
    return decode(word);
  } catch (error) {
    if (error instanceof BytesError) throw new ValueError(type, `"${word}" is not a valid ${type}.`);
    throw error;
  }
}

function exactly(width: number, type: SettingType, bytes: Uint8Array): DataView {
  if (bytes.length !== width)
    throw new ValueError(
      type,
      `A ${type} has ${width} ${width === 1 ? "byte" : "bytes"}, the device has ${bytes.length}: ${toHex(bytes)}.`,
      "Read it as hex, or as the type with so many bytes.",
    );
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
