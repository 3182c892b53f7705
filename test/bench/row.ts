import type { Session } from "../../src/session/session.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import { type BoardUnderTest, ownBoard, realBoard } from "./boards.js";
import { type Carried, type LineFacts, pipedCeiling, reachable, waitingCeiling } from "./ceiling.js";
import { Line, setClock } from "./line.js";
import { subject } from "./subject.js";

/** One line to measure. */
export interface Setting {
  /** `wasm`, `qemu`, or the name of a server that nobody here wrote. */
  board: string;
  /** What is carried. Default image. */
  what?: Carried;
  baud: number;
  delayMs: number;
  /** How our own boards speak, and the size and number of their buffers. */
  framing?: "console" | "raw";
  buffer?: number;
  bufferCount?: number;
  /** Into serial recovery first. */
  recovery?: boolean;
  errorRate?: number;
}

/** What came of it. Rates in bytes a second of the image or file. */
export interface Row {
  link: string;
  what: Carried;
  framing: string;
  baud: number;
  delayMs: number;
  buffer: number;
  bufferCount: number;
  errorRate: number;
  fifo: number;
  /** The median of all seeds. */
  goodput: number;
  ceiling: number;
  ratio: number;
  /** Of the seed that went worst. */
  worst: number;
  seeds: number;
  /** The ratio that any sender could reach at most; see `reachable`. Below 1 where the window or the noise forbids more. */
  reachable: number;
  target: number;
  /** `missed`: below the target though it could be reached; `out of reach`: no sender can. */
  verdict: "met" | "missed" | "out of reach";
  /** Which of the two ceilings it is held against: requests back to back, or one at a time. */
  ceilingOf: "piped" | "waiting";
  /** `virtual` stands still while anybody works, so only the line takes time, and the same comes out each time. */
  clock: "virtual" | "real";
  /** Requests under way at the end. */
  window: number;
  messageLength: number;
  damagedBytes: number;
  repeated: number;
  /** The bytes that arrived were read back, or the device's own hash of them agreed. */
  checkedBy: "read back" | "device's hash" | "length only";
}

const FIFO = 16;
const TARGETS = { clean: 0.97, noisy: 0.8 } as const;
/** Where the errors fall decides much: one seed would only show how lucky it is. */
const SEEDS = [1, 2, 3, 4, 5];
/** What is carried by a line whose only time is that of the line: usual firmwares, half a minute at 115200 baud. */
const CARRIED = { usual: 240 * 1024, fast: 480 * 1024 } as const;
const FAST_BAUD = 500_000;
/** Seconds that a row by the real clock should take at its ceiling. */
const REAL_SECONDS = 8;

/**
 * Our own board in this process can be measured by a clock that stands still while anybody works: what comes out is what
 * protocol and client make of the line, on a busy machine as on an idle one. `real` has their work in it.
 */
export async function measure(setting: Setting, options: ClockOptions): Promise<Row | undefined> {
  const clock = clockOf(setting, options);
  setClock(clock);
  const runs: Run[] = [];
  for (const seed of setting.errorRate === undefined ? SEEDS.slice(0, 1) : SEEDS) {
    const work = () => measureIn(setting, { seed, clock });
    const run = await (clock === "virtual" ? inVirtualTime(work, SHORTEST_MS) : work());
    if (run) runs.push(run);
  }
  return runs.length === 0 ? undefined : judged(runs, setting, clock);
}

export interface ClockOptions {
  /** By the real clock also where it could be the other one. */
  real: boolean;
}

/** By which clock a row is measured. */
export function clockOf({ board }: Setting, { real }: ClockOptions): Row["clock"] {
  return board === "wasm" && !real ? "virtual" : "real";
}

/** A byte at a megabaud takes ten of these. */
const SHORTEST_MS = 0.001;

/** One upload, or several, over one line. */
interface Run {
  link: string;
  line: LineFacts;
  bufferCount: number;
  /** Of one image or file. */
  bytesEach: number;
  goodput: number;
  window: number;
  messageLength: number;
  damagedBytes: number;
  repeated: number;
  checkedBy: Row["checkedBy"];
}

function judged(runs: readonly Run[], setting: Setting, clock: Row["clock"]): Row {
  const inOrder = [...runs].sort((a, b) => a.goodput - b.goodput);
  const run = inOrder[inOrder.length >> 1]!;
  const { line, bufferCount } = run;
  const { errorRate = 0, what = "image" } = setting;
  // A raw server takes one message and nothing behind it before that is answered, however many buffers it has.
  const isPiped = bufferCount > 1 && line.framing !== "raw";
  const ceiling = isPiped ? pipedCeiling(line) : waitingCeiling(line);
  const ratioOf = (rate: number) => Number((rate / ceiling).toFixed(3));
  const ratio = ratioOf(run.goodput);
  const hardship = { window: isPiped ? bufferCount : 1, errorRate, bytes: run.bytesEach };
  const most = Math.min(1, ratioOf(reachable(line, hardship)));
  const target = errorRate > 0 ? TARGETS.noisy : TARGETS.clean;
  return {
    link: run.link,
    what,
    framing: line.framing,
    baud: line.baud,
    delayMs: line.delayMs,
    buffer: line.buffer,
    bufferCount,
    errorRate,
    fifo: FIFO,
    goodput: Math.round(run.goodput),
    ceiling: Math.round(ceiling),
    ratio,
    worst: ratioOf(inOrder[0]!.goodput),
    seeds: runs.length,
    reachable: most,
    target,
    verdict: ratio >= target ? "met" : most < target ? "out of reach" : "missed",
    ceilingOf: isPiped ? "piped" : "waiting",
    clock,
    window: run.window,
    messageLength: run.messageLength,
    damagedBytes: run.damagedBytes,
    repeated: run.repeated,
    checkedBy: run.checkedBy,
  };
}

