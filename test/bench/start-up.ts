import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { fileURLToPath } from "node:url";
import { noPtyReason, openPty } from "../support/pipe-pty.js";

/** How long the command line takes to begin, against a bare Node in the same run. */
export interface StartRow {
  startUp: "CPU time of --version" | "first byte on the wire, udp" | "first byte on the wire, serial";
  ms: number;
  bareNodeMs: number;
  ratio: number;
  atMost: number;
}

const RUNS = 10;
const cli = fileURLToPath(new URL("dist/cli/main.js", process.env.BOOTPROOF_ROOT));

export async function measureStart(): Promise<StartRow[]> {
  const version = median(() => cpuMs([cli, "--version"]));
  const bare = median(() => cpuMs(["-e", "0"]));
  const wall = await medianOf(bareWallMs);
  // Not over TCP: there the program gives what may be an emulator a quarter of a second to start, on purpose.
  const rows = [
    row("CPU time of --version", version, bare, 1.5),
    row("first byte on the wire, udp", await medianOf(firstDatagramMs), wall, 3),
  ];
  if (noPtyReason !== undefined) console.error(`start-up over a serial port: skipped, ${noPtyReason}`);
  else rows.push(row("first byte on the wire, serial", await medianOf(firstSerialByteMs), wall, 3));
  return rows;
}

function row(startUp: StartRow["startUp"], ms: number, bareNodeMs: number, atMost: number): StartRow {
  const [rounded, bare] = [ms, bareNodeMs].map((value) => Number(value.toFixed(1)));
  return { startUp, ms: rounded!, bareNodeMs: bare!, ratio: Number((ms / bareNodeMs).toFixed(2)), atMost };
}

/** User and system time of a child, which only the shell tells: its second line is about children. */
function cpuMs(words: readonly string[]): number {
  const script = '"$@" >/dev/null; times';
  const { stdout } = spawnSync("bash", ["-c", script, "bash", process.execPath, ...words], {
    encoding: "utf8",
  });
  const children = stdout.trim().split("\n")[1] ?? "";
  const parts = [...children.matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
    0,
  );
}

async function bareWallMs(): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, ["-e", "0"], { stdio: "ignore" });
  await new Promise((resolve) => child.once("exit", resolve));
  return performance.now() - start;
}

/** To a serial port: the far side of a pseudo-terminal. */
async function firstSerialByteMs(): Promise<number> {
  const pty = await openPty();
  try {
    return await untilHeard(`serial:${pty.path}`, () => pty.heard((all) => all.length > 0));
  } finally {
    await pty.unplug();
  }
}

async function firstDatagramMs(): Promise<number> {
  const server = createSocket("udp4");
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  const heard = new Promise((resolve) => server.once("message", resolve));
  try {
    return await untilHeard(`udp:127.0.0.1:${server.address().port}`, () => heard);
  } finally {
    server.close();
  }
}

async function untilHeard(device: string, heard: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, [cli, "info", "-d", device], { stdio: "ignore" });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  await heard();
  const took = performance.now() - start;
  child.kill("SIGKILL");
  await gone;
  return took;
}

function median(take: () => number): number {
  return middle(Array.from({ length: RUNS }, take));
}

async function medianOf(take: () => Promise<number>): Promise<number> {
  const taken: number[] = [];
  for (let run = 0; run < RUNS; run++) taken.push(await take());
  return middle(taken);
}

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
