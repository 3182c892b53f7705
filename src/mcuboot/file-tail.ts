import { isFilledWith } from "../bytes.js";
import type { Image } from "./image.js";
import {
  BOOT_MAGIC_SIZE,
  bootMagic,
  type MaxAlign,
  maxAlignOfMagic,
  parseTrailer,
  trailerLayout,
} from "./trailer.js";

/** What a trailer asks for: `test`, one trial boot; `confirmed`, the image stays, without a trial. */
export type TrailerIntent = "test" | "confirmed";

/** What follows the image in a file. Neither hash nor signature covers it. */
export type FileTail =
  | { readonly kind: "none" }
  /** Nothing but erased bytes. */
  | { readonly kind: "padding"; readonly bytes: number }
  /** Padding up to a slot's end and a trailer there, as imgtool's `--pad` and `--confirm` make it. */
  | {
      readonly kind: "trailer";
      readonly bytes: number;
      readonly intent: TrailerIntent;
      readonly maxAlign: MaxAlign;
    }
  /** Anything else. */
  | { readonly kind: "data"; readonly bytes: number };

/**
 * Names what follows `image` in the file that it was parsed from.
 *
 * @param file - that the image was parsed from
 * @param image - by {@link parseImage}
 * @returns nothing, padding, a trailer with what it asks for, or other bytes
 */
export function tailOf(file: Uint8Array, image: Image): FileTail {
  const tail = file.subarray(image.size);
  const bytes = tail.length;
  if (bytes === 0) return { kind: "none" };
  const maxAlign = maxAlignOfMagic(tail);
  if (maxAlign !== undefined && bytes >= trailerLayout(maxAlign).swapSize) {
    const { imageOk } = parseTrailer(tail, { maxAlign });
    return { kind: "trailer", bytes, intent: imageOk === "set" ? "confirmed" : "test", maxAlign };
  }
  return { kind: isFilledWith(tail, tail[0]!) && isErased(tail[0]!) ? "padding" : "data", bytes };
}

const isErased = (byte: number) => byte === 0xff || byte === 0;

/** What a trailer made for an image looks like. */
export interface MadeTrailer {
  readonly intent: TrailerIntent;
  /** Bytes. */
  readonly slotSize: number;
  /** BOOT_MAX_ALIGN of the bootloader. Default 8. */
  readonly maxAlign?: MaxAlign | undefined;
  /** What erased flash reads as: 0 on chips such as STM32L0 and L1. Default 0xff. */
  readonly erasedValue?: number | undefined;
}

/** The image alone, filled up to the slot's end with erased bytes and a trailer (bootutil_public.h). */
export function withMadeTrailer(file: Uint8Array, image: Image, made: MadeTrailer): Uint8Array {
  const { intent, slotSize, maxAlign = 8, erasedValue = 0xff } = made;
  const bytes = new Uint8Array(slotSize).fill(erasedValue);
  bytes.set(file.subarray(0, image.size));
  bytes.set(bootMagic(maxAlign, image.endian), slotSize - BOOT_MAGIC_SIZE);
  if (intent === "confirmed") bytes[slotSize - trailerLayout(maxAlign).imageOk] = 1;
  return bytes;
}

/** Room that a made trailer takes at the end of a slot, bytes. */
export function madeTrailerSize({ maxAlign = 8 }: Pick<MadeTrailer, "maxAlign">): number {
  return trailerLayout(maxAlign).swapSize;
}