async function measureIn(
  setting: Setting,
  how: { seed: number; clock: Row["clock"] },
): Promise<Run | undefined> {
  const board = await boardFor(setting);
  if (!board) return undefined;
  try {
    return await measureOn(board, setting, how);
  } finally {
    await board.close();
  }
}

async function boardFor(setting: Setting): Promise<BoardUnderTest | undefined> {
  const { board, framing = "console", buffer = 1024, bufferCount = 4 } = setting;
  if (board === "wasm" || board === "qemu") return ownBoard(board, { framing, buffer, bufferCount });
  return realBoard(board);
}

async function measureOn(
  board: BoardUnderTest,
  setting: Setting,
  { seed, clock }: { seed: number; clock: Row["clock"] },
): Promise<Run> {
  const { baud, delayMs, errorRate = 0, what = "image" } = setting;
  // Who is there is found out on a clean line; this measures the upload.
  const framing = await framingOf(board, setting);
  const lines: Line[] = [];
  const open = async () => {
    const line = new Line(await board.open(), { baud, delayMs, fifo: FIFO, errorRate, seed });
    lines.push(line);
    return subject.connect(line, { framing });
  };
  const session = await subject.Session.open(open);
  try {
    const { server, framing } = session.client;
    const line: LineFacts = {
      framing: framing.name === "raw" ? "raw" : "console",
      baud,
      delayMs,
      buffer: server.bufSize,
      what,
    };
    const kind = baud >= FAST_BAUD && errorRate === 0 ? "fast" : "usual";
    const bytes = clock === "virtual" ? CARRIED[kind] : waitingCeiling(line) * REAL_SECONDS;
    const goodput = await CARRIERS[what](session, board, bytes);
    const { pacing, largestMessage, counts } = session.client;
    const { memory } = pacing;
    return {
      link: board.link,
      line,
      bufferCount: server.bufCount ?? 1,
      bytesEach: what === "image" ? Math.min(LARGEST, Math.round(bytes)) : board.file.bytes,
      goodput,
      window: memory.window ?? 1,
      messageLength: memory.maxMessage ?? largestMessage,
      damagedBytes: lines.reduce((sum, line) => sum + line.damaged, 0),
      repeated: counts.repeated,
      checkedBy:
        what !== "image" || board.written
          ? "read back"
          : server.mode === "application"
            ? "device's hash"
            : "length only",
    };
  } finally {
    await session.close();
  }
}

async function framingOf(board: BoardUnderTest, setting: Setting) {
  const client = await subject.connect(await board.open());
  const framing = client.framing;
  if (!setting.recovery) {
    await client.close();
    return framing;
  }
  await client.send(subject.osReset, { boot_mode: 1 });
  await client.close();
  for (;;) {
    const again = await subject.connect(await board.open());
    const { mode } = again.server;
    await again.close();
    if (mode === "recovery") return again.framing;
  }
}

/** Uploads images until so many bytes were carried; bytes a second. The first finds the link new, the others learned. */
async function uploadFor(session: Session, board: BoardUnderTest, bytes: number): Promise<number> {
  let carried = 0;
  let elapsed = 0;
  for (let number = 0; carried < bytes; number++) {
    const file = sampleImage(Math.min(LARGEST, Math.round(bytes)), number);
    // The device compares its own hash where it can, and a wrong one ends the upload.
    const { elapsedMs } = await subject.runWorkflow(subject.upload(session, file));
    if (board.written && Buffer.compare(board.written(file.length), file) !== 0)
      throw new Error("other bytes arrived");
    carried += file.length;
    elapsed += elapsedMs;
  }
  return (carried * 1000) / elapsed;
}

/** Writes a file and reads it, so often; only the wanted half counts. */
async function fileFor(
  session: Session,
  { file: { name, bytes: size } }: BoardUnderTest,
  { bytes, half }: { bytes: number; half: "put" | "get" },
): Promise<number> {
  let carried = 0;
  let elapsed = 0;
  for (let number = 0; carried < bytes; number++) {
    const file = sampleImage(size, number);
    const put = await subject.runWorkflow(subject.putFile(session, name, file, ALONE));
    const got = await subject.runWorkflow(subject.getFile(session, name, ALONE));
    if (Buffer.compare(got.data, file) !== 0) throw new Error("other bytes came back");
    carried += file.length;
    elapsed += (half === "put" ? put : got).elapsedMs;
  }
  return (carried * 1000) / elapsed;
}

/** Without a look at what was there, and compared here. */
const ALONE = { resume: false, check: false };

const CARRIERS = {
  image: uploadFor,
  "fs put": (session: Session, on: BoardUnderTest, bytes: number) =>
    fileFor(session, on, { bytes, half: "put" }),
  "fs get": (session: Session, on: BoardUnderTest, bytes: number) =>
    fileFor(session, on, { bytes, half: "get" }),
} as const;

const MAGIC = 0x96f3b83d;
const HEADER_SIZE = 32;
const LARGEST = 120 * 1024;

/** An image as servers look at it: a header, and a body that no two of which are alike. */
function sampleImage(size: number, number: number): Uint8Array {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at++)
    bytes[at] = (at * 167 + (at >> 8) * 13 + (at >> 16) + number) & 0xff;
  bytes.fill(0, 0, HEADER_SIZE);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt16LE(HEADER_SIZE, 8);
  bytes.writeUInt32LE(bytes.length - HEADER_SIZE, 12);
  bytes[20] = 9;
  return bytes;
}
