import { CommanderError } from "commander";
import { vi } from "vitest";
import { BootproofError } from "../../src/errors.js";
import type { Ended } from "./cli-run.js";

/**
 * The help page of a command, by the program's sources in this process: a hundred pages take as long as one process. Only
 * for what prints and ends, one call after the other.
 */
export async function helpHere(words: readonly string[]): Promise<Ended> {
  const { runProgram } = await import("../../src/cli/program.js");
  const said = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      said[name] += String(text);
      return true;
    }),
  );
  try {
    const wrong = await runProgram([...words, "--help"]);
    return { status: wrong === undefined ? 0 : 2, ...said };
  } catch (error) {
    if (!(error instanceof BootproofError) && !(error instanceof CommanderError)) throw error;
    return { status: 2, ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
