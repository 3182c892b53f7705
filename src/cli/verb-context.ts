import type { Command } from "commander";
import { type Config, loadConfig } from "../boards/config.js";
import { useOpenssl } from "../crypto-node/openssl.js";
import { createOutput, type Output, printable } from "./output.js";
import { UsageError } from "./usage-error.js";

/** What every verb needs, and nothing that only boards need: it is loaded quickly. */

/** Options that every command understands. */
export interface CommonOptions {
  json?: boolean;
  quiet?: boolean;
  progress?: "json";
}

/** Adds `--json`, `--quiet` and `--progress`. */
export function commonOptions(command: Command): Command {
  return command
    .option("--json", "print the result as JSON")
    .option("-q, --quiet", "print only the result and errors")
    .option("--progress <form>", "json: progress and notes as lines of JSON on stderr", progressForm);
}

function progressForm(text: string): "json" {
  if (text === "json") return text;
  throw new UsageError(`There is no form "${text}" of progress.`, "There is: json.");
}

/** Reads a whole number from the command line, in any notation C knows. */
export function wholeNumber(
  name: string,
  limits: { min?: number; max?: number } = {},
): (text: string) => number {
  const { min = 0, max = 0xffff_ffff } = limits;
  return (text) => {
    const value = /^(0x[0-9a-f]+|0b[01]+|0o[0-7]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      throw new UsageError(`${name} "${text}" is not a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** What a command needs to do its work. */
export interface Context {
  readonly out: Output;
  readonly config: Config;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Runs a command's work with Ctrl-C turned into a signal; a second Ctrl-C ends the program at once. */
export async function inContext(
  options: CommonOptions,
  work: (context: Context) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const onSignal = () => {
    if (abort.signal.aborted) process.exit(130);
    abort.abort();
  };
  useOpenssl();
  const signals = interrupting(process.platform);
  for (const name of signals) process.on(name, onSignal);
  const out = createOutput({
    json: options.json ?? false,
    quiet: options.quiet ?? false,
    progress: options.progress,
  });
  try {
    const config = loadConfig();
    noteLeftOut(config, out);
    await work({ out, config, signal: abort.signal });
  } finally {
    out.settle();
    for (const name of signals) process.off(name, onSignal);
  }
}

/** Windows has Ctrl-Break, and closes a window with SIGHUP and ten seconds of time. Elsewhere SIGHUP is nohup's to ignore. */
export function interrupting(platform: NodeJS.Platform): NodeJS.Signals[] {
  return ["SIGINT", "SIGTERM", ...(platform === "win32" ? (["SIGBREAK", "SIGHUP"] as const) : [])];
}

/** A file of the current folder has to be allowed before it runs programs or says whom to trust. */
function noteLeftOut({ file, leftOut }: Config, out: Output): void {
  if (leftOut === undefined) return;
  const what = printable(leftOut.what.join(", "));
  out.note(
    leftOut.why === "foreign"
      ? `${printable(file!)} belongs to another user: left out of it: ${what}.`
      : `${printable(file!)} is not allowed yet: left out of it: ${what}. Read it, then run bootproof allow.`,
  );
}
