import { concat } from "../bytes.js";
import type { Endian } from "./endian.js";

/**
 * The trailer: the end of a slot, where bootloader and application leave notes for each other (bootutil_public.h,
 * facts section 2). Every field sits at the start of a unit of A = BOOT_MAX_ALIGN bytes.
 */
export type MaxAlign = 8 | 16 | 32;

export const BOOT_MAGIC_SIZE = 16;

const MAGIC_ALIGN_8 = Uint8Array.of(
  ...[0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80],
);
const MAGIC_TAIL = Uint8Array.of(
  ...[0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a],
);

/** The 16 bytes at the very end; those of A = 8 have no length in them, for boards older than the other two. */
export function bootMagic(maxAlign: MaxAlign, endian: Endian = "little"): Uint8Array {
  if (maxAlign === 8) return MAGIC_ALIGN_8.slice();
  return concat(Uint8Array.of(...(endian === "big" ? [0, maxAlign] : [maxAlign, 0])), MAGIC_TAIL);
}

/** Distances of a trailer's fields from the end of the slot, bytes. */
export interface TrailerLayout {
  readonly magic: number;
  readonly imageOk: number;
  readonly copyDone: number;
  readonly swapInfo: number;
  /** Only swap-using-offset since 2.3: sizes of the unprotected TLVs. */
  readonly unprotectedTlvSizes?: number;
  readonly swapSize: number;
}

/** Where the fields of a trailer are. `unprotectedTlvSizes`: a bootloader that swaps using offset, 2.3 or later. */
export function trailerLayout(
  maxAlign: MaxAlign,
  options: { unprotectedTlvSizes?: boolean } = {},
): TrailerLayout {
  const imageOk = alignUp(BOOT_MAGIC_SIZE, maxAlign) + maxAlign;
  const copyDone = imageOk + maxAlign;
  const swapInfo = copyDone + maxAlign;
  const layout = { magic: BOOT_MAGIC_SIZE, imageOk, copyDone, swapInfo };
  if (!options.unprotectedTlvSizes) return { ...layout, swapSize: swapInfo + maxAlign };
  return { ...layout, unprotectedTlvSizes: swapInfo + maxAlign, swapSize: swapInfo + 2 * maxAlign };
}

/** `value` rounded up to a multiple of `unit`. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
