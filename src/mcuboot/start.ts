import { isFilledWith } from "../bytes.js";
import { findVectors, otherCoreOf, type Vectors, vectorsAt } from "../formats/cortex-m.js";
import { endianOf, IMAGE_F } from "./header.js";
import type { Image } from "./image.js";

/**
 * Stack and entry of an image for Cortex-M; undefined for other architectures, and where the body cannot be read.
 *
 * @param image - by {@link parseImage}
 * @returns addresses in bytes
 */
export function imageVectors(image: Pick<Image, "body" | "encrypted" | "header">): Vectors | undefined {
  return isReadable(image) ? vectorsAt(image.body) : undefined;
}

/**
 * An address as data sheets write it: all eight digits.
 *
 * @param address - in bytes
 * @returns like `0x08000000`
 */
export function addressText(address: number): string {
  return `0x${address.toString(16).padStart(8, "0")}`;
}

/** Ciphertext and compressed bodies begin with no vectors. */
function isReadable({ encrypted, header }: Pick<Image, "encrypted" | "header">): boolean {
  return !encrypted && (header.flags & (IMAGE_F.COMPRESSED_LZMA1 | IMAGE_F.COMPRESSED_LZMA2)) === 0;
}

/** Fewer bytes are no firmware of a microcontroller. */
const SMALLEST_FIRMWARE = 256;

/**
 * Why firmware that begins like this cannot start, as sentences: zeros where its vectors should be, vectors of another
 * core, an entry outside of where it is. `address`: of the body in flash, where that is known.
 *
 * @param body - of an image, or firmware before it is one
 * @param address - of the body in flash, where that is known
 * @returns sentences; none for firmware that looks well
 */
export function bodyWarnings(body: Uint8Array, address?: number): string[] {
  if (body.length < SMALLEST_FIRMWARE) return [];
  if (endianOf(body) !== undefined)
    return [
      "The body begins with an MCUboot header: it is already a signed image, and is signed a second time.",
    ];
  if (isFilledWith(body.subarray(0, 8), 0)) return [zeroVectors(body)];
  const vectors = vectorsAt(body);
  if (!vectors) return [];
  const { stack, entry } = vectors;
  const numbers = `Stack ${addressText(stack)} and entry ${addressText(entry)}`;
  const core = otherCoreOf(vectors);
  const warnings: string[] = [];
  if (core !== undefined)
    warnings.push(`${numbers} are those of ${core}: the firmware does not start on an application core.`);
  const end = address === undefined ? 0 : address + body.length;
  if (address !== undefined && (entry < address || entry >= end))
    warnings.push(
      `The entry ${addressText(entry)} is outside of the body, which is at ${addressText(address)} to ${addressText(end)}: it is linked for another address.`,
    );
  return warnings;
}

function zeroVectors(body: Uint8Array): string {
  const found = findVectors(body);
  const start = "The body begins with zeros where a Cortex-M has stack and entry";
  if (!found) return `${start}: on such a core it cannot start.`;
  return `${start}; its vectors are ${found.offset} bytes further on: there is room for two headers (omit --pad-header), or the header is ${found.offset} bytes too small.`;
}

/**
 * What {@link bodyWarnings} says of an image's body. `slotAddress`: of the slot that it is to run in, where known.
 *
 * @param image - by {@link parseImage}
 * @param slotAddress - of the slot that it is to run in, where known
 * @returns sentences; none for encrypted bodies
 */
export function startWarnings(image: Image, slotAddress?: number): string[] {
  if (!isReadable(image)) return [];
  const { headerSize, loadAddress, flags } = image.header;
  const linked = (flags & (IMAGE_F.ROM_FIXED | IMAGE_F.RAM_LOAD)) === 0 ? slotAddress : loadAddress;
  return bodyWarnings(image.body, linked === undefined ? undefined : linked + headerSize);
}
