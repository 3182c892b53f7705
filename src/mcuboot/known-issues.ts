import { largestImage } from "./largest-image.js";
import { alignUp } from "./trailer.js";
import type { UpgradeMode } from "./upgrade-modes.js";

/**
 * What a power cut at the wrong moment, or the swap itself, can do to a pair of images in MCUboot as it is:
 * - `no-way-back`: the new image stays although nobody confirmed it; what was saved of the old one is truncated.
 * - `no-boot`: every later boot fails.
 * - `stuck`: the swap cannot begin, and the bootloader stops at an assertion.
 */
export type KnownIssue = "no-way-back" | "no-boot" | "stuck";

export interface Pair {
  /** Bytes of the image that runs, header to last TLV. */
  readonly oldSize: number;
  /** Bytes of the image that is to come. */
  readonly newSize: number;
  readonly sectorSize: number;
  /** Of the primary slot; without it nothing is said of images too large for the mode. */
  readonly primarySize?: number | undefined;
}

/**
 * The weak spot that this pair of images meets, as seen in recordings of MCUboot 2.4.0-114-g2d4bacc3 with power cut before
 * every flash operation (test/vectors/mcuboot/power-cut-pairs.json; swap_offset.c resumes with the new image's size only).
 */
export function knownIssueOf(mode: UpgradeMode, pair: Pair): KnownIssue | undefined {
  const { oldSize, newSize, sectorSize, primarySize } = pair;
  if (mode === "swap-offset") {
    const [before, after] = [oldSize, newSize].map((size) => alignUp(size, sectorSize) / sectorSize);
    if (before === 1 && after === 1) return "no-boot";
    if (before! - after! >= 2) return "no-way-back";
  }
  if ((mode === "swap-move" || mode === "swap-scratch") && primarySize !== undefined) {
    if (oldSize > largestImage(mode, { primarySize, sectorSize })) return "stuck";
  }
  return undefined;
}
