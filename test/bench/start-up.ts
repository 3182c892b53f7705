import { spawn, spawnSync } from "node:child_process";
import { type AddressInfo, createServer } from "node:net";
import { fileURLToPath } from "node:url";

/** How long the command line takes to begin, against a bare Node in the same run. */
export interface StartRow {
  startUp: "CPU time of --version" | "first byte on the wire";
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
  const first = await medianOf(firstByteMs);
  return [row("CPU time of --version", version, bare, 1.5), row("first byte on the wire", first, wall, 3)];
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

async function firstByteMs(): Promise<number> {
  let start = 0;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const heard = new Promise<number>((resolve) => {
    server.on("connection", (socket) => {
      socket.on("error", () => {});
      socket.once("data", () => resolve(performance.now() - start));
    });
  });
  start = performance.now();
  const child = spawn(process.execPath, [cli, "info", "-d", `tcp:127.0.0.1:${port}`], { stdio: "ignore" });
  const took = await heard;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  server.close();
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
