import type { Segment } from "../../formats/intel-hex.js";
import type { SignedImage } from "../../mcuboot/sign.js";
import type { HeaderPlan, SlotPlan } from "../../mcuboot/signing-plan.js";
import { trailerSegments } from "../../mcuboot/slot-padding.js";
import { type WriteOptions, writeOutput } from "../files.js";
import { type Firmware, isHexName, writeHex } from "../firmware-file.js";
import { UsageError } from "../usage-error.js";

/** Where an image is written. */
export interface ImageTarget {
  readonly file: string;
  /** Address of the image in an Intel HEX file; undefined for a raw binary. */
  readonly base: number | undefined;
}

/**
 * A target for what becomes of this input. Intel HEX needs an address: `reported`, or where the input was, with room for
 * the header in front of it. Throws `UsageError` when neither says where.
 */
export function imageTarget(
  file: string,
  { address }: Firmware,
  { isAdded, size }: HeaderPlan,
  reported: number | undefined,
): ImageTarget {
  if (!isHexName(file)) return { file, base: undefined };
  if (reported !== undefined) return { file, base: reported };
  if (address === undefined)
    throw new UsageError(
      "No address exists in the input file nor was one given.",
      "Intel HEX needs to know where the image belongs: --hex-addr ADDRESS.",
    );
  // imgtool leaves an input at address 0 there, although the header then moves it.
  return { file, base: isAdded && address !== 0 ? address - size : address };
}

/**
 * Writes an image: a raw binary filled up to the slot's end where that was asked for, or Intel HEX with the trailer as
 * a segment of its own. `withFlags`: that segment begins at image_ok.
 */
export function writeImage(
  { file, base }: ImageTarget,
  { image, bytes }: SignedImage,
  slot: SlotPlan,
  { withFlags, ...how }: WriteOptions & { withFlags: boolean },
): void {
  if (base === undefined) {
    writeOutput(file, bytes, how);
    return;
  }
  const trailer = slot.trailer ? trailerSegments(slot, withFlags) : [];
  writeSegments(file, base, [{ address: 0, bytes: image }, ...trailer], how);
}

/** Writes bytes that are no image: what is to be signed. */
export function writeVector({ file, base }: ImageTarget, bytes: Uint8Array, how: WriteOptions = {}): void {
  if (base === undefined) writeOutput(file, bytes, how);
  else writeSegments(file, base, [{ address: 0, bytes }], how);
}

function writeSegments(file: string, base: number, segments: readonly Segment[], how: WriteOptions): void {
  writeHex(
    file,
    segments.map(({ address, bytes }) => ({ address: base + address, bytes })),
    how,
  );
}
