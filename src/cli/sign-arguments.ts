import { fromHex } from "../bytes.js";
import type { Dependency } from "../mcuboot/image.js";
import { parseVersion } from "../mcuboot/version.js";
import { UsageError } from "./usage-error.js";

/** Values of signing options that are small languages of imgtool's. */

/** `(1, 1.2.3+0)(2, 2.0)`: image numbers and the versions they must have. Throws `UsageError`, `VersionError`. */
export function parseDependencies(text: string): Dependency[] {
  // Found apart and paired by place, as imgtool does: what stands between the pairs does not matter.
  const images = [...text.matchAll(/\((\d+)/g)].map(([, image]) => Number(image));
  const versions = [...text.matchAll(/,\s*([0-9.+]+)\)/g)].map(([, version]) => version!);
  if (images.length === 0 || images.length !== versions.length)
    throw new UsageError(
      `Dependencies "${text}" are not pairs of image and version.`,
      'Write them as "(1, 1.2.3+0)(2, 2.0.0)".',
    );
  return images.map((image, index) => ({ image, version: parseVersion(versions[index]!) }));
}

/** The value of a custom TLV: `0x` and pairs of hex digits are bytes, everything else text. Throws `UsageError`. */
export function parseTlvValue(text: string): Uint8Array {
  if (!text.startsWith("0x")) return new TextEncoder().encode(text);
  const digits = text.slice(2);
  if (digits.length % 2 !== 0)
    throw new UsageError(`Custom TLV value ${text}: its number of hex digits is odd.`);
  return fromHex(digits);
}

/** What imgtool calls `auto` in any case, or undefined. */
export function isAuto(text: string): boolean {
  return text.toLowerCase() === "auto";
}

/** A signature in base64 as files hold it: with line breaks and whatever else is not base64 between. */
export function looseBase64(text: string): string {
  return text.replace(/[^A-Za-z0-9+/=]/g, "");
}
