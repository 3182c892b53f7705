import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Many boards driven by one process; the boards and their lines are in another one, which is not counted. */
export interface ManyRow {
  boards: number;
  baud: number;
  /** Bytes a second of all boards together. */
  goodput: number;
  /** Of so many times what one board alone reaches in this run. */
  ratio: number;
  /** Processor time a board, of what a process for each takes: `image upload` of this build, or of BENCH_OTHER's. */
  cpuPerBoard: number;
  /** Megabytes that each further board takes; absent in the row of one board. */
  memoryPerBoard?: number;
}

const COUNTS = [1, 2, 4, 8, 16, 32, 64];
/** Seconds that one upload takes at most. */
const SECONDS = { 115200: 8, 1000000: 2 } as const;

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** The `main.js` of another build, which may not know an audit log. */
const other = process.env.BENCH_OTHER;
const cli = other ?? fileURLToPath(new URL("dist/cli/main.js", process.env.BOOTPROOF_ROOT));

/** Rows as they are found. `most`: no more boards than these. */
export async function* measureMany(most = 64): AsyncGenerator<ManyRow, void, void> {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-many-"));
  try {
    for (const baud of [115_200, 1_000_000] as const) {
      const file = join(folder, `${baud}.bin`);
      writeFileSync(file, sampleImage(Math.min(100 * 1024, (baud / 20) * SECONDS[baud])));
      let alone: Driven | undefined;
      let each = 0;
      for (const boards of COUNTS.filter((count) => count <= most)) {
        const driven = await drive(boards, baud, file);
        if (alone === undefined) each = await processEach(baud, file);
        alone ??= driven;
        const more =
          boards === 1 ? {} : { memoryPerBoard: round((driven.rss - alone.rss) / (boards - 1) / 1e6) };
        yield {
          boards,
          baud,
          goodput: Math.round(driven.goodput),
          ratio: round(driven.goodput / (boards * alone.goodput)),
          cpuPerBoard: round(driven.cpuMs / boards / each),
          ...more,
        };
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Driven {
  goodput: number;
  cpuMs: number;
  rss: number;
}

async function drive(boards: number, baud: number, file: string): Promise<Driven> {
  return withBoards(boards, baud, (ports) =>
    JSON.parse(
      execFileSync(process.execPath, [here("many-drive.js"), file, ...ports.map(String)], {
        encoding: "utf8",
      }),
    ),
  );
}

/** Processor time of the command line for one board, milliseconds. */
function processEach(baud: number, file: string): Promise<number> {
  return withBoards(1, baud, ([port]) => {
    const noLog = other === undefined ? " --no-log" : "";
    const line = `TIMEFORMAT="%U %S"; time "$0" "$1" image upload "$2" -d "tcp:127.0.0.1:$3" --quiet${noLog}`;
    const done = spawnSync("bash", ["-c", line, process.execPath, cli, file, String(port)], {
      encoding: "utf8",
    });
    if (done.status !== 0) throw new Error(`image upload: ${done.stderr}`);
    const [user = "", system = ""] = done.stderr.trim().split("\n").at(-1)!.replaceAll(",", ".").split(" ");
    return (Number(user) + Number(system)) * 1000;
  });
}

async function withBoards<T>(count: number, baud: number, work: (ports: readonly number[]) => T): Promise<T> {
  const host = spawn(process.execPath, [here("many-host.js"), String(count), String(baud)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => host.once("close", resolve));
  try {
    const ports = await new Promise<number[]>((resolve, reject) => {
      let text = "";
      host.stdout.setEncoding("utf8").on("data", (part: string) => {
        text += part;
        if (text.includes("\n")) resolve(JSON.parse(text));
      });
      host.once("exit", (status) => reject(new Error(`the boards ended with ${status}`)));
    });
    return work(ports);
  } finally {
    host.stdin.end();
    await ended;
  }
}

const round = (value: number) => Number(value.toFixed(3));

/** A TLV area of nothing but its own header. */
const EMPTY_TLVS = Uint8Array.of(0x07, 0x69, 4, 0);

/** An image as clients look at it: a header, a body, a TLV area. */
function sampleImage(size: number): Uint8Array {
  const bytes = Buffer.alloc(Math.round(size));
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 167 + (at >> 8) * 13) & 0xff;
  bytes.fill(0, 0, 32);
  bytes.writeUInt32LE(0x96f3b83d, 0);
  bytes.writeUInt16LE(32, 8);
  bytes.writeUInt32LE(bytes.length - 32 - EMPTY_TLVS.length, 12);
  bytes.set(EMPTY_TLVS, bytes.length - EMPTY_TLVS.length);
  bytes[20] = 9;
  return bytes;
}
