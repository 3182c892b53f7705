import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ByteStream } from "../../src/transport/transport.js";
import { isOnPath } from "../support/on-path.js";
import { noPtyReason, ptyOf } from "../support/pipe-pty.js";
import { hasRealBoard, realBoard } from "./boards.js";
import { pipedCeiling } from "./ceiling.js";
import { Line, setClock } from "./line.js";
import { subject } from "./subject.js";

/** The same image to the same server over the same line, by one program after the other, so many times. */
export interface RivalRow {
  link: string;
  baud: number;
  delayMs: number;
  program: string;
  runs: number;
  /** Bytes of the image a second, from its first request to its last answer on the line: the median. */
  goodput: number;
  /** Of what the line can carry at best. */
  ceilingRatio: number;
  /** What bootproof reached in the same round, divided by this: the median. Absent in its own row. */
  oursAgainst?: number;
}

/** What is measured: no delay, and the usual adapter's. */
const LINES = [
  { board: "mps2_an385.serial_recovery_buf1024", buffer: 1024, baud: 1_000_000, delayMs: 0 },
  { board: "mps2_an385.serial_recovery", buffer: 384, baud: 1_000_000, delayMs: 16 },
  { board: "mps2_an385.serial_recovery", buffer: 384, baud: 115_200, delayMs: 16 },
] as const;

const ROUNDS = Number(process.env.BENCH_RUNS ?? 9);
const FIFO = 16;
const IMAGE_SIZE = 96 * 1024;
/** No upload here takes half as long. */
const LONGEST_MS = 120_000;

const cli = fileURLToPath(new URL("dist/cli/main.js", process.env.BOOTPROOF_ROOT));
const {
  BENCH_MCUMGRCTL: mcumgrctl = join(homedir(), ".cargo/bin/mcumgrctl"),
  BENCH_SMPMGR: smpmgr = "smpmgr",
  BENCH_OTHER: other,
} = process.env;

type Words = (path: string, baud: number, file: string) => string[];

const ours = (main: string): Words => {
  return (path, baud, file) => [
    process.execPath,
    main,
    "image",
    "upload",
    file,
    "-q",
    "-d",
    `serial:${path}?baud=${baud}`,
  ];
};

/** How each is told to upload. */
const PROGRAMS: readonly (readonly [name: string, program: string, words: Words])[] = [
  ["bootproof", process.execPath, ours(cli)],
  [
    "mcumgrctl",
    mcumgrctl,
    (path, baud, file) => [mcumgrctl, "-s", path, "-b", `${baud}`, "image", "-q", "upload", file],
  ],
  [
    "smpmgr",
    smpmgr,
    (path, baud, file) => [smpmgr, "--port", path, "--baudrate", `${baud}`, "image", "upload", file],
  ],
  ...(other === undefined ? [] : ([["other build", process.execPath, ours(other)]] as const)),
];

/** Rows as they are found; `wanted` are words that a row's line must have. */
export async function* measureRivals(wanted: readonly string[]): AsyncGenerator<RivalRow, void, void> {
  if (noPtyReason !== undefined) throw new Error(`There is no pseudo-terminal: ${noPtyReason}`);
  setClock("real");
  const programs = PROGRAMS.filter(([name, program]) => {
    if (isOnPath(program)) return true;
    console.error(`${name}: skipped, there is no ${program}`);
    return false;
  });
  for (const line of LINES) {
    if (!wanted.every((word) => Object.values(line).map(String).includes(word))) continue;
    if (!hasRealBoard(line.board)) {
      console.error(`${line.board}: skipped, BOOTPROOF_REAL_SERVERS names no folder with it`);
      continue;
    }
    const rates = new Map<string, number[]>(programs.map(([name]) => [name, []]));
    for (let round = 0; round < ROUNDS; round++)
      for (const [at, [name, , words]] of programs.entries()) {
        // No two images are alike: a server goes on with one that it has a part of.
        rates.get(name)!.push(await uploadBy(words, line, round * programs.length + at));
      }
    yield* rowsOf(line, rates);
  }
}

function* rowsOf(
  { board, buffer, baud, delayMs }: (typeof LINES)[number],
  rates: ReadonlyMap<string, readonly number[]>,
): Generator<RivalRow, void, void> {
  const ceiling = pipedCeiling({ framing: "console", baud, delayMs, buffer });
  const mine = rates.get("bootproof") ?? [];
  for (const [program, all] of rates) {
    if (all.length === 0) continue;
    const goodput = median(all);
    const against = median(all.map((rate, round) => mine[round]! / rate));
    yield {
      link: board,
      baud,
      delayMs,
      program,
      runs: all.length,
      goodput: Math.round(goodput),
      ceilingRatio: rounded(goodput / ceiling),
      ...(program === "bootproof" ? {} : { oursAgainst: rounded(against) }),
    };
  }
}

