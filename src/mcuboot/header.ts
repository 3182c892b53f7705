import { type Endian, ORDER, putU8, u8 } from "../bytes.js";
import { BootproofError } from "../errors.js";
import { findVectors } from "../formats/cortex-m.js";
import { fileKindOf } from "../formats/file-kinds.js";
import type { Version } from "./version.js";

export type ImageErrorCode =
  /** Fewer bytes than a header has. */
  | "image-too-short"
  /** The first four bytes are not MCUboot's magic. */
  | "bad-magic"
  /** The header says that it is smaller than a header is. */
  | "bad-header-size"
  /** Header, body and TLVs as the header states them end behind the last byte. */
  | "image-truncated"
  /** No TLV area where the header says that it is. */
  | "no-tlv-area"
  /** The header's size of the protected area and the area itself disagree. */
  | "protected-size"
  /** A TLV area's total is smaller than its own info header. */
  | "tlv-total"
  /** A TLV ends behind its area. */
  | "tlv-overrun"
  /** A TLV whose length is not what its type demands. */
  | "tlv-length"
  /** A slot or flash dump too small for the trailer that it should end with. */
  | "no-trailer";

/** Bytes that are not an image, or a broken one. `offset` is where in the given bytes. */
export class ImageError extends BootproofError {
  declare readonly code: ImageErrorCode;
  readonly offset: number;

  constructor(code: ImageErrorCode, offset: number, message: string, options: { hint?: string } = {}) {
    super(code, message, options);
    this.offset = offset;
  }
}

/** MCUboot's IMAGE_MAGIC, since 2017; 0x96f3b83c before that is refused by every bootloader of today. */
export const IMAGE_MAGIC = 0x96f3b83d;
/** Bytes of the header that have a meaning; `headerSize` adds padding behind them. */
export const IMAGE_HEADER_SIZE = 32;

/** Flag bits of the header (image.h, IMAGE_F_*). */
export const IMAGE_F = {
  PIC: 0x1,
  ENCRYPTED_AES128: 0x4,
  ENCRYPTED_AES256: 0x8,
  NON_BOOTABLE: 0x10,
  RAM_LOAD: 0x20,
  ROM_FIXED: 0x100,
  COMPRESSED_LZMA1: 0x200,
  COMPRESSED_LZMA2: 0x400,
  COMPRESSED_ARM_THUMB_FLT: 0x800,
} as const;

export type FlagName = keyof typeof IMAGE_F;

/**
 * Names of the flags that are set, and the bits that have none. MCUboot ignores bits it does not know.
 *
 * @param flags - of a header
 * @returns `unknown` holds the bits without a name
 */
export function flagNames(flags: number): { names: FlagName[]; unknown: number } {
  const names: FlagName[] = [];
  let unknown = flags;
  for (const [name, bit] of Object.entries(IMAGE_F) as [FlagName, number][]) {
    if ((flags & bit) === 0) continue;
    names.push(name);
    unknown &= ~bit;
  }
  return { names, unknown: unknown >>> 0 };
}

/** The 32 bytes at the start of an image (facts: image.h, struct image_header). Sizes in bytes. */
export interface ImageHeader {
  /** RAM destination with RAM_LOAD, flash address with ROM_FIXED, else 0. */
  readonly loadAddress: number;
  /** Where the body starts: 32 bytes of header and its padding. */
  readonly headerSize: number;
  /** The protected TLV area with its info header; 0 = there is none. */
  readonly protectedSize: number;
  /** The body alone (`img_size`), without header and TLVs. */
  readonly bodySize: number;
  readonly flags: number;
  readonly version: Version;
  /** Written as 0 and never looked at, but hashed. */
  readonly pad: number;
}

/**
 * The byte order whose magic the bytes start with, or undefined when it is neither.
 *
 * @param bytes - from the header's first byte on
 * @returns by the magic
 */
export function endianOf(bytes: Uint8Array): Endian | undefined {
  if (bytes.length < 4) return undefined;
  if (ORDER.little.u32(bytes, 0) === IMAGE_MAGIC) return "little";
  if (ORDER.big.u32(bytes, 0) === IMAGE_MAGIC) return "big";
  return undefined;
}

