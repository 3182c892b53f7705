import type { SwapMode } from "./swap-type.js";
import { alignUp, BOOT_MAGIC_SIZE, type MaxAlign, trailerLayout } from "./trailer.js";

/** All ways a bootloader can be built to start images. */
export type BootMode = SwapMode | "direct-xip" | "ram-load" | "single-slot" | "firmware-loader";

/** What a bootloader was built with; sizes in bytes. */
export interface SlotGeometry {
  readonly primarySize: number;
  /** Default: as large as the primary. */
  readonly secondarySize?: number;
  readonly sectorSize: number;
  /** Of the flash. Default 4. */
  readonly writeSize?: number;
  /** BOOT_MAX_ALIGN. Default 8. */
  readonly maxAlign?: MaxAlign;
  /** BOOT_MAX_IMG_SECTORS. Default 128. */
  readonly maxSectors?: number;
  /** Bytes of one saved encryption key, or of a whole ENC TLV with MCUBOOT_SWAP_SAVE_ENCTLV; 0 = no encryption. */
  readonly encryptionKeySize?: number;
}

/** Status entries per sector: how many steps of moving one sector are noted down. */
const STATUS_STATES: Partial<Record<BootMode, number>> = {
  "swap-scratch": 3,
  "swap-move": 3,
  "swap-offset": 2,
};

/** Bytes of a slot's trailer in this mode: fields, saved keys and swap status (bootutil_area.c, boot_trailer_sz). */
export function trailerSize(mode: BootMode, geometry: SlotGeometry): number {
  const { writeSize = 4, maxSectors = 128 } = geometry;
  return fieldsSize(mode, geometry) + (STATUS_STATES[mode] ?? 0) * maxSectors * writeSize;
}

/**
 * The largest image, from its header to the end of its last TLV, that this bootloader accepts (bootutil_max_image_size).
 * imgtool's own check reserves less than the swap modes need.
 */
export function largestImage(mode: BootMode, geometry: SlotGeometry): number {
  const { primarySize, secondarySize = primarySize, sectorSize, maxAlign = 8 } = geometry;
  const smaller = Math.min(primarySize, secondarySize);
  const trailer = trailerSize(mode, geometry);
  const trailerSectors = alignUp(trailer, sectorSize);
  return Math.max(0, limit());

  function limit(): number {
    switch (mode) {
      // One sector more: the primary's images are first shifted up by one.
      case "swap-move":
        return Math.min(primarySize - trailerSectors - sectorSize, secondarySize - trailerSectors);
      // Here it is the secondary whose image begins one sector later.
      case "swap-offset":
        return Math.min(primarySize - trailerSectors, secondarySize - trailerSectors - sectorSize);
      case "swap-scratch":
        return smaller - trailer - scratchPadding(geometry, trailer);
      case "overwrite-only":
      case "direct-xip":
      case "ram-load":
        return smaller - trailerLayout(maxAlign).swapInfo;
      case "single-slot":
      case "firmware-loader":
        return primarySize - trailer;
    }
  }
}

function fieldsSize(mode: BootMode, { maxAlign = 8, encryptionKeySize = 0 }: SlotGeometry): number {
  // swap_info, copy_done, image_ok and swap_size, and swap-offset's sizes of unprotected TLVs.
  const fields = mode === "swap-offset" ? 5 : 4;
  return fields * maxAlign + alignUp(BOOT_MAGIC_SIZE, maxAlign) + 2 * alignUp(encryptionKeySize, maxAlign);
}

/** The scratch area's trailer must fit behind the last data that goes through it. */
function scratchPadding(geometry: SlotGeometry, trailer: number): number {
  const { sectorSize, writeSize = 4 } = geometry;
  const scratchTrailer = fieldsSize("swap-scratch", geometry) + 3 * writeSize;
  const inFirstSector = trailer - (alignUp(trailer, sectorSize) - sectorSize);
  return Math.max(0, scratchTrailer - inFirstSector);
}
