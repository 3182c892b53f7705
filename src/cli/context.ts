import type { Command } from "commander";
import type { Board, Machine } from "../board/board.js";
import type { Client } from "../client/client.js";
import { type ConnectOptions, connect } from "../client/connect.js";
import type { FollowedUsb } from "../devices/follow-usb.js";
import { looksLikeDevice } from "../devices/select.js";
import { BootproofError } from "../errors.js";
import type { Key } from "../image/keys.js";
import { consoleFraming } from "../smp/framing/console.js";
import { rawFraming } from "../smp/framing/raw.js";
import {
  type Address,
  formatAddress,
  isPipe,
  openStream,
  type PipeAddress,
  parseAddress,
} from "../transport/address.js";
import { type ByteStream, TransportError } from "../transport/transport.js";
import type { KnownImage } from "../workflow/facts.js";
import { onceBack } from "../workflow/once-back.js";
import { Session } from "../workflow/session.js";
import { type Config, loadConfig } from "./config.js";
import { UsageError } from "./exit.js";
import { readAs, readInput } from "./files.js";
import { recallLink, rememberLink } from "./link-memory.js";
import { hashNatively } from "./native-hash.js";
import { createOutput, type Output, printable } from "./output.js";
import { traceTo } from "./trace-file.js";
import { type Followed, follow, followUsb, namesDevice, onlyDevice, openable } from "./which-device.js";

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
      "the board: serial number, USB port, VID:PID, name from the config file, or an address (serial:PATH, tcp:HOST:PORT, wasm:VARIANT, ...)",
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
  hashNatively();
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
  await inContext(options, (context) => onBoard(options, context, (session) => work(session, context)));
}

/**
 * The same for a command that has something to do first: what is wrong with a file is said before a board is disturbed.
 * A board that goes away while it is being spoken to for the first time is waited for, `withinMs` at most (default 60000).
 */
export async function onBoard(
  options: BoardOptions,
  context: Context,
  work: (session: Session) => Promise<void>,
  { withinMs }: { withinMs?: number | undefined } = {},
): Promise<void> {
  const { signal, out } = context;
  const address = await chooseDevice(options.device, context);
  const { open, isKnown, close } = await reach(address, options, context);
  const onLost = (why: string) =>
    out.note(`The link was lost before the board could be asked: ${printable(why)} Waiting for the board...`);
  try {
    const session = await (isKnown
      ? onceBack(() => Session.open(open, signal), { signal, withinMs, wasListed: true, onLost })
      : Session.open(open, signal));
    try {
      await work(session);
    } finally {
      await session.close();
    }
  } finally {
    await close();
  }
}

/**
 * The board that is meant: `-d`, else BOOTPROOF_DEVICE, else the config file, else the only one that is plugged in. An
 * address, a name of the config file, or what a device shows of itself: serial number, USB port, VID:PID, board name.
 *
 * @throws ChoiceError, SelectionError listing what there is
 */
export async function chooseDevice(asked: string | undefined, { config, signal }: Context): Promise<Address> {
  const named = asked ?? process.env.BOOTPROOF_DEVICE ?? config.device;
  if (named !== undefined && named !== "") {
    const text = Object.hasOwn(config.boards, named) ? config.boards[named]! : named;
    return readDevice(text, config, signal);
  }
  const { usbPort, ports } = await onlyDevice(config, signal);
  return parseAddress(usbPort === undefined ? `serial:${ports[0]!.path}` : `port:${usbPort}`);
}

async function readDevice(text: string, config: Config, signal: AbortSignal): Promise<Address> {
  if (looksLikeDevice(text)) return parseAddress(`port:${text}`);
  try {
    return parseAddress(text);
  } catch (error) {
    if (!(error instanceof TransportError) || text.includes(":")) throw error;
    if (await namesDevice(text, config, signal)) return parseAddress(`port:${text}`);
    const names = Object.keys(config.boards);
    throw new TransportError(
      "bad-address",
      text,
      `"${text}" is no address, no board of the config file and nothing that is plugged in.`,
      {
        hint: `${names.length > 0 ? `Boards of the config file: ${names.join(", ")}. ` : ""}bootproof devices shows what is plugged in.`,
      },
    );
  }
}

interface Reach {
  open(signal: AbortSignal | undefined): Promise<Client>;
  /** It is a device that was listed here, and will be known again when it comes back. */
  readonly isKnown: boolean;
  close(): Promise<void>;
}

/** How to open the way to an address, now and again later. An emulated board runs until `close`. */
async function reach(
  address: Address,
  options: BoardOptions,
  { out, config, signal }: Context,
): Promise<Reach> {
  const clientOptions = {
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout, probeTimeoutMs: options.timeout }),
    ...(options.log ? { onText: (line: string) => out.note(`log: ${printable(line)}`) } : {}),
    ...(options.trace === undefined ? {} : { trace: traceTo(options.trace) }),
  };
  const client = (stream: ByteStream, how: AbortSignal | undefined, link: Partial<ConnectOptions>) =>
    connect(stream, { ...clientOptions, ...link, signal: how });
  if (isPipe(address)) {
    const followed = await followPipe(address, config, signal);
    const { serialNumber, serialIsShared } = followed?.device ?? {};
    const key = serialNumber !== undefined && !serialIsShared ? serialNumber : formatAddress(address);
    let last: Client | undefined;
    const remember = () => last && rememberLink(key, last.memory);
    return {
      isKnown: followed !== undefined,
      open: async (how) => {
        remember();
        const where = (await followed?.address(how)) ?? (await openable(address, config, how));
        const stream = await openStream(where, { signal: how });
        const noticeMs = address.kind === "tcp" ? EMULATOR_START_MS : undefined;
        last = await client(stream, how, { ...framingIn(address), noticeMs, memory: recallLink(key) });
        return last;
      },
      close: async () => void remember(),
    };
  }
  const board = await startEmulated(address.kind, address.variant, address.flash);
  if (options.log) followLog(board, out);
  const open = async (how: AbortSignal | undefined) => client(await board.connect(), how, EMULATED);
  return { open, isKnown: false, close: () => board.close() };
}

/** What is behind a TCP port may be an emulator that was started a moment ago: it listens before its board's first word. */
export const EMULATOR_START_MS = 250;

/** A board of this machine is meant, and not the name of its port; what is behind a network is just an address. */
async function followPipe(
  address: PipeAddress,
  config: Config,
  signal: AbortSignal,
): Promise<Followed | FollowedUsb | undefined> {
  if (address.kind === "port" || address.kind === "serial") return follow(address, config, signal);
  return address.kind === "usb" ? followUsb(address, config, signal) : undefined;
}

/** What the emulated boards speak need not be found out. */
const EMULATED = { framing: consoleFraming() };

/** The framing that stands in the address. */
function framingIn(address: PipeAddress): Pick<ConnectOptions, "framing"> {
  const framing = "framing" in address ? address.framing : undefined;
  if (framing === undefined) return {};
  return { framing: framing === "raw" ? rawFraming : consoleFraming() };
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

/** Keys to trust, from files; what the user names on the command line comes first, then the config file's. */
export async function readKeys(files: readonly string[], out: Output): Promise<Key[]> {
  // Loaded when there is a key to read: its curves and hashes take as long as all the rest.
  const { parseKey } = await import("../image/keys.js");
  const { warnIfPublished } = await import("./published-key.js");
  const keys = await Promise.all(files.map((file) => readAs(file, (content) => parseKey(content))));
  for (const key of keys) warnIfPublished(key, out);
  return keys;
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
