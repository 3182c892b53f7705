import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { environmentWithoutSecrets } from "../child-environment.js";
import { endProgram } from "../end-program.js";
import { PowerError, type PowerSwitch } from "./power.js";

/** Longer than any relay takes; a command that hangs must not hang the bench. */
const COMMAND_TIMEOUT_MS = 60_000;
/** Most of a command's words that are worth repeating. */
const QUOTE_LENGTH = 300;

/**
 * A switch by two command lines, run by the system's shell.
 *
 * @param lines - shell command lines
 * @returns a switch that runs them
 */
export function commandSwitch(lines: { on: string; off: string }): PowerSwitch {
  return {
    kind: "command",
    name: "a command",
    describe: (action) => `Run: ${lines[action]}`,
    on: (signal) => runLine(lines.on, signal),
    off: (signal) => runLine(lines.off, signal),
  };
}

/** Runs one line to its end. Abort and the time limit end it and throw. */
async function runLine(line: string, signal: AbortSignal | undefined): Promise<void> {
  const { status, said } = await runProgram(line, [], { signal, shell: true });
  if (status !== 0) throw failed(line, status, said);
}

function failed(line: string, status: number | string, said: string): PowerError {
  const words = said.trim() === "" ? "" : ` Its output: ${said.trim()}`;
  return new PowerError("switch-failed", `The command "${line}" ended with ${status}.${words}`, {
    hint: "Try it by hand; the config file has it under power.",
  });
}

/** What came of a program: its exit status or signal, and the end of what it said. */
export interface ProgramEnd {
  readonly status: number | string;
  readonly said: string;
}

/**
 * Runs a program.
 *
 * @param program - its name or path
 * @param args - one word each
 * @param options - `shell` has them run by the system's shell; `timeoutMs` in milliseconds; `signal` ends it
 * @returns exit status, and what it said, cut
 * @throws {@link PowerError} `switch-failed` when it cannot be started or takes too long
 */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { signal?: AbortSignal | undefined; shell?: boolean; timeoutMs?: number } = {},
): Promise<ProgramEnd> {
  const { signal, shell = false, timeoutMs = COMMAND_TIMEOUT_MS } = options;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const notStarted = (cause: unknown) =>
      new PowerError("switch-failed", `"${program}" cannot be started: ${(cause as Error).message}.`, {
        cause,
      });
    let child: ChildProcessByStdio<null, Readable, Readable>;
    try {
      // A group of its own: a shell's children go with it.
      child = spawn(program, [...args], {
        shell,
        detached: process.platform !== "win32",
        windowsHide: true,
        env: environmentWithoutSecrets(),
        stdio: ["ignore", "pipe", "pipe"],
      });
    } catch (cause) {
      // Node itself refuses some, such as batch files on Windows, before anything is started.
      reject(notStarted(cause));
      return;
    }
    let said = "";
    const keep = (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(-QUOTE_LENGTH);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const end = (error: unknown) => {
      endProgram(child.pid);
      settle();
      reject(error);
    };
    const late = setTimeout(
      () => end(new PowerError("switch-failed", `"${program}" took longer than ${timeoutMs / 1000} s.`)),
      timeoutMs,
    );
    const onAbort = () => end(signal?.reason);
    const settle = () => {
      clearTimeout(late);
      signal?.removeEventListener("abort", onAbort);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    child.on("error", (cause) => {
      settle();
      reject(notStarted(cause));
    });
    // "exit", not "close": a command may leave a program running that keeps its output open.
    child.on("exit", (code, killedBy) => {
      settle();
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ status: code ?? killedBy ?? "nothing", said });
    });
  });
}
