import type { Segment } from "../formats/intel-hex.js";
import { SignError } from "./sign-error.js";
import type { SlotPlan } from "./signing-plan.js";
import { alignUp, BOOT_MAGIC_SIZE, bootMagic, trailerLayout } from "./trailer.js";

/**
 * Bytes that imgtool reserves for the trailer. Necessary, not sufficient: swap-move and swap-offset need a sector more
 * (see `largestImage`).
 */
export function reservedTrailerSize(slot: SlotPlan, encryptionTlvLength = 0): number {
  const { align, maxAlign, maxSectors, overwriteOnly, saved } = slot;
  const magic = alignUp(BOOT_MAGIC_SIZE, maxAlign);
  if (overwriteOnly) return 2 * maxAlign + magic;
  const status = maxSectors * 3 * align;
  // imgtool counts 16 bytes for a saved key also with AES-256.
  const key = saved === "nothing" ? 0 : alignUp(saved === "whole TLV" ? encryptionTlvLength : 16, maxAlign);
  return status + 2 * key + 4 * maxAlign + magic;
}

/** Throws `SignError` `slot-too-small` when image and trailer do not fit the slot together. */
export function checkFits(size: number, slot: SlotPlan, encryptionTlvLength: number | undefined): void {
  const trailer = reservedTrailerSize(slot, encryptionTlvLength);
  if (slot.size === 0 || size + trailer <= slot.size) return;
  throw new SignError(
    "slot-too-small",
    `The image has ${size} bytes and the trailer needs ${trailer}: ${size + trailer - slot.size} more than the slot's ${slot.size}.`,
    { sizes: { image: size, trailer, slot: slot.size } },
  );
}

/** The image filled up to the slot, and a trailer that asks for a test or counts as confirmed. */
export function withTrailer(image: Uint8Array, slot: SlotPlan): Uint8Array {
  const { size, trailer, overwriteOnly, maxAlign } = slot;
  const bytes = new Uint8Array(size).fill(slot.erasedValue);
  bytes.set(image);
  bytes.set(bootMagic(maxAlign, slot.endian), size - BOOT_MAGIC_SIZE);
  if (trailer === "confirmed" && !overwriteOnly) bytes[size - trailerLayout(maxAlign).imageOk] = 1;
  return bytes;
}

/**
 * The trailer alone, for files that need not hold the empty space before it.
 *
 * @param slot - of the plan that the image was made by
 * @param flags - with the unit of image_ok, also when that is erased, so that programming it clears an old flag
 * @returns segments at addresses in bytes from the start of the slot
 */
export function trailerSegments(slot: SlotPlan, flags: boolean): Segment[] {
  const { size, trailer, overwriteOnly, erasedValue, maxAlign } = slot;
  const magic = { address: size - BOOT_MAGIC_SIZE, bytes: bootMagic(maxAlign, slot.endian) };
  if (!flags || overwriteOnly) return [magic];
  const imageOk = new Uint8Array(maxAlign).fill(erasedValue);
  if (trailer === "confirmed") imageOk[0] = 1;
  return [{ address: size - trailerLayout(maxAlign).imageOk, bytes: imageOk }, magic];
}
