import { writeSync } from "node:fs";
import type { Command } from "commander";
import { runImgtool } from "../imgtool/run.js";

/** For `bootproof --help`: `program.ts` hands imgtool's arguments to {@link imgtool} before commander can read them. */
export function define(command: Command): void {
  command.argument("[args...]", "imgtool's subcommand and its arguments");
}

/** Runs imgtool's command line on this process' output; resolves to imgtool's exit status. */
export async function imgtool(argv: readonly string[]): Promise<number> {
  return runImgtool(argv, {
    out: writeAtOnce,
    err: (text) => process.stderr.write(`${text}\n`),
  });
}

const STDOUT = 1;

/**
 * Writes to stdout without Node's stream for it, which takes as long to set up as a signature: builds call this often. What
 * a pipe has no room for at the moment goes through the stream.
 */
function writeAtOnce(content: string | Uint8Array): void {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(STDOUT, bytes, written);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EPIPE") process.exit(0);
    if (code !== "EAGAIN") throw error;
    process.stdout.write(bytes.subarray(written));
  }
}
