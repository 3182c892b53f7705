import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openPipe } from "../../src/devices/open.js";
import type { PipeAddress } from "../../src/transport/address.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";
import { freePort } from "./free-port.js";

/**
 * SMP servers that nobody here wrote, as judges: prebuilt Zephyr programs in a folder with a manifest.json, named by the
 * environment variable BOOTPROOF_REAL_SERVERS. They are not part of the repository: fetch-real-servers.ts brings them, and
 * sets the variable. CI fails without them.
 */
const folder = process.env.BOOTPROOF_REAL_SERVERS;

/** One row of the folder's manifest.json; only what is used here. */
export interface RealServer {
  /** File in the folder. */
  readonly artifact: string;
  readonly config: string;
  readonly target: string;
  readonly transport: string;
  readonly buf_size: number;
  readonly buf_count: number;
  readonly recovery_buf_size?: number;
  /** Line that starts it in QEMU, with `<PORT>` for the TCP port of its UART. */
  readonly qemu_cmd: string | null;
  /** Line that starts it as a program of this machine. */
  readonly run: string | null;
  readonly groups: readonly string[];
  readonly mcuboot: boolean;
  /** Where it listens, when its link is UDP. */
  readonly udp_port: number | null;
  readonly ip_family: "ipv4" | "ipv6" | null;
}

/** Why the tests with real servers are skipped, or undefined when they run. */
export const noRealServersReason: string | undefined = folder
  ? undefined
  : "BOOTPROOF_REAL_SERVERS does not name a folder with servers and their manifest.json";

/** `native_sim.serial_buf256`: short enough for a test title. */
export const serverName = (server: RealServer): string => `${server.target}.${server.config}`;

/** Servers that are left out, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  "mps2_an385.serial_recovery_raw_cobs":
    "its bootloader frames messages by a patch that no MCUboot has (VERSION, beside the servers)",
};

/** The servers that are there and can be started here. */
export function realServers(): RealServer[] {
  if (!folder) return [];
  const rows = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as RealServer[];
  return rows.filter(
    (row) =>
      (row.run ?? row.qemu_cmd) &&
      existsSync(join(folder, row.artifact)) &&
      LEFT_OUT[serverName(row)] === undefined,
  );
}

export interface RunningServer {
  /** Where its SMP UART is; can be opened again after it was closed. */
  readonly address: PipeAddress;
  open(): Promise<ByteStream>;
  stop(): Promise<void>;
}

/** For `connect`: an emulator's socket listens before its board says its first word. */
export const JUST_STARTED = { noticeMs: 300 } as const;

/** Starts a server by its launch line and waits until its UART can be opened. */
export async function startServer(server: RealServer): Promise<RunningServer> {
  if (!folder) throw new Error(noRealServersReason);
  return server.run ? startProgram(resolve(folder, server.run), server) : startQemu(server, resolve(folder));
}

/** A server ends with the tests, however they end: it would go on computing, and nobody else would give its port back. */
const ENDS_WITH_US = ["setpriv", "--pdeathsig", "KILL"];

/** native_sim programs name the pseudo-terminal of their UART, and keep their flash in a file where they are started. */
async function startProgram(program: string, server: RealServer): Promise<RunningServer> {
  const home = mkdtempSync(join(tmpdir(), "native-sim-"));
  const [first, ...words] = programLine(program, server);
  const child = spawn(first!, words, { cwd: home, stdio: ["ignore", "pipe", "ignore"] });
  const cleanUp = () => rmSync(home, { recursive: true });
  if (server.udp_port !== null) {
    await said(child, /smp_udp: (Started)/);
    const host = server.ip_family === "ipv6" ? "::1" : "127.0.0.1";
    return running(child, { kind: "udp", host, port: server.udp_port }, cleanUp);
  }
  const path = await said(child, /connected to pseudotty: (\/dev\/pts\/\d+)/);
  return running(child, { kind: "serial", path, baudRate: 115200 }, cleanUp);
}

/** They are 32-bit programs; where the machine has no loader for them, the one that was fetched starts them. */
function programLine(program: string, { udp_port }: RealServer): string[] {
  const libraries = join(dirname(program), "..", "i386", "lib", "i386-linux-gnu");
  const loader = join(libraries, "ld-linux.so.2");
  const line = existsSync(loader) ? [loader, "--library-path", libraries, program] : [program];
  // All of them listen on the same UDP port: one at a time, also over several test files.
  const lock = join(tmpdir(), `bootproof-udp-${udp_port}.lock`);
  return [...ENDS_WITH_US, ...(udp_port === null ? [] : ["flock", "--no-fork", lock]), ...line];
}

async function startQemu({ qemu_cmd: line, target }: RealServer, cwd: string): Promise<RunningServer> {
  const port = await freePort();
  // An nRF51 that is asked while its UART is set up never answers again, and on a busy machine that may be seconds after the
  // start: it waits for us, and we for the banner, which it prints when its UART works.
  const isDeafWhileStarting = target === "qemu_cortex_m0";
  const command = isDeafWhileStarting ? line!.replace("wait=off", "wait=on") : line!;
  const [program, ...words] = [...ENDS_WITH_US, ...command.replaceAll("<PORT>", String(port)).split(/\s+/)];
  const child = spawn(program!, words, { cwd, stdio: ["ignore", "ignore", "ignore"] });
  const server = running(child, { kind: "tcp", host: "127.0.0.1", port });
  // Its socket listens some time after the start; what it says before we connect is lost, as on any UART.
  for (;;) {
    try {
      const first = await server.open();
      if (isDeafWhileStarting) await heard(first, "*** Booting Zephyr");
      await first.close();
      return server;
    } catch (error) {
      const early = error instanceof TransportError && error.code === "refused" && child.exitCode === null;
      if (!early) throw error;
      await delay(20);
    }
  }
}

/** Resolves once the board has said `words`; the time that a test has is its limit. */
async function heard(stream: ByteStream, words: string): Promise<void> {
  let text = "";
  for await (const chunk of stream.chunks) {
    text += Buffer.from(chunk).toString("latin1");
    if (text.includes(words)) return;
  }
  throw new Error(`the server ended before it said ${words}: ${text}`);
}

function running(child: ChildProcess, address: PipeAddress, cleanUp = () => {}): RunningServer {
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    address,
    open: () => openPipe(address),
    stop: async () => {
      child.kill("SIGKILL");
      await gone;
      cleanUp();
    },
  };
}

function said(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4096);
      const found = pattern.exec(text)?.[1];
      if (found) resolve(found);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${text}`)));
  });
}
