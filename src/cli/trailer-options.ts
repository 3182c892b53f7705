import type { Command } from "commander";
import { type TrailerKind, trailerKind } from "./argument-values.js";
import { UsageError } from "./usage-error.js";

export interface TrailerOptions {
  trailer?: TrailerKind;
  erased?: 0 | 0xff;
}

/** Adds `--trailer` and what its filling is. */
export function trailerOptions(command: Command, kinds: string): Command {
  return command
    .option("--trailer <kind>", `make a trailer of this kind for the slot: ${kinds}`, trailerKind)
    .option(
      "--erased <byte>",
      "what erased flash reads as, for a made trailer: 0 on STM32L0 and L1 (default: as the file's padding, else 0xff)",
      erasedByte,
    );
}

function erasedByte(text: string): 0 | 0xff {
  const value = /^(0x[\da-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (value === 0 || value === 0xff) return value;
  throw new UsageError(`--erased "${text}" is not what erased flash reads as.`, "It is 0 or 0xff.");
}
