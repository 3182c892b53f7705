import type { Command } from "commander";
import type { BootMode, SlotGeometry } from "../image/largest-image.js";
import type { SwapMode } from "../image/swap-type.js";
import type { MaxAlign } from "../image/trailer.js";
import { wholeNumber } from "./context.js";
import { UsageError } from "./exit.js";

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

const MODES: readonly BootMode[] = [
  "swap-move",
  "swap-offset",
  "swap-scratch",
  "overwrite-only",
  "direct-xip",
  "ram-load",
  "single-slot",
  "firmware-loader",
];
const SWAP_MODES: readonly string[] = ["swap-move", "swap-offset", "swap-scratch", "overwrite-only"];

/** Adds the options that describe slots. */
export function geometryOptions(command: Command): Command {
  const size = (name: string) => wholeNumber(name, { min: 1 });
  return command
    .option("--mode <mode>", `the bootloader's upgrade mode: ${MODES.join(", ")}`)
    .option("--slot-size <bytes>", "size of the primary slot", wholeNumber("--slot-size"))
    .option("--secondary-size <bytes>", "size of the secondary slot, if another", size("--secondary-size"))
    .option("--sector-size <bytes>", "size of a flash sector", size("--sector-size"))
    .option("--write-size <bytes>", "write size of the flash (default 4)", size("--write-size"))
    .option("--max-align <bytes>", "BOOT_MAX_ALIGN: 8, 16 or 32 (default 8)", size("--max-align"))
    .option("--max-sectors <number>", "BOOT_MAX_IMG_SECTORS (default 128)", size("--max-sectors"));
}

/** Throws `UsageError`. */
export function bootMode(text: string | undefined): BootMode | undefined {
  const mode = MODES.find((known) => known === text);
  if (text === undefined || mode !== undefined) return mode;
  throw new UsageError(`There is no mode "${text}".`, `There are: ${MODES.join(", ")}.`);
}

/** A mode in which trailers ask for upgrades; undefined for the others. */
export function swapMode(mode: BootMode | undefined): SwapMode | undefined {
  return mode !== undefined && SWAP_MODES.includes(mode) ? (mode as SwapMode) : undefined;
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
