import type { Command } from "commander";
import { runImgtool } from "../imgtool/run.js";

/** For `bootproof --help`: `program.ts` hands imgtool's arguments to {@link imgtool} before commander can read them. */
export function define(command: Command): void {
  command.argument("[args...]", "imgtool's subcommand and its arguments");
}

/** Runs imgtool's command line on this process' output; resolves to imgtool's exit status. */
export async function imgtool(argv: readonly string[]): Promise<number> {
  return runImgtool(argv, {
    out: (content) => process.stdout.write(content),
    err: (text) => process.stderr.write(`${text}\n`),
  });
}
