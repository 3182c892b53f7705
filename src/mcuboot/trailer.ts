import { concat, type Endian, equal, isFilledWith, ORDER } from "../bytes.js";
import { ImageError } from "./header.js";

/**
 * The trailer: the end of a slot, where bootloader and application leave notes for each other (bootutil_public.h,
 * docs/design.md). Every field sits at the start of a unit of A = BOOT_MAX_ALIGN bytes.
 */
export type MaxAlign = 8 | 16 | 32;

export const BOOT_MAGIC_SIZE = 16;

// biome-ignore format: sixteen bytes, one line
const MAGIC_ALIGN_8 = Uint8Array.of(0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80);
// biome-ignore format: fourteen bytes, one line
const MAGIC_TAIL = Uint8Array.of(0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a);

/**
 * The 16 bytes at the very end; those of A = 8 have no length in them, for boards older than the other two.
 *
 * @param maxAlign - BOOT_MAX_ALIGN, bytes
 * @param endian - of the board; little by default
 * @returns 16 bytes
 */
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
  /** Only swap-using-offset since 2.3: sizes of the unprotected TLVs of both slots. */
  readonly unprotectedTlvSizes?: number;
  readonly swapSize: number;
}

/**
 * Where the fields are. `unprotectedTlvSizes`: for a bootloader that swaps using offset, 2.3 or later.
 *
 * @param maxAlign - BOOT_MAX_ALIGN of the bootloader, bytes
 * @param options - `unprotectedTlvSizes` for a bootloader that swaps using offset, 2.3 or later
 * @returns bytes from the end of the slot to the start of each field
 */
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

/** `bad`: neither erased nor the magic that a bootloader with this alignment expects. */
export type MagicState = "good" | "bad" | "unset";
/** `set` is 0x01; `bad` anything that is neither that nor erased. */
export type FlagState = "set" | "bad" | "unset";

/** The three fields that MCUboot decides by. */
export interface TrailerState {
  readonly magic: MagicState;
  readonly imageOk: FlagState;
  readonly copyDone: FlagState;
}

/** A trailer as read back. */
export interface Trailer extends TrailerState {
  readonly maxAlign: MaxAlign;
  readonly layout: TrailerLayout;
  /** The swap that was asked for or is under way, as noted; undefined when the field is erased. */
  readonly swapInfo?: { readonly type: SwapInfoType; readonly image: number; readonly raw: number };
  /** Bytes that a swap under way exchanges; undefined when the field is erased. */
  readonly swapSize?: number;
}

/** Swap type as the trailer's field spells it; every number that is not one of these counts as none. */
export type SwapInfoType = "none" | "test" | "perm" | "revert";
const SWAP_INFO_TYPES: Readonly<Record<number, SwapInfoType>> = { 2: "test", 3: "perm", 4: "revert" };

/** How to read the end of a slot. */
export interface TrailerOptions {
  /** BOOT_MAX_ALIGN of the bootloader; it takes any other magic for a bad one. Default 8. */
  readonly maxAlign?: MaxAlign;
  readonly erasedValue?: number;
  readonly unprotectedTlvSizes?: boolean;
  readonly endian?: Endian;
}

/**
 * Reads the trailer at the end of a whole slot.
 *
 * @param slot - the whole of it
 * @param options - what the bootloader was built with; sizes in bytes
 * @returns each field, erased, set or damaged
 * @throws {@link ImageError} `no-trailer` when the slot is too small
 */
export function parseTrailer(slot: Uint8Array, options: TrailerOptions = {}): Trailer {
  const { maxAlign = 8, erasedValue = 0xff, endian = "little" } = options;
  const layout = trailerLayout(maxAlign, options);
  if (slot.length < layout.swapSize)
    throw new ImageError(
      "no-trailer",
      slot.length,
      `${slot.length} bytes hold no trailer of ${layout.swapSize}.`,
    );
  const fromEnd = (distance: number, length: number) =>
    slot.subarray(slot.length - distance, slot.length - distance + length);
  const flag = (distance: number) => flagState(fromEnd(distance, 1)[0]!, erasedValue);
  const magic = fromEnd(layout.magic, BOOT_MAGIC_SIZE);
  const swapInfo = fromEnd(layout.swapInfo, 1)[0]!;
  const swapSize = fromEnd(layout.swapSize, 4);
  return {
    maxAlign,
    layout,
    magic: magicState(magic, bootMagic(maxAlign, endian), erasedValue),
    imageOk: flag(layout.imageOk),
    copyDone: flag(layout.copyDone),
    ...(swapInfo !== erasedValue && { swapInfo: decodeSwapInfo(swapInfo) }),
    ...(!isFilledWith(swapSize, erasedValue) && { swapSize: ORDER[endian].u32(swapSize, 0) }),
  };
}

/**
 * BOOT_MAX_ALIGN of whoever wrote the magic at the end of these bytes; undefined when there is no magic.
 *
 * @param slot - its last bytes are enough
 * @returns 8, 16 or 32 bytes
 */
export function maxAlignOfMagic(slot: Uint8Array): MaxAlign | undefined {
  if (slot.length < BOOT_MAGIC_SIZE) return undefined;
  const magic = slot.subarray(slot.length - BOOT_MAGIC_SIZE);
  return ([8, 16, 32] as const).find(
    (maxAlign) => equal(magic, bootMagic(maxAlign)) || equal(magic, bootMagic(maxAlign, "big")),
  );
}

/** `value` rounded up to a multiple of `unit`. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function magicState(found: Uint8Array, expected: Uint8Array, erasedValue: number): MagicState {
  if (equal(found, expected)) return "good";
  return isFilledWith(found, erasedValue) ? "unset" : "bad";
}

function flagState(byte: number, erasedValue: number): FlagState {
  if (byte === 1) return "set";
  return byte === erasedValue ? "unset" : "bad";
}

function decodeSwapInfo(raw: number) {
  return { type: SWAP_INFO_TYPES[raw & 0x0f] ?? "none", image: raw >> 4, raw } as const;
}
