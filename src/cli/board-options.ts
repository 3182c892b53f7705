import type { Command } from "commander";
import { UsageError } from "./usage-error.js";
import { type CommonOptions, commonOptions, wholeNumber } from "./verb-context.js";

/** Options of commands that speak to a board. */
export interface BoardOptions extends CommonOptions {
  device?: string | undefined;
  timeout?: number;
  log?: boolean;
  trace?: string;
}

/** Adds `-d, --device` and what goes with it. `device` reads a `-d`, given those before; default: there may be one. */
export function boardOptions(
  command: Command,
  device: (value: string, before: never) => string | string[] = oneDevice,
): Command {
  return commonOptions(command)
    .option<string | string[]>(
      "-d, --device <address>",
      "the board: serial number, USB port, VID:PID, name from the config file, or an address (serial:PATH, tcp:HOST:PORT, wasm:VARIANT, ...)",
      device as (value: string) => string | string[],
    )
    .option("--timeout <ms>", "how long to wait for each answer", milliseconds)
    .option("--log", "show the board's log lines on stderr")
    .option(
      "--trace <file>",
      "record every message with its time in this file; bootproof trace shows and replays it",
    );
}

/** Of two boards the second would be taken in silence. */
export function oneDevice(value: string, before: string | undefined): string {
  if (before === undefined) return value;
  throw new UsageError(
    `This command takes one board; -d names "${before}" and "${value}".`,
    "Run it once for each board; flash, recover and prove take several (bootproof help many-boards).",
  );
}

const milliseconds = wholeNumber("--timeout", { min: 1, max: 3_600_000 });
