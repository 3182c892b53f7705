import { isFilledWith } from "../bytes.js";
import { ImageError } from "./header.js";
import { type Image, parseImage } from "./image.js";
import { type BootMode, type SlotGeometry, trailerSize } from "./largest-image.js";
import { parseTrailer, type Trailer, type TrailerOptions } from "./trailer.js";

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
  readonly mode?: BootMode;
  readonly geometry?: SlotGeometry;
}

/** Takes a whole slot apart. Throws {@link ImageError} `no-trailer` when it is too small to be one. */
export function parseSlot(bytes: Uint8Array, options: SlotOptions = {}): Slot {
  const { erasedValue = 0xff } = options;
  const unprotectedTlvSizes = options.unprotectedTlvSizes ?? options.mode === "swap-offset";
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
    const erased = isFilledWith(bytes.subarray(at, end), erasedValue);
    regions.push({ kind: kind ?? (erased ? "free" : "leftover"), offset: at, length: end - at });
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
