import { putU16be, putU16le, putU32be, putU32le, u16be, u16le, u32be, u32le } from "../bytes.js";

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
