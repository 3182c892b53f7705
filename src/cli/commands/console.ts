import type { Command } from "commander";
import { openable } from "../../boards/choose-device.js";
import { toHex } from "../../bytes.js";
import { identify } from "../../client/connect.js";
import { BootproofError } from "../../errors.js";
import type { ResponseOf } from "../../smp/command.js";
import { imageList } from "../../smp/groups/image.js";
import { osEcho, osReset } from "../../smp/groups/os.js";
import { isPipe } from "../../transport/address.js";
import { openStream } from "../../transport/open-stream.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { ConsoleScript, parseConsoleScript } from "../console-script.js";
import { type Context, chooseDevice, inContext } from "../context.js";
import { readInput } from "../files.js";
import { LineStamper, logTo, type StampedLine } from "../log-file.js";
import { NotDoneError } from "../not-done.js";
import { startEmulated } from "../open-board.js";
import { printable } from "../output.js";
import { Terminal } from "../terminal.js";
import { TerminalFilter } from "../terminal-safe.js";
import { traceTo } from "../trace-file.js";
import { UsageError } from "../usage-error.js";

interface ConsoleOptions extends BoardOptions {
  logFile?: string;
  until?: string;
  for?: number;
  script?: string;
}

export function define(command: Command): void {
  boardOptions(command)
    .option("--log-file <file>", "write what the board prints to this file, each line with its time")
    .option("--until <text>", "stop when a line contains this text")
    .option("--for <seconds>", "stop this long after the link was opened", readSeconds)
    .option("--script <file>", "run this script of sends and expects, then stop (bootproof help links)")
    .addHelpText("after", `\n${HELP}\nWithout a terminal, what arrives on stdin is typed to the board.`)
    .action((options: ConsoleOptions) => inContext(options, (context) => converse(options, context)));
}

const HELP = `What you type goes to the board. Ctrl-] quits; Ctrl-T and a key sends an SMP request on the same line:
  e  does it answer?   i  its images   r  restart it   t  Ctrl-T itself   h  this help`;

/** Why a console ended on its own. */
type Ending = "heard" | "time" | "asked";

async function converse(options: ConsoleOptions, context: Context): Promise<void> {
  const { out, signal } = context;
  const script = options.script === undefined ? undefined : readScript(options.script);
  const way = await wayTo(options, context);
  const ending = new AbortController();
  let ended: Ending | undefined;
  const end = (why: Ending) => {
    ended ??= why;
    ending.abort();
  };
  /** Counted from when the link is open, which has limits of its own: on a busy machine it may take longer than `--for`. */
  let timer: NodeJS.Timeout | undefined;
  const startTimer = () => {
    if (options.for !== undefined) timer ??= setTimeout(() => end("time"), options.for * 1000);
  };
  const screen = new Screen(options, context, () => end("heard"));
  const terminal = new Terminal({
    open: way.open,
    onText: (text) => {
      screen.show(text);
      script?.receive(text);
    },
    onOpen: (name) => {
      startTimer();
      screen.remark(
        `${name} is open${process.stdin.isTTY ? "; press Ctrl-] to quit, Ctrl-T h for help" : ""}`,
      );
      // Once this call is over, the terminal has its link.
      queueMicrotask(begin);
    },
    onAway: (why) => screen.remark(`away: ${why}`),
    client: {
      ...(options.trace === undefined ? {} : { trace: traceTo(options.trace) }),
      ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    },
    signal: AbortSignal.any([signal, ending.signal]),
  });
  /** Runs the script once, when the link is there; what comes of it is told at the end. */
  let running: Promise<void> | undefined;
  let failure: unknown;
  function begin(): void {
    running ??= script
      ?.run({ type: (bytes) => terminal.type(bytes), reset: () => reset(terminal) }, ending.signal)
      .catch((error: unknown) => {
        failure = error;
      })
      .finally(() => end("heard"));
  }
  const quitTyping = script ? () => {} : readKeys(terminal, screen, () => end("asked"));
  try {
    await terminal.run();
    await running;
    screen.flush();
  } finally {
    clearTimeout(timer);
    quitTyping();
    await way.close();
  }
  if (ended === undefined) signal.throwIfAborted();
  if (script && ended === "time")
    throw new NotDoneError(
      `The script did not finish within ${options.for} s.`,
      "Allow more time with --for.",
    );
  if (failure !== undefined) throw failure;
  if (options.until !== undefined && ended === "time")
    throw new NotDoneError(
      `The board did not print "${options.until}" within ${options.for} s.`,
      "bootproof console without --until shows what it printed instead.",
    );
  if (ended === "asked") out.note("");
}

function readScript(file: string): ConsoleScript {
  const text = new TextDecoder().decode(readInput(file));
  return new ConsoleScript(parseConsoleScript(text, file), file);
}

async function reset({ client }: Terminal): Promise<void> {
  if (client === undefined) throw new NotDoneError("The board is disconnected.", "Is its cable plugged in?");
  await client.send(osReset, {});
}

async function wayTo(options: ConsoleOptions, context: Context) {
  const address = await chooseDevice(options.device, context);
  if (isPipe(address)) {
    const open = async (signal: AbortSignal) =>
      openStream(await openable(address, context.config, signal), { signal });
    return { open, close: async () => {} };
  }
  const board = await startEmulated(address.kind, address.variant, address.flash);
  return { open: () => board.connect(), close: () => board.close() };
}

