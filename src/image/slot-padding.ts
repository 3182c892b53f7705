import type { Segment } from "./intel-hex.js";
import type { SignOptions } from "./sign.js";
import { SignError } from "./sign-error.js";
import { alignUp, BOOT_MAGIC_SIZE, bootMagic, type MaxAlign, trailerLayout } from "./trailer.js";

/**
 * Bytes that imgtool reserves for the trailer. Necessary, not sufficient: swap-move and swap-offset need a sector more
 * (see `largestImage`).
 */
export function reservedTrailerSize(
  options: Pick<SignOptions, "align" | "maxAlign" | "maxSectors" | "overwriteOnly" | "encrypt">,
  encryptionTlvLength = 0,
): number {
  const maxAlign = maxAlignOf(options);
  const magic = alignUp(BOOT_MAGIC_SIZE, maxAlign);
  if (options.overwriteOnly) return 2 * maxAlign + magic;
  const status = (options.maxSectors ?? 128) * 3 * (options.align ?? 1);
  // imgtool counts 16 bytes for a saved key also with AES-256.
  const saved = options.encrypt ? alignUp(options.encrypt.saveTlv ? encryptionTlvLength : 16, maxAlign) : 0;
  return status + 2 * saved + 4 * maxAlign + magic;
}

/** Throws `SignError` `too-large` when image and trailer do not fit the slot together. */
export function checkFits(size: number, options: SignOptions, encryptionTlvLength: number | undefined): void {
  const { slotSize } = options;
  const trailer = reservedTrailerSize(options, encryptionTlvLength);
  if (slotSize === 0 || size + trailer <= slotSize) return;
  throw new SignError(
    "too-large",
    `The image has ${size} bytes and the trailer needs ${trailer}: ${size + trailer - slotSize} more than the slot's ${slotSize}.`,
    { sizes: { image: size, trailer, slot: slotSize } },
  );
}

/** The image filled up to the slot, and a trailer that asks for a test or counts as confirmed. */
export function withTrailer(image: Uint8Array, options: SignOptions): Uint8Array {
  const { slotSize, trailer, overwriteOnly } = options;
  const maxAlign = maxAlignOf(options);
  const bytes = new Uint8Array(slotSize).fill(options.erasedValue ?? 0xff);
  bytes.set(image);
  bytes.set(bootMagic(maxAlign, options.endian), slotSize - BOOT_MAGIC_SIZE);
  if (trailer === "confirmed" && !overwriteOnly) bytes[slotSize - trailerLayout(maxAlign).imageOk] = 1;
  return bytes;
}

/**
 * The trailer alone, at addresses from the start of the slot, for files that need not hold the empty space before it.
 * `flags`: with the unit of image_ok, also when that is erased, so that programming it clears an old flag.
 */
export function trailerSegments(options: SignOptions, flags: boolean): Segment[] {
  const { slotSize, trailer, overwriteOnly, erasedValue = 0xff } = options;
  const maxAlign = maxAlignOf(options);
  const magic = { address: slotSize - BOOT_MAGIC_SIZE, bytes: bootMagic(maxAlign, options.endian) };
  if (!flags || overwriteOnly) return [magic];
  const imageOk = new Uint8Array(maxAlign).fill(erasedValue);
  if (trailer === "confirmed") imageOk[0] = 1;
  return [{ address: slotSize - trailerLayout(maxAlign).imageOk, bytes: imageOk }, magic];
}

/** BOOT_MAX_ALIGN as imgtool takes it from its options. */
export function maxAlignOf({ align, maxAlign }: Pick<SignOptions, "align" | "maxAlign">): MaxAlign {
  return maxAlign ?? (align === 16 || align === 32 ? align : 8);
}
