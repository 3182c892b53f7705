import { closeSync, openSync } from "node:fs";
import { homedir } from "node:os";
import type { Command } from "commander";
import { openStream } from "../../transport/open-stream.js";
import { recorder } from "../audit/recorder.js";
import { deviceProblem } from "../mcumgr/device-problem.js";
import type { McumgrIo } from "../mcumgr/io.js";
import { commandWords, runMcumgr } from "../mcumgr/run.js";

/** For `bootproof --help`: `program.ts` hands mcumgr's arguments to {@link mcumgr} before commander can read them. */
export function define(command: Command): void {
  command.argument("[args...]", "mcumgr's command and its arguments");
}

/** Runs mcumgr's command line on this process' output; resolves to mcumgr's exit status. */
export async function mcumgr(argv: readonly string[]): Promise<number> {
  // mcumgr ends with 1 and says nothing when it is interrupted.
  const stop = () => process.exit(1);
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const run = recorder();
  if (run) run.verb = ["mcumgr", ...commandWords(argv).slice(0, 2)].join(" ");
  try {
    return await runMcumgr(argv, processIo());
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

function processIo(): McumgrIo {
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    home: process.env.HOME ?? homedir(),
    columns: controlsTerminal() ? (process.stdout.columns ?? 0) : 0,
    deviceProblem,
    guardFor: async (address) => (await import("../mcumgr/guard.js")).guardFor(address),
    openSerial: (path, baudRate) => openStream({ kind: "serial", path, baudRate }),
    openUdp: (host, port) => openStream({ kind: "udp", host, port }),
    after: (ms, then) => {
      const timer = setTimeout(then, ms);
      return () => clearTimeout(timer);
    },
    now: () => performance.now(),
  };
}

/** A bar is drawn only where the session has a terminal of its own. */
function controlsTerminal(): boolean {
  if (!process.stdout.isTTY) return false;
  if (process.platform === "win32") return true;
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