/** Where the board's words go: the screen as they come, and files and `--json` line by line. */
class Screen {
  readonly #stamper = new LineStamper();
  readonly #filter = new TerminalFilter();
  readonly #log: ((line: StampedLine) => void) | undefined;
  readonly #options: ConsoleOptions;
  readonly #context: Context;
  readonly #onFound: () => void;
  /** The end of what was heard, because a text to wait for may arrive in pieces and without a line end. */
  #tail = "";
  /** The board's last words did not end their line. */
  #midLine = false;

  constructor(options: ConsoleOptions, context: Context, onFound: () => void) {
    this.#options = options;
    this.#context = context;
    this.#onFound = onFound;
    this.#log = options.logFile === undefined ? undefined : logTo(options.logFile);
  }

  show(text: string): void {
    if (!this.#options.json)
      process.stdout.write(process.stdout.isTTY ? this.#filter.push(text) : printableText(text));
    if (text !== "") this.#midLine = !text.endsWith("\n");
    this.#keep(this.#stamper.push(text, new Date()));
    const { until } = this.#options;
    if (until === undefined) return;
    this.#tail = (this.#tail + text).slice(-(until.length + text.length));
    if (this.#tail.includes(until)) this.#onFound();
  }

  /** A remark of ours between the board's words. */
  remark(text: string): void {
    // The board's prompt ends without a line end.
    const before = this.#midLine && process.stdin.isTTY ? "\n" : "";
    this.#midLine = false;
    this.#context.out.note(
      `${before}--- ${text.replaceAll("\n", "\n--- ")}`.replaceAll("\n", process.stdin.isTTY ? "\r\n" : "\n"),
    );
    const at = new Date();
    for (const line of text.split("\n")) this.#log?.({ at, text: `--- ${printable(line)}` });
  }

  flush(): void {
    this.#keep(this.#stamper.flush());
  }

  #keep(lines: readonly StampedLine[]): void {
    for (const line of lines) {
      this.#log?.(line);
      if (this.#options.json)
        this.#context.out.line({ at: line.at.toISOString(), text: line.text }, line.text);
    }
  }
}

/** Into a file or a pipe goes text without what moves a cursor. */
function printableText(text: string): string {
  return text
    .split("\n")
    .map((line) => printable(line.replace(/\r+$/, "")))
    .join("\n");
}

const CTRL_T = 0x14;
const CTRL_RIGHT_BRACKET = 0x1d;

/** Types what arrives on stdin; on a terminal key by key, with ours picked out. Returns how to stop. */
function readKeys(terminal: Terminal, screen: Screen, quit: () => void): () => void {
  const { stdin } = process;
  const keys = stdin.isTTY === true;
  let asking = false;
  const onData = (chunk: Uint8Array) => {
    if (!keys) return void terminal.type(chunk);
    const typed: number[] = [];
    for (const key of chunk) {
      if (asking) {
        asking = false;
        if (key === "t".charCodeAt(0)) typed.push(CTRL_T);
        else void question(String.fromCharCode(key), terminal, screen);
      } else if (key === CTRL_T) asking = true;
      else if (key === CTRL_RIGHT_BRACKET) return quit();
      else typed.push(key);
    }
    if (typed.length > 0) void terminal.type(Uint8Array.from(typed));
  };
  if (keys) {
    stdin.setRawMode(true);
  }
  stdin.on("data", onData);
  return () => {
    stdin.off("data", onData);
    if (keys) stdin.setRawMode(false);
    stdin.pause();
    // A pipe that its writer keeps open would keep this program alive.
    if (!keys) stdin.unref?.();
  };
}

/** Asks the board something over SMP, on the wire that carries its text. */
async function question(key: string, terminal: Terminal, screen: Screen): Promise<void> {
  const ask = QUESTIONS[key];
  const { client } = terminal;
  if (ask === undefined) return screen.remark(HELP);
  if (client === undefined) return screen.remark("the board is disconnected");
  try {
    screen.remark(await ask(client));
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    screen.remark(printable(error.message));
  }
}

type Question = (client: NonNullable<Terminal["client"]>) => Promise<string>;

const FLAGS = ["active", "confirmed", "pending", "permanent", "bootable"] as const;
/** Bytes of a hash by which a person tells images apart. */
const SHORT_HASH = 6;

/** One slot in a line that fits beside a log. */
function drawImage(entry: ResponseOf<typeof imageList>["images"][number]): string {
  const { image, slot, version, hash } = entry;
  const place = image === undefined ? `slot ${slot}` : `image ${image} slot ${slot}`;
  const short = hash === undefined ? [] : [toHex(hash.subarray(0, SHORT_HASH))];
  return [place, printable(version), ...short, FLAGS.filter((flag) => entry[flag]).join(" ")].join("  ");
}

const QUESTIONS: Readonly<Record<string, Question>> = {
  e: async (client) => {
    await client.send(osEcho, { d: "" });
    return "it answers";
  },
  i: async (client) => {
    await identify(client);
    const { images } = await client.send(imageList, {});
    return images.length === 0 ? "no image in any slot" : images.map(drawImage).join("\n");
  },
  r: async (client) => {
    await client.send(osReset, {});
    return "it restarts";
  },
};

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 86_400))
    throw new UsageError(`--for "${text}" is not a number of seconds up to 86400.`);
  return seconds;
}
