import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.js";
import { untilSeen } from "./limits.js";
import { whyMissing } from "./on-path.js";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Why labgrid cannot run here, or undefined when it can. PyPI has it: `pip install labgrid`. */
export const noLabgridReason = whyMissing("labgrid-client", "labgrid-coordinator", "labgrid-exporter");

/** A lab: labgrid's coordinator and exporters on this machine. */
export interface Lab {
  readonly coordinator: string;
  /** By which programs find this lab, and its `labgrid-client`. */
  readonly env: { readonly LG_COORDINATOR: string; readonly PATH: string };
  /** Runs `labgrid-client` and returns what it said. */
  client(words: readonly string[], env?: NodeJS.ProcessEnv): string;
  /** Who has the place (left out: the first one), as `labgrid-client show` says it. */
  holder(place?: string): string;
  stop(): Promise<void>;
}

/** A place with one TCP port of this machine as its serial port; `power`: address of a switch, as labgrid's `simplerest`. */
export interface LabBoard {
  readonly place: string;
  readonly uart: number;
  readonly power?: string;
  /** `key=value`. */
  readonly tags?: readonly string[];
}

/** A lab of one place. */
export async function startLab(place: string, where: { uart: number; power: string }): Promise<Lab> {
  return startHosts([[{ place, ...where }]]);
}

/** A lab of several hosts: an exporter each, with its boards. */
export async function startHosts(hosts: readonly (readonly LabBoard[])[]): Promise<Lab> {
  const home = mkdtempSync(join(tmpdir(), "labgrid-"));
  const port = await freePort();
  const coordinator = `127.0.0.1:${port}`;
  const children: ChildProcess[] = [];
  const start = (program: string, ...words: string[]) => {
    // Both keep their state in the folder they were started in.
    const child = spawn(join(home, program), words, { stdio: "ignore", cwd: home });
    children.push(child);
    return child;
  };
  const env = { LG_COORDINATOR: coordinator, PATH: `${home}${delimiter}${process.env.PATH}` };
  const client = (words: readonly string[], more: NodeJS.ProcessEnv = {}) => {
    const done = spawnSync("labgrid-client", ["-x", coordinator, ...words], {
      encoding: "utf8",
      env: { ...process.env, ...env, ...more },
    });
    return done.stdout + done.stderr;
  };
  const stop = async () => {
    for (const child of children.toReversed()) await ended(child);
    // What a killed program ran is ended a moment later, and may be writing its last file.
    rmSync(home, { recursive: true, maxRetries: 10, retryDelay: 100 });
  };
  const places = hosts.flat();
  try {
    // As the coordinator itself keeps them: its client takes a second a word to make them.
    writeFileSync(join(home, "places.yaml"), JSON.stringify(Object.fromEntries(places.map(keptPlace))));
    children.push(await startPrograms(home));
    const child = start("labgrid-coordinator", "-l", coordinator);
    await listening(port, child);
    for (const [number, boards] of hosts.entries()) {
      const resources = join(home, `exporter-${number}.yaml`);
      writeFileSync(resources, boards.map(exported).join(""));
      start("labgrid-exporter", "-c", coordinator, "-n", `lab-${number}`, resources);
    }
    await untilSeen("labgrid shows every board", (seen) => {
      const there = client(["resources"]);
      seen(there);
      return places.every(({ place }) => there.includes(`/${place}/NetworkSerialPort`)) || undefined;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    coordinator,
    env,
    client,
    holder: (place = places[0]!.place) => /acquired: (\S+)/.exec(client(["-p", place, "show"]))?.[1] ?? "",
    stop,
  };
}

/**
 * Puts labgrid's own programs into the folder, with their imports already made: they take most of a second of processor time,
 * and a test calls `labgrid-client` a hundred times.
 */
async function startPrograms(folder: string): Promise<ChildProcess> {
  const server = spawn("python3", [join(here, "labgrid_server.py"), folder], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await new Promise<void>((resolve, reject) => {
    server.stdout.once("data", () => resolve());
    server.once("exit", (status) => reject(new Error(`labgrid_server.py ended with ${status}`)));
  });
  return server;
}

function keptPlace({ place, tags = [] }: LabBoard) {
  const matches = [{ exporter: "*", group: place, cls: "*" }];
  return [place, { matches, tags: Object.fromEntries(tags.map((tag) => tag.split("="))) }] as const;
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  const answers = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
  while (!(await answers())) {
    if (child.exitCode !== null) throw new Error(`the coordinator ended with ${child.exitCode}`);
    await delay(50);
  }
}

function exported({ place, uart, power }: LabBoard): string {
  const serial = `  NetworkSerialPort: { host: 127.0.0.1, port: ${uart}, speed: 115200, protocol: raw }\n`;
  const switched = `  NetworkPowerPort: { model: simplerest, host: "${power}", index: 1 }\n`;
  return `${place}:\n${serial}${power === undefined ? "" : switched}`;
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  if (child.exitCode !== null) return;
  child.kill("SIGKILL");
  await gone;
}
