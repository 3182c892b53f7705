import { alignUp, BOOT_MAGIC_SIZE, type MaxAlign, trailerLayout } from "./trailer.js";
import { type UpgradeMode, upgradeMode } from "./upgrade-modes.js";

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

/**
 * Bytes of a slot's trailer in this mode: fields, saved keys and swap status (bootutil_area.c, boot_trailer_sz).
 *
 * @param mode - of the bootloader
 * @param geometry - sizes in bytes
 * @returns bytes
 */
export function trailerSize(mode: UpgradeMode, geometry: SlotGeometry): number {
  const { writeSize = 4, maxSectors = 128 } = geometry;
  return fieldsSize(mode, geometry) + (upgradeMode(mode).swap?.statusEntries ?? 0) * maxSectors * writeSize;
}

/**
 * The largest image, in bytes from its header to the end of its last TLV, that this bootloader accepts
 * (bootutil_max_image_size). imgtool's own check reserves less than the swap modes need.
 *
 * @param mode - of the bootloader
 * @param geometry - sizes in bytes
 * @returns bytes; 0 when no image fits
 *
 * @example
 * ```ts
 * import { largestImage } from "bootproof/mcuboot";
 * const geometry = { primarySize: 0x20000, sectorSize: 0x1000 };
 * if (largestImage("swap-move", geometry) !== 0x1e000) throw new Error("another rule");
 * if (largestImage("direct-xip", geometry) !== 0x20000 - 40) throw new Error("another rule");
 * ```
 */
export function largestImage(mode: UpgradeMode, geometry: SlotGeometry): number {
  const { primarySize, secondarySize = primarySize, sectorSize, maxAlign = 8 } = geometry;
  const smaller = Math.min(primarySize, secondarySize);
  const trailer = trailerSize(mode, geometry);
  const trailerSectors = alignUp(trailer, sectorSize);
  return Math.max(0, limit());

  function limit(): number {
    switch (upgradeMode(mode).sizeRule) {
      // One sector more: the primary's images are first shifted up by one.
      case "spare-in-primary":
        return Math.min(primarySize - trailerSectors - sectorSize, secondarySize - trailerSectors);
      // Here it is the secondary whose image begins one sector later.
      case "spare-in-secondary":
        return Math.min(primarySize - trailerSectors, secondarySize - trailerSectors - sectorSize);
      case "scratch":
        return smaller - trailer - scratchPadding(geometry, trailer);
      case "swap-info":
        return smaller - trailerLayout(maxAlign).swapInfo;
      case "trailer":
        return primarySize - trailer;
    }
  }
}

function fieldsSize(mode: UpgradeMode, { maxAlign = 8, encryptionKeySize = 0 }: SlotGeometry): number {
  // swap_info, copy_done, image_ok and swap_size, and where updates begin later, the sizes of unprotected TLVs.
  const fields = upgradeMode(mode).swap?.updateSector === 1 ? 5 : 4;
  return fields * maxAlign + alignUp(BOOT_MAGIC_SIZE, maxAlign) + 2 * alignUp(encryptionKeySize, maxAlign);
}

/** The scratch area's trailer must fit behind the last data that goes through it. */
function scratchPadding(geometry: SlotGeometry, trailer: number): number {
  const { sectorSize, writeSize = 4 } = geometry;
  const scratchTrailer = fieldsSize("swap-scratch", geometry) + 3 * writeSize;
  const inFirstSector = trailer - (alignUp(trailer, sectorSize) - sectorSize);
  return Math.max(0, scratchTrailer - inFirstSector);
}
