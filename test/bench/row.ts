import type { Session } from "../../src/workflow/session.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import { type BenchBoard, realBoard, wasmBoard } from "./boards.js";
import { pipedCeiling, waitingCeiling } from "./ceiling.js";
import { Line, setClock } from "./line.js";
import { subject } from "./subject.js";

/** One line to measure. */
export interface Setting {
  /** `wasm`, or the name of a server that nobody here wrote. */
  board: string;
  baud: number;
  delayMs: number;
  /** Server buffer and how many of them, for boards that can be given any. */
  buffer?: number;
  bufferCount?: number;
  /** Into serial recovery first. */
  recovery?: boolean;
  errorRate?: number;
}

/** What came of it. Rates in bytes a second of the image. */
export interface Row {
  link: string;
  framing: string;
  baud: number;
  delayMs: number;
  buffer: number;
  bufferCount: number;
  errorRate: number;
  fifo: number;
  goodput: number;
  ceiling: number;
  ratio: number;
  /** Which of the two ceilings it is held against: requests back to back, or one at a time. */
  ceilingOf: "piped" | "waiting";
  /** Whether the work of client and board is in the time, or only the line. */
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
/** Seconds a row should take at its ceiling: long enough for the start not to count for much. */
const SECONDS = 8;

/**
 * Our own board lives in this process, so it can be measured by a clock that stands still while anybody works: what comes
 * out is what protocol and client make of the line, on a busy machine as on an idle one. `real` has their work in it.
 */
export async function measure(setting: Setting, options: { real: boolean }): Promise<Row | undefined> {
  const clock = setting.board === "wasm" && !options.real ? "virtual" : "real";
  setClock(clock);
  const work = () => measureIn(clock, setting);
  return clock === "virtual" ? inVirtualTime(work, SHORTEST_MS) : work();
}

/** A byte at a megabaud takes ten of these. */
const SHORTEST_MS = 0.001;

async function measureIn(clock: Row["clock"], setting: Setting): Promise<Row | undefined> {
  const board = await boardFor(setting);
  if (!board) return undefined;
  try {
    return { ...(await measureOn(board, setting)), clock };
  } finally {
    await board.close();
  }
}

async function boardFor(setting: Setting): Promise<BenchBoard | undefined> {
  if (setting.board !== "wasm") return realBoard(setting.board);
  return wasmBoard(setting.buffer ?? 1024, setting.bufferCount ?? 4);
}

async function measureOn(board: BenchBoard, setting: Setting): Promise<Omit<Row, "clock">> {
  const { baud, delayMs, errorRate = 0 } = setting;
  // Who is there is found out on a clean line; this measures the upload.
  const framing = await framingOf(board, setting);
  const lines: Line[] = [];
  const open = async () => {
    const line = new Line(await board.open(), { baud, delayMs, fifo: FIFO, errorRate, seed: 1 });
    lines.push(line);
    return subject.connect(line, { framing });
  };
  const session = await subject.Session.open(open);
  try {
    const { server, framing } = session.client;
    const facts = {
      framing: framing.name === "raw" ? ("raw" as const) : ("console" as const),
      baud,
      delayMs,
      buffer: server.bufSize,
    };
    const bufferCount = server.bufCount ?? 1;
    const isPiped = bufferCount > 1 && facts.framing !== "raw";
    const ceiling = isPiped ? pipedCeiling(facts) : waitingCeiling(facts);
    const goodput = await uploadFor(session, board, ceiling * SECONDS);
    const { memory, largestMessage, counts } = session.client;
    return {
      link: board.link,
      framing: facts.framing,
      baud,
      delayMs,
      buffer: facts.buffer,
      bufferCount,
      errorRate,
      fifo: FIFO,
      goodput: Math.round(goodput),
      ceiling: Math.round(ceiling),
      ratio: Number((goodput / ceiling).toFixed(3)),
      ceilingOf: isPiped ? "piped" : "waiting",
      window: memory.window ?? 1,
      messageLength: memory.maxMessage ?? largestMessage,
      damagedBytes: lines.reduce((sum, line) => sum + line.damaged, 0),
      repeated: counts.repeated,
      checkedBy: board.written
        ? "read back"
        : server.mode === "application"
          ? "device's hash"
          : "length only",
    };
  } finally {
    await session.close();
  }
}

async function framingOf(board: BenchBoard, setting: Setting) {
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
async function uploadFor(session: Session, board: BenchBoard, bytes: number): Promise<number> {
  let carried = 0;
  let elapsed = 0;
  for (let number = 0; carried < bytes; number++) {
    const file = sampleImage(Math.min(LARGEST, Math.round(bytes)), number);
    // The device compares its own hash where it can, and a wrong one ends the upload.
    const { elapsedMs } = await subject.run(subject.upload(session, file));
    if (board.written && Buffer.compare(board.written(file.length), file) !== 0)
      throw new Error("other bytes arrived");
    carried += file.length;
    elapsed += elapsedMs;
  }
  return (carried * 1000) / elapsed;
}

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
