import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { deviceMeant, followUsb, namedDevices } from "../../boards/choose-device.js";
import { watchDevices } from "../../devices/list.js";
import { SelectionError } from "../../devices/select.js";
import { run } from "../../session/run.js";
import { type Address, formatAddress, isPipe } from "../../transport/address.js";
import { openStream } from "../../transport/open-stream.js";
import { parseAddress } from "../../transport/parse-address.js";
import { TransportError } from "../../transport/transport.js";
import type { FlashResult } from "../../update/flash.js";
import type { ImagesResult } from "../../update/images-events.js";
import { type Context, chooseDevice } from "../context.js";
import type { ExitStatus } from "../exit.js";
import { openBoard } from "../open-board.js";
import { printable, prose } from "../output.js";
import { UsageError } from "../usage-error.js";
import { boardLines, showStep } from "./board-lines.js";
import { type BoardRow, finishRows, rowOfError } from "./board-rows.js";
import { meansPlaces } from "./choose-boards.js";
import { commonOf, mustSuitSeveral, outputOf } from "./drive-verb.js";
import { type FlashBoardsOptions, type UpdateWorkflow, versionOf } from "./flash-boards.js";
import { type RoomWord, roomBanner } from "./room-banner.js";
import { stepOfFlash } from "./steps.js";

export interface FlashEachOptions extends FlashBoardsOptions {
  /** End after so many boards. */
  count?: number;
}

/** One board of the batch. */
interface EachRow extends BoardRow {
  readonly number: number;
  /** The line that was typed or scanned for it. */
  readonly label?: string;
}

/** Between two looks for a board, milliseconds. */
const LOOK_EVERY_MS = 200;

/**
 * Updates one board after the other: waits until one is plugged in, does it, says so across the room, waits until it is
 * unplugged. Ends with Ctrl-C, or after `count` boards.
 */
export async function flashEach(
  options: FlashEachOptions,
  context: Context,
  workflow: UpdateWorkflow,
  statusOf: (result: FlashResult | ImagesResult) => ExitStatus,
): Promise<void> {
  mustSuitSeveral(options);
  const slot = await slotOf(options, context);
  const { out, signal } = context;
  const labels = listenForLabels();
  const rows: EachRow[] = [];
  try {
    for (let number = 1; number <= (options.count ?? Number.POSITIVE_INFINITY); number++) {
      out.note(`Board ${number}: plug it in.`);
      const { name, address, untilGone } = await slot.next();
      const row = await flashOne({ name, address }, options, context, workflow, statusOf);
      const label = labels.take();
      const line = { number, ...(label !== undefined && { label }), ...row };
      rows.push(line);
      tell(line, context);
      if (number === options.count) break;
      out.note(`${tally(rows)} Unplug it.`);
      await untilGone();
    }
  } catch (error) {
    // Ctrl-C is how a batch ends; what was done is told all the same.
    if (!signal.aborted) throw error;
    // The terminal shows ^C where the cursor is.
    if (process.stderr.isTTY) process.stderr.write("\n");
  } finally {
    labels.close();
  }
  if (rows.length === 0) signal.throwIfAborted();
  finishRows(
    rows.map((row) => ({
      ...row,
      board: row.label === undefined ? row.board : `${row.label} (${row.board})`,
    })),
    out,
  );
}

