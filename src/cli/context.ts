import type { Command } from "commander";
import type { Board, Machine } from "../board/board.js";
import type { Client } from "../client/client.js";
import { connect } from "../client/connect.js";
import { BootproofError } from "../errors.js";
import { type Key, parseKey } from "../image/keys.js";
import { type Address, isPipe, openStream, parseAddress } from "../transport/address.js";
import { describePort, listSerialPorts } from "../transport/list.js";
import { type ByteStream, TransportError } from "../transport/transport.js";
import type { KnownImage } from "../workflow/facts.js";
import { Session } from "../workflow/session.js";
import { type Config, loadConfig } from "./config.js";
import { UsageError } from "./exit.js";
import { readInput } from "./files.js";
import { createOutput, type Output, printable } from "./output.js";
import { traceTo } from "./trace-file.js";

/** Options that every command understands. */
export interface CommonOptions {
  json?: boolean;
  quiet?: boolean;
}

/** Options of commands that speak to a board. */
export interface BoardOptions extends CommonOptions {
  device?: string;
  timeout?: number;
  log?: boolean;
  trace?: string;
}

/** Adds `--json` and `--quiet`. */
export function commonOptions(command: Command): Command {
  return command
    .option("--json", "print the result as JSON")
    .option("-q, --quiet", "say nothing but the result and errors");
}

/** Adds `-d, --device` and what goes with it. */
export function boardOptions(command: Command): Command {
  return commonOptions(command)
    .option(
      "-d, --device <address>",
      "the board: serial:PATH?baud=N, tcp:HOST:PORT, wasm:VARIANT, qemu:VARIANT, or a name from the config file",
    )
    .option("--timeout <ms>", "how long to wait for each answer", milliseconds)
    .option("--log", "show the board's log lines on stderr")
    .option(
      "--trace <file>",
      "keep every message, with times, in this file: bootproof trace shows and replays it",
    );
}

