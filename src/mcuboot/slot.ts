import { isFilledWith } from "../bytes.js";
import { ImageError } from "./header.js";
import { type Image, parseImage } from "./image.js";
import { type SlotGeometry, trailerSize } from "./largest-image.js";
import {
  BOOT_MAGIC_SIZE,
  maxAlignOfMagic,
  parseTrailer,
  type Trailer,
  type TrailerOptions,
} from "./trailer.js";
import { type UpgradeMode, upgradeMode } from "./upgrade-modes.js";

/** A stretch of a slot, for maps. */
export interface Region {
  readonly kind:
    | "header"
    | "body"
    | "protected TLVs"
    | "TLVs"
    /** Erased. */
    | "free"
    /** Neither image nor trailer nor erased: what a larger image left behind, or no image at all. */
    | "leftover"
    | "trailer";
  readonly offset: number;
  readonly length: number;
}

/** A whole slot as read back from a board. */
export interface Slot {
  readonly size: number;
  /** Where the image was found: 0, or the second sector (swap-using-offset). */
  readonly imageOffset: number;
  /** Absent: no image there; then `problem` says why, unless the slot is erased. */
  readonly image?: Image;
  readonly problem?: ImageError;
  /** Nothing but erased bytes where an image would be. */
  readonly empty: boolean;
  readonly trailer: Trailer;
  /** All of the slot, in order, without gaps. */
  readonly map: readonly Region[];
}

export interface SlotOptions extends TrailerOptions {
  /** With it, an image is also looked for in the second sector, where swap-using-offset keeps updates. */
  readonly sectorSize?: number;
  /** To draw the trailer at its real size; without it only its fields are known. */
  readonly mode?: UpgradeMode;
  readonly geometry?: SlotGeometry;
}

/**
 * Takes a whole slot apart: image, trailer, and a map of all its bytes.
 *
 * @param bytes - the whole slot, trailer included, as read back from flash
 * @param options - what the bootloader was built with; sizes in bytes
 * @returns regions cover all bytes, offsets in bytes
 * @throws ImageError `no-trailer` when it is too small to be a slot
 */
export function parseSlot(bytes: Uint8Array, options: SlotOptions = {}): Slot {
  const { erasedValue = 0xff } = options;
  const unprotectedTlvSizes = options.unprotectedTlvSizes ?? startsLater(options.mode);
  const trailer = parseTrailer(bytes, { ...options, unprotectedTlvSizes });
  const found = findImage(bytes, options.sectorSize);
  const empty = !found.image && isFilledWith(bytes.subarray(0, 4), erasedValue);
  const trailerAt = bytes.length - Math.min(bytes.length, trailerLength(trailer, options));
  return {
    size: bytes.length,
    imageOffset: found.offset,
    ...(found.image && { image: found.image }),
    ...(found.problem && !empty && { problem: found.problem }),
    empty,
    trailer,
    map: mapSlot(bytes, found, trailerAt, erasedValue),
  };
}

/** Updates begin in the second sector; the trailer then also holds the sizes of unprotected TLVs. */
function startsLater(mode: UpgradeMode | undefined): boolean {
  return mode !== undefined && upgradeMode(mode).swap?.updateSector === 1;
}

/**
 * What erased flash reads as in this slot: 0 on chips such as STM32L0 and L1, where everything behind the image that
 * nobody wrote is 0; else 0xff.
 *
 * @param slot - the whole of it
 * @param image - when one was found in it
 * @returns 0xff when nothing tells
 */
export function erasedValueOf(slot: Uint8Array, image?: Image): 0 | 0xff {
  const magicAt = slot.length - (maxAlignOfMagic(slot) === undefined ? 0 : BOOT_MAGIC_SIZE);
  const rest = slot.subarray(image?.size ?? 0, magicAt);
  if (rest.includes(0xff)) return 0xff;
  const zeros = rest.reduce((count, byte) => count + (byte === 0 ? 1 : 0), 0);
  // A trailer's flags are written, one byte each; a leftover of an image is more.
  return rest.length > 0 && rest.length - zeros <= MOST_FLAGS ? 0 : 0xff;
}

/** image_ok, copy_done, swap_info and swap_size. */
const MOST_FLAGS = 7;

const BLOCK = 256;

/**
 * What erased flash reads as in a dump: what more of its blocks are filled with.
 *
 * @param bytes - of any part of flash
 * @returns 0xff when nothing tells
 */
export function erasedValueOfDump(bytes: Uint8Array): 0 | 0xff {
  let balance = 0;
  for (let at = 0; at + BLOCK <= bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK);
    if (isFilledWith(block, 0)) balance--;
    else if (isFilledWith(block, 0xff)) balance++;
  }
  return balance < 0 ? 0 : 0xff;
}

interface Found {
  readonly offset: number;
  readonly image?: Image;
  readonly problem?: ImageError;
}

function findImage(bytes: Uint8Array, sectorSize: number | undefined): Found {
  const first = imageAt(bytes, 0);
  if (first.image || sectorSize === undefined) return first;
  const second = imageAt(bytes, sectorSize);
  return second.image ? second : first;
}

function imageAt(bytes: Uint8Array, offset: number): Found {
  try {
    return { offset, image: parseImage(bytes.subarray(offset)) };
  } catch (problem) {
    if (!(problem instanceof ImageError)) throw problem;
    return { offset, problem };
  }
}

function trailerLength(trailer: Trailer, { mode, geometry }: SlotOptions): number {
  return mode && geometry ? trailerSize(mode, geometry) : trailer.layout.swapSize;
}

function mapSlot(
  bytes: Uint8Array,
  { offset, image }: Found,
  trailerAt: number,
  erasedValue: number,
): Region[] {
  const regions: Region[] = [];
  let at = 0;
  const upTo = (end: number, kind?: Region["kind"]) => {
    if (end <= at) return;
    const found = kind ?? (isFilledWith(bytes.subarray(at, end), erasedValue) ? "free" : "leftover");
    regions.push({ kind: found, offset: at, length: end - at });
    at = end;
  };
  if (image) {
    upTo(offset);
    const { headerSize } = image.header;
    upTo(offset + headerSize, "header");
    upTo(offset + headerSize + image.body.length, "body");
    upTo(offset + image.unprotectedArea.offset, "protected TLVs");
    upTo(offset + image.size, "TLVs");
  }
  upTo(trailerAt);
  upTo(bytes.length, "trailer");
  return regions;
}