/**
 * Reads the header at the start of `bytes`; the byte order is told from the magic.
 *
 * @param bytes - from the header's first byte on
 * @returns the header's fields, and the byte order they were in
 * @throws {@link ImageError} `too-short`, `bad-magic` or `bad-header-size`; whether the sizes fit the bytes is
 *   `parseImage`'s question
 */
export function parseHeader(bytes: Uint8Array): { header: ImageHeader; endian: Endian } {
  if (bytes.length < IMAGE_HEADER_SIZE) throw tooShort(bytes);
  const endian = endianOf(bytes);
  if (!endian) throw badMagic(bytes);
  const header = readHeader(bytes, endian);
  // The bootloader has no such check and stumbles later; a size below 32 would hash and run its own header.
  if (header.headerSize < IMAGE_HEADER_SIZE)
    throw new ImageError("bad-header-size", 8, `Header size ${header.headerSize}: at least 32 is needed.`);
  return { header, endian };
}

/** The fields of a header without a look at what they say. Precondition: 32 bytes are there. */
export function readHeader(bytes: Uint8Array, endian: Endian): ImageHeader {
  const { u16, u32 } = ORDER[endian];
  return {
    loadAddress: u32(bytes, 4),
    headerSize: u16(bytes, 8),
    protectedSize: u16(bytes, 10),
    bodySize: u32(bytes, 12),
    flags: u32(bytes, 16),
    version: {
      major: u8(bytes, 20),
      minor: u8(bytes, 21),
      revision: u16(bytes, 22),
      build: u32(bytes, 24),
    },
    pad: u32(bytes, 28),
  };
}

/** The 32 bytes of a header. Throws `BytesError` `out-of-range` when a field does not fit. */
export function encodeHeader(header: ImageHeader, endian: Endian = "little"): Uint8Array {
  const bytes = new Uint8Array(IMAGE_HEADER_SIZE);
  const { putU16, putU32 } = ORDER[endian];
  putU32(bytes, 0, IMAGE_MAGIC);
  putU32(bytes, 4, header.loadAddress);
  putU16(bytes, 8, header.headerSize);
  putU16(bytes, 10, header.protectedSize);
  putU32(bytes, 12, header.bodySize);
  putU32(bytes, 16, header.flags);
  putU8(bytes, 20, header.version.major);
  putU8(bytes, 21, header.version.minor);
  putU16(bytes, 22, header.version.revision);
  putU32(bytes, 24, header.version.build);
  putU32(bytes, 28, header.pad);
  return bytes;
}

function tooShort(bytes: Uint8Array): ImageError {
  const kind = fileKindOf(bytes);
  const what = `${bytes.length} bytes are not an image: the header alone has 32.`;
  if (!kind) return new ImageError("image-too-short", bytes.length, what);
  return new ImageError("image-too-short", bytes.length, `Not an image but ${kind.name}: ${what}`, {
    hint: kind.hint,
  });
}

function badMagic(bytes: Uint8Array): ImageError {
  const magic = ORDER.little.u32(bytes, 0);
  const seen = `it starts with 0x${magic.toString(16).padStart(8, "0")}, not with MCUboot's 0x96f3b83d`;
  const kind = fileKindOf(bytes);
  if (kind)
    return new ImageError("bad-magic", 0, `Not an image but ${kind.name}: ${seen}.`, { hint: kind.hint });
  const vectors = findVectors(bytes);
  if (vectors) {
    const { stack, entry } = vectors;
    const numbers = `stack 0x${stack.toString(16).padStart(8, "0")}, entry 0x${entry.toString(16).padStart(8, "0")}`;
    return new ImageError(
      "bad-magic",
      0,
      `Not an image but apparently unsigned firmware for Cortex-M (${numbers}): ${seen}.`,
      {
        hint: "Sign it with bootproof sign, or use the signed file of the same build (.signed.bin).",
      },
    );
  }
  const hint = "Is this the signed image, and not the unsigned binary?";
  return new ImageError("bad-magic", 0, `Not an image: ${seen}.`, { hint });
}
