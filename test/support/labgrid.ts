import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAMS = ["labgrid-client", "labgrid-coordinator", "labgrid-exporter"] as const;

/** Why labgrid cannot run here, or undefined when it can. */
export const noLabgridReason: string | undefined = PROGRAMS.some(
  (program) => spawnSync(program, ["--help"]).status !== 0,
)
  ? "labgrid is not installed: pip install labgrid"
  : undefined;

/** A lab of one place: labgrid's coordinator and exporter on this machine. */
export interface Lab {
  readonly coordinator: string;
  /** Runs `labgrid-client` and returns what it said. */
  client(words: readonly string[], env?: NodeJS.ProcessEnv): string;
  /** Who has the place, as `labgrid-client show` says it. */
  holder(): string;
  stop(): Promise<void>;
}

/** `uart`: a TCP port of this machine; `power`: address of a switch, in the words of labgrid's model `simplerest`. */
export async function startLab(
  place: string,
  { uart, power }: { uart: number; power: string },
): Promise<Lab> {
  const home = mkdtempSync(join(tmpdir(), "labgrid-"));
  const coordinator = `127.0.0.1:${await freePort()}`;
  const resources = join(home, "exporter.yaml");
  writeFileSync(
    resources,
    `desk:
  NetworkSerialPort: { host: 127.0.0.1, port: ${uart}, speed: 115200, protocol: raw }
  NetworkPowerPort: { model: simplerest, host: "${power}", index: 1 }
`,
  );
  const children: ChildProcess[] = [];
  const start = (program: string, ...words: string[]) =>
    // Both keep their state in the folder they were started in.
    children.push(spawn(program, words, { stdio: "ignore", cwd: home }));
  const client = (words: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const done = spawnSync("labgrid-client", ["-x", coordinator, ...words], {
      encoding: "utf8",
      env: { ...process.env, ...env },
    });
    return done.stdout + done.stderr;
  };
  const stop = async () => {
    for (const child of children.toReversed()) await ended(child);
    rmSync(home, { recursive: true });
  };
  try {
    start("labgrid-coordinator", "-l", coordinator);
    until(() => !/Error/i.test(client(["places"])));
    start("labgrid-exporter", "-c", coordinator, "-n", "lab", resources);
    until(() => client(["resources"]).includes("NetworkPowerPort"));
    client(["-p", place, "create"]);
    for (const kind of ["NetworkSerialPort", "NetworkPowerPort"])
      client(["-p", place, "add-match", `lab/desk/${kind}`]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    coordinator,
    client,
    holder: () => /acquired: (\S+)/.exec(client(["-p", place, "show"]))?.[1] ?? "",
    stop,
  };
}

const MOST_LOOKS = 60;

/** Each look takes labgrid's client half a second to start. */
function until(isSo: () => boolean): void {
  for (let look = 0; look < MOST_LOOKS; look++) if (isSo()) return;
  throw new Error("labgrid did not come up");
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  if (child.exitCode !== null) return;
  child.kill("SIGKILL");
  await gone;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
