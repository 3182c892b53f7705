import { homedir } from "node:os";
import { BootproofError } from "../errors.js";
import { beginRecording, endRecording } from "./audit/recorder.js";
import type { ErrorJson } from "./error-json.js";
import type { ExitStatus } from "./exit.js";
import { describeInterruption, forgetChanges } from "./interruption.js";
import { fitStderr, guarded, isResultPrinted, printable, toJsonText } from "./output.js";

/** What stands around every verb: the audit log, how an error is told, the exit status. Each run loads it: it is short. */

/** Before a command is loaded, which may colour its words at once. */
function chooseColor(argv: readonly string[]): void {
  const options = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : undefined);
  const last = options.findLast((word) => word === "--color" || word === "--no-color");
  if (last === undefined) return;
  delete process.env[last === "--color" ? "NO_COLOR" : "FORCE_COLOR"];
  process.env[last === "--color" ? "FORCE_COLOR" : "NO_COLOR"] = "1";
}

/** One error, said once: what happened and why, then what to try. Resolves to the exit status. */
async function complain(error: unknown): Promise<ExitStatus> {
  const { nextStepFor, statusFor } = await import("./exit.js");
  const status = statusFor(error);
  const say = (text: string) => process.stderr.write(`${fitStderr(text)}\n`);
  if (error instanceof BootproofError) {
    say(`bootproof: ${printable(error.message)}`);
    const next = nextStepFor(error);
    if (next !== undefined) say(`  try: ${guarded(next)}`);
  } else if (status === 130) {
    const { message, hint } = describeInterruption();
    say(`bootproof: ${printable(message)}`);
    if (hint !== undefined) say(`  try: ${printable(hint)}`);
  } else {
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    say(`bootproof: this is a fault in bootproof itself, please report it\n${guarded(trace)}`);
  }
  return status;
}

/** With `--json` a program that reads stdout finds the error there, unless it has found the result already. */
function printJson(argv: readonly string[], error: ErrorJson): void {
  const options = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : undefined);
  if (options.includes("--json") && !isResultPrinted()) process.stdout.write(`${toJsonText(error)}\n`);
}

/** A user number without a name, as in containers, may have no home: then it is where all begins, as it is there. */
function giveHome(): void {
  if (process.env.HOME !== undefined || process.platform === "win32") return;
  try {
    homedir();
  } catch {
    process.env.HOME = "/";
  }
}

/** Runs a command line. Resolves to the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  giveHome();
  const { words, isLogged } = withoutNoLog(argv);
  if (!isLogged) return (await runWords(words)).status;
  const recording = beginRecording(words, (text) => process.stderr.write(`bootproof: WARNING: ${text}\n`));
  try {
    const { status, error } = await runWords(words);
    await recording.end(status, error);
    return status;
  } finally {
    endRecording();
  }
}

/** `--no-log` may stand anywhere and is of no verb; BOOTPROOF_NO_LOG says the same for many runs. */
function withoutNoLog(argv: readonly string[]): { words: string[]; isLogged: boolean } {
  const end = argv.includes("--") ? argv.indexOf("--") : argv.length;
  const words = argv.filter((word, at) => at >= end || word !== "--no-log");
  const isOff = ![undefined, "", "0"].includes(process.env.BOOTPROOF_NO_LOG);
  return { words, isLogged: words.length === argv.length && !isOff };
}

function endForReader({ code }: NodeJS.ErrnoException): void {
  process.exit(code === "EPIPE" ? 0 : 1);
}

async function runWords(argv: readonly string[]): Promise<{ status: number; error?: unknown }> {
  forgetChanges();
  try {
    // imgtool has its own way of reading a command line: `-v`, `-h` and all others are its.
    if (argv[0] === "imgtool")
      return { status: await (await import("./commands/imgtool.js")).imgtool(argv.slice(1)) };
    if (argv[0] === "mcumgr")
      return { status: await (await import("./commands/mcumgr.js")).mcumgr(argv.slice(1)) };
    // Started by this program itself, beside a run with places of a lab.
    if (argv[0] === "keep-places")
      return { status: await (await import("./labgrid/place-keeper.js")).keepPlaces() };
    chooseColor(argv);
    // stdout may be a pipe that its reader closes early, as `head` does.
    process.stdout.on("error", endForReader);
    const wrong = await (await import("./program.js")).runProgram(argv);
    if (wrong === undefined) return { status: Number(process.exitCode ?? 0) };
    printJson(argv, (await import("./error-json.js")).usageJson(wrong));
    return { status: 2 };
  } catch (error) {
    const status = await complain(error);
    printJson(argv, (await import("./error-json.js")).errorJson(error));
    return { status, error };
  }
}
