import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ByteStream } from "../../src/transport/transport.js";
import { freePort } from "../support/free-port.js";
import { subject } from "./subject.js";

/** A board whose own end knows no time, for a line to be put before it. */
export interface BoardUnderTest {
  /** What it is, for the row. */
  readonly link: string;
  /** Where it keeps files, and the largest that it takes. */
  readonly file: { readonly name: string; readonly bytes: number };
  open(): Promise<ByteStream>;
  /** What lies in the slot that was written, where that can be read. */
  written?(length: number): Uint8Array;
  close(): Promise<void>;
}

export interface BoardShape {
  framing: "console" | "raw";
  buffer: number;
  bufferCount: number;
}

const OWN_FILE = { name: "/lfs/bench", bytes: 48 * 1024 };
/** A name as long as ours. There is room for it twice, as an old file stays until the new one is closed. */
const ZEPHYR_FILE = { name: "/lfs1/file", bytes: 4 * 1024 };

/** Our own board, in this process or in QEMU, with a server as asked. */
export async function ownBoard(machine: "wasm" | "qemu", shape: BoardShape): Promise<BoardUnderTest> {
  const { startBoard, LAYOUT } = subject;
  const board = await startBoard({
    machine,
    variant: "good",
    framing: shape.framing,
    buffers: { bufSize: shape.buffer, bufCount: shape.bufferCount },
  });
  return {
    link: machine,
    file: OWN_FILE,
    open: () => board.connect(),
    written: (length) => board.readFlash(LAYOUT.slotSize, length),
    close: () => board.close(),
  };
}

/** Servers that nobody here wrote: see test/support/real-servers.ts. None without the variable. */
interface RealServer {
  artifact: string;
  config: string;
  target: string;
  qemu_cmd: string | null;
  run: string | null;
}

const folder = process.env.BOOTPROOF_REAL_SERVERS;

function rowOf(name: string): RealServer | undefined {
  if (!folder) return undefined;
  const rows = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as RealServer[];
  const row = rows.find((server) => `${server.target}.${server.config}` === name);
  return row && existsSync(join(folder, row.artifact)) ? row : undefined;
}

/** Whether the server of that name is on this machine. */
export const hasRealBoard = (name: string): boolean => rowOf(name) !== undefined;

/** Starts the server of that name, in QEMU or as a program; undefined when it is not on this machine. */
export async function realBoard(name: string): Promise<BoardUnderTest | undefined> {
  const row = rowOf(name);
  if (!folder || !row) return undefined;
  if (row.run) return programBoard(name, resolve(folder, row.run));
  return row.qemu_cmd ? qemuBoard(name, row.qemu_cmd) : undefined;
}

async function qemuBoard(name: string, command: string): Promise<BoardUnderTest> {
  const port = await freePort();
  // Without nodelay each answer is held back for 40 ms by Nagle's algorithm inside QEMU, which no UART does.
  const line = command.replaceAll("<PORT>", String(port)).replace("wait=off", "wait=off,nodelay=on");
  const [program, ...words] = line.split(/\s+/);
  const child = spawn(program!, words, { cwd: folder, stdio: "ignore" });
  await listening(child, port);
  return {
    link: name,
    file: ZEPHYR_FILE,
    open: () => subject.openStream({ kind: "tcp", host: "127.0.0.1", port }),
    close: () => end(child),
  };
}

/** A program of this machine, which keeps its flash where it is started and its UART in a pseudo-terminal. */
async function programBoard(name: string, program: string): Promise<BoardUnderTest> {
  const home = mkdtempSync(join(tmpdir(), "bootproof-bench-"));
  const child = spawn(program, [], { cwd: home, stdio: ["ignore", "pipe", "ignore"] });
  const path = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    child.stdout.on("data", (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4096);
      const found = /connected to pseudotty: (\/dev\/pts\/\d+)/.exec(text)?.[1];
      if (found) resolve(found);
    });
  });
  return {
    link: name,
    file: ZEPHYR_FILE,
    open: () => subject.openStream({ kind: "serial", path, baudRate: 115_200 }),
    close: async () => {
      await end(child);
      rmSync(home, { recursive: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await gone;
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    try {
      await (await subject.openStream({ kind: "tcp", host: "127.0.0.1", port })).close();
      return;
    } catch {
      // Its socket does not listen yet.
      await delay(20);
    }
  }
}
