import type { Command } from "commander";
import type { FlashOptions } from "../update/flash.js";
import { PREFLIGHT_CHECKS } from "../update/preflight-check.js";
import { hostHealth, shellHealth } from "./health.js";
import { several } from "./several.js";
import { wholeNumber } from "./verb-context.js";

/** What {@link keyOption} and {@link trialOptions} read. */
export interface TrialOptions {
  readonly key?: string[];
  readonly health?: string[];
  readonly healthShell?: string[];
  /** Milliseconds. */
  readonly wait?: number;
  /** Milliseconds. */
  readonly soak?: number;
}

/** Options of every verb that takes boards through a whole update: who signs, what may fail, what must be well, how long. */
export function updateOptions(command: Command): Command {
  return trialOptions(
    keyOption(command)
      .option(
        "--skip <check>",
        `ignore this check of the preflight if it fails (repeatable): ${PREFLIGHT_CHECKS.join(", ")}`,
        several,
      )
      .option("--no-preflight", "ignore every failed check; only the board judges the image"),
  ).option(
    "--settle",
    "restart again after confirming, so that the board stores the security counter, and read it back",
  );
}

/** Who may have signed the image. */
export function keyOption(command: Command): Command {
  return command.option(
    "--key <file>",
    "a public key that may have signed the image (repeatable; default: the config file's)",
    several,
  );
}

/** What an image must pass before it is confirmed. */
export function trialOptions(command: Command): Command {
  return command
    .option(
      "--health <command>",
      "a command on this machine that must succeed before confirming (repeatable)",
      several,
    )
    .option(
      "--health-shell <command>",
      "a command in the board's shell that must return 0 (repeatable)",
      several,
    )
    .option(
      "--wait <ms>",
      "how long the board may stay silent after a reset (default 60000)",
      wholeNumber("--wait", { min: 1000, max: 3_600_000 }),
    )
    .option(
      "--soak <ms>",
      "how long the image must run without a restart before it is confirmed (default 1000)",
      wholeNumber("--soak", { max: 3_600_000 }),
    );
}

/** The same as an update takes it. */
export function trialOf(options: TrialOptions): Pick<FlashOptions, "health" | "soakMs" | "withinMs"> {
  const { health = [], healthShell = [], soak, wait } = options;
  return {
    soakMs: soak,
    withinMs: wait,
    health: [...health.map(hostHealth), ...healthShell.map(shellHealth)],
  };
}
