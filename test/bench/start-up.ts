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

const RUNS = 15;
const cli = fileURLToPath(new URL("dist/cli/main.js", process.env.BOOTPROOF_ROOT));

interface Start {
  name: StartRow["startUp"];
  atMost: number;
  ours: () => Promise<number>;
  bare: () => Promise<number>;
}

// Not over TCP: there the program gives what may be an emulator a quarter of a second to start, on purpose.
const STARTS: readonly Start[] = [
  {
    name: "CPU time of --version",
    atMost: 1.5,
    ours: async () => cpuMs([cli, "--version"]),
    bare: async () => cpuMs(["-e", "0"]),
  },
  { name: "first byte on the wire, udp", atMost: 3, ours: firstDatagramMs, bare: bareWallMs },
  { name: "first byte on the wire, serial", atMost: 3, ours: firstSerialByteMs, bare: bareWallMs },
];

export async function measureStart(): Promise<StartRow[]> {
  const rows: StartRow[] = [];
  for (const start of STARTS) {
    if (start.ours === firstSerialByteMs && noPtyReason !== undefined)
      console.error(`start-up over a serial port: skipped, ${noPtyReason}`);
    else rows.push(await measure(start));
  }
  return rows;
}

/** By turns, so that what else the machine does weighs on both. */
async function measure({ name, atMost, ours, bare }: Start): Promise<StartRow> {
  const taken: number[] = [];
  const bareTaken: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    bareTaken.push(await bare());
    taken.push(await ours());
  }
  const [ms, bareNodeMs] = [middle(taken), middle(bareTaken)];
  return {
    startUp: name,
    ms: Number(ms.toFixed(1)),
    bareNodeMs: Number(bareNodeMs.toFixed(1)),
    ratio: Number((ms / bareNodeMs).toFixed(2)),
    atMost,
  };
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

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
