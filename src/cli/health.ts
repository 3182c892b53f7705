import { type ChildProcess, spawn } from "node:child_process";
import { environmentWithoutSecrets } from "../child-environment.js";
import { endProgram } from "../end-program.js";
import { shellExec } from "../smp/groups/shell.js";
import { type HealthCheck, HealthError } from "../update/flash.js";
import { printable } from "./output.js";

/** Most of a command's output that is worth repeating. */
const QUOTE_LENGTH = 200;
/** A health command that takes longer has hung, and the image would stay on trial for ever. */
const LIMIT_S = 600;

/** What it left behind may keep its output open; that is not waited for longer than this. */
const LAST_WORDS_MS = 500;

/** A command on this machine: healthy when it exits with 0. */
export function hostHealth(line: string): HealthCheck {
  return {
    name: line,
    async check(_session, signal) {
      signal?.throwIfAborted();
      const limit = AbortSignal.timeout(LIMIT_S * 1000);
      // A group of its own, so that what the shell has started ends with it.
      const child = spawn(line, {
        shell: true,
        detached: process.platform !== "win32",
        windowsHide: true,
        stdio: ["ignore", "pipe", "pipe"],
        env: environmentWithoutSecrets(),
      });
      const { end, tail } = await ended(child, signal ? AbortSignal.any([signal, limit]) : limit);
      signal?.throwIfAborted();
      if (end === "0") return "The command succeeded.";
      const how = limit.aborted ? `had not ended after ${LIMIT_S} s` : `ended with ${end}`;
      throw new HealthError(`The command ${how}.${tail === "" ? "" : ` It said: ${tail}`}`);
    },
  };
}

/** Resolves when the command itself is over, even if something it left behind keeps its output open. */
function ended(child: ChildProcess, stop: AbortSignal): Promise<{ end: string; tail: string }> {
  let tail = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      tail = (tail + text).slice(-QUOTE_LENGTH);
    });
  const onStop = () => endProgram(child.pid);
  stop.addEventListener("abort", onStop, { once: true });
  return new Promise((resolve) => {
    const over = (end: string) => {
      stop.removeEventListener("abort", onStop);
      const tell = () => resolve({ end, tail: tail.trim() });
      // What was said last may still be on its way; "close" comes behind it.
      child.once("close", tell);
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        tell();
      }, LAST_WORDS_MS);
    };
    child.once("error", (error) => over(error.message));
    child.once("exit", (code, killedBy) => over(code === null ? `${killedBy}` : `${code}`));
  });
}

/** A command in the board's own shell: healthy when it returns 0. */
export function shellHealth(line: string): HealthCheck {
  return {
    name: `shell ${line}`,
    async check(session, signal) {
      const { o, ret } = await session.client.send(shellExec, { argv: [line] }, { signal });
      if (ret !== 0)
        throw new HealthError(
          `The board's shell returned ${ret}: ${printable(o.trim()).slice(0, QUOTE_LENGTH)}`,
        );
      return "The board's shell returned 0.";
    },
  };
}