/** One upload to a server that was started for it; bytes a second. */
async function uploadBy(
  words: Words,
  { board: name, baud, delayMs }: (typeof LINES)[number],
  number: number,
): Promise<number> {
  const board = (await realBoard(name))!;
  const folder = mkdtempSync(join(tmpdir(), "bootproof-rivals-"));
  try {
    await started(board.open);
    const line = new Line(await board.open(), { baud, delayMs, fifo: FIFO, errorRate: 0, seed: 1 });
    const watched = new Watched(line, IMAGE_SIZE);
    const pty = await ptyOf(watched);
    const file = join(folder, "image.bin");
    writeFileSync(file, sampleImage(number));
    try {
      await ended(spawned(words(pty.path, baud, file), folder));
    } finally {
      pty.unplug();
      await line.close();
    }
    return (IMAGE_SIZE * 1000) / watched.tookMs;
  } finally {
    await board.close();
    rmSync(folder, { recursive: true });
  }
}

/** The bootloader has started the application, which is the one that is measured. */
async function started(open: () => Promise<ByteStream>): Promise<void> {
  const client = await subject.connect(await open());
  await client.close();
}

function spawned([program, ...words]: readonly string[], home: string): ChildProcess {
  // What one learned of a line the others do not know either, and nobody's log grows.
  const env = { ...process.env, XDG_CACHE_HOME: home, BOOTPROOF_NO_LOG: "1" };
  return spawn(program!, words, { env, stdio: ["ignore", "pipe", "pipe"] });
}

async function ended(child: ChildProcess): Promise<void> {
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
  const late = setTimeout(() => child.kill("SIGKILL"), LONGEST_MS);
  const status = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  clearTimeout(late);
  if (status !== 0) throw new Error(`${child.spawnargs.join(" ")} ended with ${status}: ${said}`);
}

/** A line of which it is seen when an image began and when it was there. */
class Watched implements ByteStream {
  readonly name: string;
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly #line: ByteStream;
  readonly #size: number;
  readonly #toBoard = subject.consoleFraming().decoder();
  readonly #toHost = subject.consoleFraming().decoder();
  #beganAt: number | undefined;
  #endedAt: number | undefined;

  constructor(line: ByteStream, size: number) {
    this.name = line.name;
    this.#line = line;
    this.#size = size;
    this.chunks = this.#heard();
  }

  get tookMs(): number {
    if (this.#beganAt === undefined || this.#endedAt === undefined)
      throw new Error("No whole image was carried.");
    return this.#endedAt - this.#beganAt;
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#beganAt === undefined && uploads(this.#toBoard.push(bytes)).length > 0)
      this.#beganAt = performance.now();
    return this.#line.write(bytes);
  }

  close(): Promise<void> {
    return this.#line.close();
  }

  async *#heard(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of this.#line.chunks) {
      if (uploads(this.#toHost.push(chunk)).some(({ off }) => off === this.#size))
        this.#endedAt ??= performance.now();
      yield chunk;
    }
  }
}

/** The fields of requests and answers of "image upload". */
function uploads(
  heard: ReturnType<ReturnType<ReturnType<typeof subject.consoleFraming>["decoder"]>["push"]>,
) {
  return heard.flatMap((item) => {
    if (item.kind !== "message") return [];
    const { header, payload } = subject.readMessage(item.bytes);
    return header.group === 1 && header.id === 1 ? [subject.decodePayload(payload)] : [];
  });
}

/** A header, a body that no two of which are alike, and a TLV area with nothing in it: an image, as far as programs look. */
function sampleImage(number: number): Uint8Array {
  const bytes = Buffer.alloc(IMAGE_SIZE);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 167 + (at >> 8) * 13 + number * 29) & 0xff;
  bytes.fill(0, 0, 32);
  bytes.writeUInt32LE(0x96f3b83d, 0);
  bytes.writeUInt16LE(32, 8);
  bytes.writeUInt32LE(bytes.length - 32 - 4, 12);
  bytes[20] = 9;
  bytes.writeUInt16LE(0x6907, bytes.length - 4);
  bytes.writeUInt16LE(4, bytes.length - 2);
  return bytes;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
const rounded = (value: number) => Number(value.toFixed(3));
