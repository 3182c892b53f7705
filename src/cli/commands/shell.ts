import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import type { Command } from "commander";
import type { Client } from "../../client/client.js";
import { shellExec } from "../../smp/groups/shell.js";
import { DeviceError } from "../../smp/message.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { type Context, withBoard } from "../context.js";
import { statusFor } from "../exit.js";
import { readHistory, writeHistory } from "../history.js";
import { printable, printableLines, tone } from "../output.js";

/** A command may work for a while before it prints anything; the board answers nothing else meanwhile. */
const COMMAND_TIMEOUT_MS = 10_000;

export function define(command: Command): void {
  boardOptions(command)
    .argument(
      "[command...]",
      "the command and its arguments; without one, commands are read from the terminal",
    )
    .allowUnknownOption()
    .addHelpText(
      "after",
      `
Options that bootproof does not know go to the board, and after -- all of them do: bootproof shell -d BOARD -- log -q
The exit status is what the command returned; an errno loses its sign: -5 becomes 5.`,
    )
    .action((words: string[], options: BoardOptions) =>
      withBoard(options, async ({ client }, context) => {
        const ask = asker(client, options, context);
        if (words.length === 0) return converse(client.name, ask, context);
        const answer = await ask(lineOf(words));
        context.out.result(answer, outputText(answer));
        if (answer.mayBeCut) context.out.note(tone("warn", CUT));
        process.exitCode = statusOf(answer.ret);
      }),
    );
}

interface Answer {
  command: string;
  output: string;
  /** What the command returned: 0 is success, negative an errno. */
  ret: number;
  /** The output is long and ends in the middle of a line: the board's shell may have cut it. */
  mayBeCut?: true;
}

/** Boards keep 300 bytes and more of a command's output; a shorter one without a line end is not cut. */
const SHORTEST_CUT = 128;
const CUT =
  "The output ends in the middle of a line: the board's shell may have cut it (CONFIG_SHELL_BACKEND_DUMMY_BUF_SIZE).";

type Ask = (line: string) => Promise<Answer>;

function asker(client: Client, options: BoardOptions, { signal }: Context): Ask {
  const timeoutMs = options.timeout ?? COMMAND_TIMEOUT_MS;
  return async (line) => {
    const answer = await client.send(shellExec, { argv: [line] }, { signal, timeoutMs });
    const mayBeCut = answer.o.length >= SHORTEST_CUT && !/[\r\n]$/.test(answer.o);
    return {
      ...{ command: line, output: answer.o, ret: answer.ret ?? answer.rc ?? 0 },
      ...(mayBeCut ? { mayBeCut } : {}),
    };
  };
}

/** What a command printed, without the line ends around it. */
function outputText({ output }: Answer): string {
  return printableLines(output).replace(/^\n+|\n+$/g, "");
}

/** One word is a whole line, as in `shell "kernel uptime"`; of several, those with spaces are kept together. */
function lineOf(words: readonly string[]): string {
  if (words.length === 1) return words[0]!;
  return words.map((word) => (/^$|\s/.test(word) ? `"${word.replace(/(["\\])/g, "\\$1")}"` : word)).join(" ");
}

/** Exit statuses have one byte, and no sign. */
function statusOf(ret: number): number {
  return ret === 0 ? 0 : Math.min(Math.abs(ret), 255);
}

/**
 * Commands one after the other until the input ends. On a terminal with prompt and history; else the exit status is that
 * of the last command that failed.
 */
async function converse(name: string, ask: Ask, { out, signal }: Context): Promise<void> {
  const isTerminal = process.stdin.isTTY === true && !out.json;
  const history = isTerminal ? readHistory() : [];
  const lines = createInterface({
    input: process.stdin,
    ...(isTerminal ? { output: process.stdout, prompt: `${name}> `, history, historySize: 500 } : {}),
  });
  // Ctrl-C at the prompt ends the conversation; while a command runs it is the signal's.
  const leave = () => lines.close();
  lines.on("SIGINT", leave);
  signal.addEventListener("abort", leave, { once: true });
  if (isTerminal) {
    out.note("The board's shell, over SMP. Ctrl-D ends it.");
    lines.prompt();
  }
  try {
    for await (const line of linesOf(lines)) {
      if (line.trim() !== "") await runLine(line, ask, out);
      if (isTerminal) lines.prompt();
    }
    signal.throwIfAborted();
  } finally {
    lines.close();
    signal.removeEventListener("abort", leave);
    // Whatever prompts next should not stand behind ours.
    if (isTerminal) process.stdout.write("\n");
    if (isTerminal) writeHistory((lines as Interface & { history?: string[] }).history ?? []);
  }
}

async function runLine(line: string, ask: Ask, out: Context["out"]): Promise<void> {
  try {
    const answer = await ask(line.trim());
    const said = outputText(answer);
    if (said !== "" || out.json) out.line(answer, said);
    if (answer.mayBeCut) out.note(tone("warn", CUT));
    if (answer.ret !== 0) {
      process.exitCode = statusOf(answer.ret);
      out.note(tone("warn", `returned ${answer.ret}`));
    }
  } catch (error) {
    // A refused line, such as one that is too long, is no reason to leave.
    if (!(error instanceof DeviceError)) throw error;
    process.exitCode = statusFor(error);
    out.note(printable(error.message));
    if (error.hint !== undefined) out.note(`  try: ${printable(error.hint)}`);
  }
}

/** Lines in order, also those that came while one was being worked on. */
async function* linesOf(lines: Interface): AsyncGenerator<string, void, void> {
  const waiting: string[] = [];
  let ended = false;
  lines.on("line", (line) => waiting.push(line));
  lines.on("close", () => {
    ended = true;
  });
  for (;;) {
    const line = waiting.shift();
    if (line !== undefined) yield line;
    else if (ended) return;
    else await Promise.race([once(lines, "line"), once(lines, "close")]);
  }
}
