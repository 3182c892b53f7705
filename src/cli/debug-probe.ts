import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BootproofError } from "../errors.js";
import { runProgram } from "../power/command.js";
import { PowerError } from "../power/power.js";
import type { BoardProfile } from "../profiles/profile.js";
import { commandLine, usableTools } from "../workflow/ladder/debug-tools.js";
import type { DirectWriter } from "../workflow/ladder/site.js";

/** A debug tool did not do what it was told. */
export class ProbeToolError extends BootproofError {
  declare readonly code: "tool-failed";
}

const LONGEST_MS = 180_000;

/** The first debug tool that is installed here and knows the board's chip, as a rung. Nothing but its version is asked. */
export async function debugProbe(
  profile: BoardProfile | undefined,
  signal: AbortSignal,
): Promise<DirectWriter | undefined> {
  for (const { tool, job } of usableTools(profile)) {
    if (!(await isInstalled(tool.program, tool.version, signal))) continue;
    const lines = (file: string) =>
      tool.commands({ ...job, file }).map((args) => ({ args, line: commandLine(tool.program, args) }));
    return {
      does: `Use the debug probe: ${lines("IMAGE")
        .map(({ line }) => line)
        .join("; ")}`,
      destroys: "What is in the primary slot. Other slots and the bootloader stay.",
      write: async (image, { signal: how }) => {
        const home = mkdtempSync(join(tmpdir(), "bootproof-"));
        const file = join(home, "image.bin");
        try {
          writeFileSync(file, image);
          for (const { args, line } of lines(file)) await runTool(tool.program, args, line, how);
        } finally {
          rmSync(home, { recursive: true, force: true });
        }
        return `${tool.program} wrote ${image.length} bytes and reset the chip.`;
      },
    };
  }
  return undefined;
}

async function isInstalled(program: string, args: readonly string[], signal: AbortSignal): Promise<boolean> {
  try {
    const { status } = await runProgram(program, args, { signal, timeoutMs: 10_000 });
    return status === 0;
  } catch (error) {
    if (error instanceof PowerError) return false;
    throw error;
  }
}

async function runTool(
  program: string,
  args: readonly string[],
  line: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { status, said } = await runProgram(program, args, { signal, timeoutMs: LONGEST_MS });
  if (status === 0) return;
  throw new ProbeToolError("tool-failed", `${line} ended with ${status}. It said: ${said.trim()}`, {
    hint: "Is a debug probe connected, and does it reach the chip?",
  });
}