/** Reads a whole number from the command line, in any notation C knows. */
export function wholeNumber(
  name: string,
  limits: { min?: number; max?: number } = {},
): (text: string) => number {
  const { min = 0, max = 0xffff_ffff } = limits;
  return (text) => {
    const value = /^(0x[0-9a-f]+|0b[01]+|0o[0-7]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      throw new UsageError(`${name} "${text}" is not a whole number from ${min} to ${max}.`);
    return value;
  };
}

const milliseconds = wholeNumber("--timeout", { min: 1, max: 3_600_000 });

/** Lets an option be given several times. */
export function several(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** What a command needs to do its work. */
export interface Context {
  readonly out: Output;
  readonly config: Config;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Runs a command's work with Ctrl-C turned into a signal; a second Ctrl-C ends the program at once. */
export async function inContext(
  options: CommonOptions,
  work: (context: Context) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const onSignal = () => {
    if (abort.signal.aborted) process.exit(130);
    abort.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const out = createOutput({ json: options.json ?? false, quiet: options.quiet ?? false });
  try {
    await work({ out, config: loadConfig(), signal: abort.signal });
  } finally {
    out.settle();
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

/** Runs a command's work with an open session to the board that is meant. */
export async function withBoard(
  options: BoardOptions,
  work: (session: Session, context: Context) => Promise<void>,
): Promise<void> {
  await inContext(options, async (context) => {
    const address = await chooseDevice(options.device, context);
    const { open, close } = await reach(address, options, context);
    try {
      const session = await Session.open(open, context.signal);
      try {
        await work(session, context);
      } finally {
        await session.close();
      }
    } finally {
      await close();
    }
  });
}

/** No board could be chosen. */
export class ChoiceError extends BootproofError {
  declare readonly code: "no-board" | "ambiguous";
}

/**
 * The board that is meant: `-d`, else BOOTPROOF_DEVICE, else the config file, else the only serial port there is.
 *
 * @throws ChoiceError listing what there is
 */
export async function chooseDevice(asked: string | undefined, { config, signal }: Context): Promise<Address> {
  const named = asked ?? process.env.BOOTPROOF_DEVICE ?? config.device;
  if (named !== undefined && named !== "") {
    const address = Object.hasOwn(config.boards, named) ? config.boards[named]! : named;
    return parseNamed(address, config);
  }
  const ports = await listSerialPorts({ signal });
  const usable = ports.filter((port) => port.problem === undefined);
  if (usable.length === 1) return parseAddress(`serial:${usable[0]!.path}`);
  const lines = ports.map(
    (port) =>
      `\n  serial:${port.path}  ${printable(describePort(port))}${port.problem ? ` (${port.problem.message})` : ""}`,
  );
  if (usable.length > 1) {
    throw new ChoiceError(
      "ambiguous",
      `There are ${usable.length} ports, and it is not said which board is meant.`,
      {
        hint: `Name one with -d:${lines.join("")}`,
      },
    );
  }
  throw new ChoiceError(
    "no-board",
    ports.length === 0
      ? "There is no serial port on this machine."
      : "There is no serial port that can be opened.",
    {
      hint: `Plug a board in, or name one with -d; -d wasm:good is an emulated one.${lines.join("")}`,
    },
  );
}

function parseNamed(text: string, config: Config): Address {
  try {
    return parseAddress(text);
  } catch (error) {
    const names = Object.keys(config.boards);
    if (!(error instanceof TransportError) || text.includes(":") || names.length === 0) throw error;
    throw new TransportError(
      "bad-address",
      text,
      `"${text}" is neither an address nor a board of the config file.`,
      { hint: `Boards there: ${names.join(", ")}.` },
    );
  }
}

interface Reach {
  open(signal: AbortSignal | undefined): Promise<Client>;
  close(): Promise<void>;
}

/** How to open the way to an address, now and again later. An emulated board runs until `close`. */
async function reach(address: Address, options: BoardOptions, { out }: Context): Promise<Reach> {
  const clientOptions = {
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout, probeTimeoutMs: options.timeout }),
    ...(options.log ? { onText: (line: string) => out.note(`log: ${printable(line)}`) } : {}),
    ...(options.trace === undefined ? {} : { trace: traceTo(options.trace) }),
  };
  const client = (stream: ByteStream, how: AbortSignal | undefined) =>
    connect(stream, { ...clientOptions, signal: how });
  if (isPipe(address)) {
    return {
      open: async (how) => client(await openStream(address, { signal: how }), how),
      close: async () => {},
    };
  }
  const board = await startEmulated(address.kind, address.variant, address.flash);
  if (options.log) followLog(board, out);
  return { open: async (how) => client(await board.connect(), how), close: () => board.close() };
}

export async function startEmulated(
  machine: Machine,
  variant: string,
  flashFile: string | undefined,
): Promise<Board> {
  const { startBoard } = await import("../board/start.js");
  return startBoard({ machine, variant, flashFile });
}

/** The emulated boards have a log UART of their own. */
export function followLog(board: Board, out: Output): void {
  board.log.onLine((line) => out.note(`log: ${printable(line)}`));
}

/** Keys from files; what the user names on the command line comes first, then the config file's. */
export async function readKeys(files: readonly string[]): Promise<Key[]> {
  return Promise.all(files.map(async (file) => parseKey(readInput(file))));
}

/**
 * Images whose hashes may turn up in a slot, from image files and lists of what was released. A file that is neither is
 * worth a word, not an end.
 */
export async function readKnown(files: readonly string[], out: Output): Promise<KnownImage[]> {
  const { knownImages } = await import("../workflow/known-images.js");
  return files.flatMap((file) => {
    try {
      return knownImages(file, readInput(file));
    } catch (error) {
      if (!(error instanceof BootproofError)) throw error;
      out.note(`Left out of the known images: ${file}: ${error.message}`);
      return [];
    }
  });
}
