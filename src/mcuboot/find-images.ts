import { equal } from "../bytes.js";
import { IMAGE_MAGIC, ImageError } from "./header.js";
import { type Image, parseImage } from "./image.js";
import { BOOT_MAGIC_SIZE, bootMagic, type MaxAlign } from "./trailer.js";

/** What was found in a dump of a flash whose slots nobody named. */
export interface DumpFindings {
  /** Whole images, in order, none inside another. */
  readonly images: readonly { readonly offset: number; readonly image: Image }[];
  /** Where a trailer's magic ends, which is where a slot ends; outside of images. */
  readonly slotEnds: readonly { readonly offset: number; readonly maxAlign: MaxAlign }[];
  /** Slots of which both are known: from an image to the first end behind it. */
  readonly slots: readonly { readonly offset: number; readonly size: number }[];
}

/** No flash has smaller sectors that a slot could begin with; also what keeps the search of a hostile file short. */
const STEP = 256;

/**
 * Looks for images and the ends of slots at every place where a sector can begin. Never throws for what the bytes
 * are.
 *
 * @param bytes - a dump of flash
 * @returns images and ends of slots with their offsets in bytes
 */
export function findImages(bytes: Uint8Array): DumpFindings {
  const images = searchImages(bytes);
  const isInside = (at: number) =>
    images.some(({ offset, image }) => at > offset && at <= offset + image.size);
  const slotEnds = searchMagics(bytes).filter(({ offset }) => !isInside(offset));
  const slots = images.flatMap(({ offset, image }, index) => {
    const next = images[index + 1]?.offset ?? bytes.length;
    const end = slotEnds.find((one) => one.offset >= offset + image.size && one.offset <= next);
    return end ? [{ offset, size: end.offset - offset }] : [];
  });
  return { images, slotEnds, slots };
}

function searchImages(bytes: Uint8Array): { offset: number; image: Image }[] {
  const found: { offset: number; image: Image }[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const image = beginsImage(bytes, offset) ? tryParse(bytes.subarray(offset)) : undefined;
    if (image) found.push({ offset, image });
    offset += Math.max(STEP, Math.ceil((image?.size ?? 0) / STEP) * STEP);
  }
  return found;
}

/** The magic in either byte order; everything else is seen by the parser. */
function beginsImage(bytes: Uint8Array, offset: number): boolean {
  const [a, b, c, d] = bytes.subarray(offset, offset + 4);
  const big = ((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0;
  const little = ((d! << 24) | (c! << 16) | (b! << 8) | a!) >>> 0;
  return little === IMAGE_MAGIC || big === IMAGE_MAGIC;
}

function tryParse(bytes: Uint8Array): Image | undefined {
  try {
    return parseImage(bytes);
  } catch (error) {
    // The magic alone, as in a bootloader's code, is no image.
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

function searchMagics(bytes: Uint8Array): DumpFindings["slotEnds"] {
  const magics = ([8, 16, 32] as const).map((maxAlign) => ({ maxAlign, magic: bootMagic(maxAlign) }));
  const ends: { offset: number; maxAlign: MaxAlign }[] = [];
  for (let offset = STEP; offset <= bytes.length; offset += STEP) {
    const last = bytes.subarray(offset - BOOT_MAGIC_SIZE, offset);
    const known = magics.find(({ magic }) => equal(last, magic));
    if (known) ends.push({ offset, maxAlign: known.maxAlign });
  }
  return ends;
}
