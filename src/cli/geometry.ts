import type { Command } from "commander";
import type { SlotGeometry } from "../mcuboot/largest-image.js";
import type { MaxAlign } from "../mcuboot/trailer.js";
import { UPGRADE_MODE_NAMES, type UpgradeMode } from "../mcuboot/upgrade-modes.js";
import { UsageError } from "./usage-error.js";
import { wholeNumber } from "./verb-context.js";

/** What a user says of a board's slots. */
export interface GeometryOptions {
  mode?: string;
  slotSize?: number;
  secondarySize?: number;
  sectorSize?: number;
  writeSize?: number;
  maxAlign?: number;
  maxSectors?: number;
}

/** Adds the options that describe slots. */
export function geometryOptions(command: Command): Command {
  const size = (name: string) => wholeNumber(name, { min: 1 });
  return command
    .option("--mode <mode>", `the bootloader's upgrade mode: ${UPGRADE_MODE_NAMES.join(", ")}`)
    .option("--slot-size <bytes>", "size of the primary slot", wholeNumber("--slot-size"))
    .option("--secondary-size <bytes>", "size of the secondary slot, if another", size("--secondary-size"))
    .option("--sector-size <bytes>", "size of a flash sector", size("--sector-size"))
    .option("--write-size <bytes>", "write size of the flash (default 4)", size("--write-size"))
    .option("--max-align <bytes>", "BOOT_MAX_ALIGN: 8, 16 or 32 (default 8)", size("--max-align"))
    .option("--max-sectors <number>", "BOOT_MAX_IMG_SECTORS (default 128)", size("--max-sectors"));
}

/** Throws `UsageError`. */
export function upgradeModeNamed(text: string | undefined): UpgradeMode | undefined {
  const mode = UPGRADE_MODE_NAMES.find((known) => known === text);
  if (text === undefined || mode !== undefined) return mode;
  throw new UsageError(`There is no mode "${text}".`, `There are: ${UPGRADE_MODE_NAMES.join(", ")}.`);
}

/** Throws `UsageError`. */
export function maxAlign(value: number | undefined): MaxAlign | undefined {
  if (value === undefined || value === 8 || value === 16 || value === 32) return value;
  throw new UsageError(`--max-align ${value}: it is 8, 16 or 32.`);
}

/** The geometry, when at least the sizes of slot and sector are known. `primarySize`: if not given as an option. */
export function slotGeometry(
  options: GeometryOptions,
  primarySize = options.slotSize,
): SlotGeometry | undefined {
  const { secondarySize, sectorSize, writeSize, maxSectors } = options;
  if (primarySize === undefined || sectorSize === undefined) return undefined;
  const align = maxAlign(options.maxAlign);
  return {
    primarySize,
    sectorSize,
    ...(secondarySize !== undefined && { secondarySize }),
    ...(writeSize !== undefined && { writeSize }),
    ...(align && { maxAlign: align }),
    ...(maxSectors !== undefined && { maxSectors }),
  };
}
