import { take, u32be } from "../bytes.js";
import { AvbError } from "./error.js";

/** No partition is larger: 2^53 would be the end of exact numbers anyway. */
const LARGEST = 2 ** 48;

/** A big-endian u64 that is a size, an offset or an index. */
export function u64be(bytes: Uint8Array, offset: number): bigint {
  return (BigInt(u32be(bytes, offset)) << 32n) | BigInt(u32be(bytes, offset + 4));
}

/** A u64 that counts bytes. Throws {@link AvbError} beyond what any file has. */
export function size64(bytes: Uint8Array, offset: number, what: string): number {
  const value = u64be(bytes, offset);
  if (value <= BigInt(LARGEST)) return Number(value);
  throw new AvbError("bad-vbmeta", offset, `${what} at offset ${offset} is ${value} bytes.`);
}

/** `length` bytes from `offset`, or {@link AvbError}. */
export function part(bytes: Uint8Array, offset: number, length: number, what: string): Uint8Array {
  if (offset + length <= bytes.length) return take(bytes, offset, length);
  throw new AvbError(
    "vbmeta-truncated",
    bytes.length,
    `${what} should have ${length} bytes from offset ${offset}, but there are only ${bytes.length} bytes.`,
    { hint: "Was the file copied or downloaded completely?" },
  );
}

/** A text that must be UTF-8. */
export function textOf(bytes: Uint8Array, offset: number, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The decoder's own words add nothing.
    throw new AvbError("bad-vbmeta", offset, `${what} at offset ${offset} is not UTF-8.`);
  }
}

/** A text in a field of fixed length, which NUL ends. */
export function fixedText(bytes: Uint8Array, offset: number, length: number, what: string): string {
  const field = part(bytes, offset, length, what);
  const end = field.indexOf(0);
  return textOf(end < 0 ? field : field.subarray(0, end), offset, what);
}