async function flashOne(
  board: { name: string; address: Address },
  options: FlashEachOptions,
  context: Context,
  workflow: UpdateWorkflow,
  statusOf: (result: FlashResult | ImagesResult) => ExitStatus,
): Promise<BoardRow> {
  const { out, signal } = context;
  const { name, address } = board;
  const lines = boardLines([name], out, options.quiet === true || out.json);
  const own = { ...context, out: outputOf(board, lines, out) };
  try {
    const open = await openBoard(address, commonOf(options), own, { withinMs: options.wait });
    try {
      const result = await run(workflow(open, { signal }), (event) => {
        out.event(event, name);
        showStep(lines, name, stepOfFlash(event));
      });
      const { outcome, message, hint } = result;
      const version = versionOf(result);
      return {
        board: open.identity.id ?? name,
        outcome,
        exitStatus: statusOf(result),
        message,
        ...(hint !== undefined && { hint }),
        ...(version !== undefined && { version }),
      };
    } finally {
      await open.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    return rowOfError(name, error);
  } finally {
    lines.settle();
  }
}

/** `DONE`: it ran this image, confirmed, before it was plugged in here. */
function wordOf({ outcome, exitStatus }: BoardRow): RoomWord {
  if (exitStatus !== 0) return "FAIL";
  return outcome === "already-running" ? "DONE" : "PASS";
}

function tell(row: EachRow, { out }: Context): void {
  if (out.json) {
    out.line({ kind: "board", ...row }, "");
    return;
  }
  const { number, board, label, outcome, message, hint } = row;
  const before = outcome === "already-running" ? " It was done before." : "";
  const words = [`Board ${number}`, ...(label === undefined ? [] : [printable(label)]), printable(board)];
  out.line(undefined, roomBanner(wordOf(row), process.stdout.isTTY ? process.stdout.columns : undefined));
  const line = `${words.join(", ")}: ${outcome}. ${printable(message)}${before}`;
  out.line(undefined, prose(line));
  if (hint !== undefined) out.line(undefined, prose(`  try: ${printable(hint)}`));
}

function tally(rows: readonly EachRow[]): string {
  const count = (word: RoomWord) => rows.filter((row) => wordOf(row) === word).length;
  const boards = rows.length === 1 ? "1 board" : `${rows.length} boards`;
  return `${boards}: ${count("PASS")} passed, ${count("FAIL")} failed, ${count("DONE")} were done before.`;
}

/** A line on stdin (a scanner types one) belongs to the board that is being done, or to the next one. */
function listenForLabels(): { take(): string | undefined; close(): void } {
  let last: string | undefined;
  const input = createInterface({ input: process.stdin });
  input.on("line", (line) => {
    if (line.trim() !== "") last = line.trim().slice(0, LONGEST_LABEL);
  });
  return {
    take() {
      const label = last;
      last = undefined;
      return label;
    },
    close() {
      input.close();
      process.stdin.unref?.();
    },
  };
}

const LONGEST_LABEL = 120;

/** Where boards come to. */
interface Slot {
  next(): Promise<{ name: string; address: Address; untilGone(): Promise<void> }>;
}

async function slotOf(options: FlashEachOptions, context: Context): Promise<Slot> {
  const { device = [], all, boards } = options;
  if (all || boards !== undefined || meansPlaces(options) || device.length > 1)
    throw new UsageError(
      "--each handles boards that are plugged in one after the other.",
      "Name one port or address with -d, or omit -d: then the next board that is plugged in is updated.",
    );
  const [named] = device;
  return named === undefined
    ? anyPort(context)
    : onePlace(named, await chooseDevice(named, context), context);
}

/** One port, USB port or address to which each board is connected in turn. */
function onePlace(name: string, address: Address, context: Context): Slot {
  if (!isPipe(address))
    throw new UsageError(
      "An emulated board cannot be unplugged.",
      "--each needs a port that boards come to.",
    );
  const until = async (isThere: boolean) => {
    while ((await isPresent(address, context)) !== isThere)
      await delay(LOOK_EVERY_MS, undefined, { signal: context.signal });
  };
  return {
    async next() {
      await until(true);
      return { name, address, untilGone: () => until(false) };
    },
  };
}

async function isPresent(
  address: Exclude<Address, { kind: "wasm" | "qemu" }>,
  { config, signal }: Context,
): Promise<boolean> {
  signal.throwIfAborted();
  if (address.kind === "serial") return existsSync(address.path);
  try {
    if (address.kind === "port") return (await deviceMeant(address, config, signal)) !== undefined;
    if (address.kind === "usb") return (await followUsb(address, config, signal)) !== undefined;
    await (await openStream(address, { signal })).close();
    return true;
  } catch (error) {
    if (error instanceof SelectionError || error instanceof TransportError) return false;
    throw error;
  }
}

/** Whatever is plugged in from now on; what is there already is left alone. */
function anyPort({ config, signal, out }: Context): Slot {
  const changes = watchDevices({ signal, profiles: config.profiles, named: namedDevices(config) });
  const start = performance.now();
  const placeOf = (device: { usbPort?: string; ports: readonly { path: string }[] }) =>
    device.usbPort ?? device.ports[0]?.path;
  return {
    async next() {
      for (;;) {
        const { value, done } = await changes.next();
        if (done) signal.throwIfAborted();
        if (value?.change !== "plugged") continue;
        const { usbPort, serialNumber, ports } = value.device;
        const [port] = ports;
        if (!port || port.problem) continue;
        if (performance.now() - start < SETTLED_MS) {
          out.note(`Left alone, as it was there before: ${printable(serialNumber ?? usbPort ?? port.path)}.`);
          continue;
        }
        const place = placeOf(value.device);
        const address = parseAddress(usbPort === undefined ? `serial:${port.path}` : `port:${usbPort}`);
        const untilGone = async () => {
          for (;;) {
            const { value: news, done: isOver } = await changes.next();
            if (isOver) signal.throwIfAborted();
            if (news?.change === "unplugged" && placeOf(news.device) === place) return;
          }
        };
        return { name: serialNumber ?? formatAddress(address), address, untilGone };
      }
    },
  };
}

/** The first look tells what is there as plugged in. */
const SETTLED_MS = 1000;
