import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Board } from "../../src/emulator/board.js";
import { startBoard } from "../../src/emulator/start.js";
import { perFile } from "./per-file.js";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface CliResult {
  status: number | null;
  out: string;
  err: string;
  /** What `--json` printed. */
  json(): unknown;
}

export interface CliOptions {
  /** What is typed on stdin. */
  input?: string;
  cwd?: string;
  env?: Record<string, string>;
}

/** Where the program finds no settings and may leave what it remembers. */
export const homeFolder = perFile(
  () => mkdtempSync(join(tmpdir(), "bootproof-home-")),
  (folder) => rmSync(folder, { recursive: true, force: true }),
);

/** A command line that is still running. */
export interface CliRun {
  readonly child: ChildProcess;
  readonly done: Promise<CliResult>;
  /** Resolves with the whole match as soon as stdout or stderr has one. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
}

/** Runs the built program, as a user would. */
export function startCli(args: readonly string[], options: CliOptions = {}): CliRun {
  if (!existsSync(program)) throw new Error("The program is not built: npm run build.");
  const child = spawn(process.execPath, [program, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env.PATH, HOME: homeFolder(), ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  const listeners = new Set<() => void>();
  const heard = () => {
    for (const listener of listeners) listener();
  };
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    heard();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
    heard();
  });
  if (options.input !== undefined) child.stdin.end(options.input);
  const done = new Promise<CliResult>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, out, err, json: () => JSON.parse(out) as unknown }));
  });
  const said = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(out) ?? pattern.exec(err);
        if (!found) return;
        listeners.delete(look);
        resolve(found);
      };
      listeners.add(look);
      look();
      void done.then(({ status }) => reject(new Error(`ended with ${status} first:\n${out}\n${err}`)));
    });
  return { child, done, said };
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, { input: "", ...options }).done;
}

export interface TcpBoard {
  readonly board: Board;
  /** For `-d`. */
  readonly address: string;
  close(): Promise<void>;
}

/** Our own firmware on a TCP port of this machine, for one client after the other. */
export async function boardOnTcp(
  variant = "good",
  buffers?: { bufSize: number; bufCount: number },
): Promise<TcpBoard> {
  const board = await startBoard({ machine: "wasm", variant, buffers });
  const uart = await board.connect();
  let client: Socket | undefined;
  const server = createServer({ noDelay: true }, (socket) => {
    client?.destroy();
    client = socket;
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Uint8Array) => void uart.write(chunk));
  });
  void (async () => {
    for await (const chunk of uart.chunks) client?.write(chunk);
  })().catch(() => client?.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    board,
    address: `tcp:127.0.0.1:${port}`,
    close: async () => {
      client?.destroy();
      await new Promise((resolve) => server.close(resolve));
      await uart.close();
      await board.close();
    },
  };
}

/** A folder of the test's own. */
export function ownFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "bootproof-groups-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
