import { spawn } from "node:child_process";
import { PowerError, type PowerSwitch } from "./power.js";

/** Longer than any relay takes; a command that hangs must not hang the bench. */
const COMMAND_TIMEOUT_MS = 60_000;
/** Most of a command's words that are worth repeating. */
const QUOTE_LENGTH = 300;

/** A switch by two command lines, run by the system's shell. */
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
  const words = said.trim() === "" ? "" : ` It said: ${said.trim()}`;
  return new PowerError("switch-failed", `The command "${line}" ended with ${status}.${words}`, {
    hint: "Run it by hand; it stands in the config file under power.",
  });
}

/** What came of a program: its exit status or signal, and the end of what it said. */
export interface ProgramEnd {
  readonly status: number | string;
  readonly said: string;
}

/** Runs a program. Throws {@link PowerError} `switch-failed` when it cannot be started or takes too long. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { signal?: AbortSignal | undefined; shell?: boolean; timeoutMs?: number } = {},
): Promise<ProgramEnd> {
  const { signal, shell = false, timeoutMs = COMMAND_TIMEOUT_MS } = options;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    // A group of its own: a shell's children go with it.
    const child = spawn(program, [...args], { shell, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const keep = (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(-QUOTE_LENGTH);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const end = (error: unknown) => {
      stop(child.pid);
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
      reject(new PowerError("switch-failed", `"${program}" cannot be started: ${cause.message}.`, { cause }));
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

function stop(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}
