import { execFile } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { environmentWithoutSecrets } from "bootproof";
import type { PowerConfig } from "bootproof/boards";
import { type BoardUnderTest, UnusableBoard } from "../board.js";
import type { BoardEntry, Reach } from "../board-files/board-entry.js";
import { readFacts } from "../board-files/yaml-facts.js";
import { openAttached } from "./attached.js";

type Place = Extract<Reach, { kind: "labgrid" }>;
type Attached = Extract<Reach, { kind: "attached" }>;

type Named = Pick<BoardEntry, "name">;

const CLIENT = "labgrid-client";
const CLIENT_WITHIN_MS = 30_000;
/** The exporter starts the server of a serial port only once the place is taken. */
const PORT_WITHIN_MS = 10_000;
const SETTLE_MS = 500;

/**
 * A board in a lab that labgrid runs. The place is taken for the time of the run, its serial port and its power switch
 * are whatever labgrid says; nothing of them stands in the board file. Throws `UnusableBoard`.
 */
export async function openPlace(entry: BoardEntry, place: Place): Promise<BoardUnderTest> {
  const isOurs = await acquire(entry, place);
  const release = async () => {
    if (isOurs) await client(entry, place, "release");
  };
  try {
    const reach = await resolvePlace(entry, place);
    const summary = `labgrid place ${place.place}: board at ${reach.address}`;
    return await openAttached(entry, reach, { summary, release });
  } catch (error) {
    await release();
    throw error;
  }
}

/** False when this user had taken it before, who then keeps it. */
async function acquire(entry: BoardEntry, place: Place): Promise<boolean> {
  try {
    await client(entry, place, "acquire");
    return true;
  } catch (error) {
    if (error instanceof UnusableBoard && /you have already acquired/i.test(error.message)) return false;
    throw error;
  }
}

/**
 * Where the board of a place is that was acquired. The coordinator is the one that `labgrid-client` knows.
 *
 * @param name - of the place
 * @returns its address, and its power switch if it has one
 * @throws UnusableBoard when it has no serial port that others can reach
 */
export async function addressOfPlace(name: string): Promise<{ address: string; power?: PowerConfig }> {
  // It becomes a word of a command line.
  if (!/^[\w.+:][\w.+:-]{0,199}$/.test(name))
    throw new UnusableBoard("board-unusable", `"${name}" has characters that no place of labgrid has.`);
  const { address, power } = await resolvePlace({ name }, { kind: "labgrid", place: name });
  return { address, ...(power && { power: power.config }) };
}

async function resolvePlace(entry: Named, place: Place): Promise<Attached> {
  const start = performance.now();
  for (;;) {
    const found = attachedIn(place, await client(entry, place, "env"));
    if (found) return found;
    if (performance.now() - start > PORT_WITHIN_MS)
      throw new UnusableBoard(
        "board-unusable",
        `Place ${place.place} has no serial port with a host and a port.`,
        {
          hint: `Look at ${CLIENT} -p ${place.place} show.`,
        },
      );
    await delay(200);
  }
}

/** What `labgrid-client env` says of a place; undefined while its serial port is not served yet. */
export function attachedIn(place: Place, env: string): Attached | undefined {
  const target = readFacts(`labgrid place ${place.place}`, env).object("targets")?.object(place.place);
  const resources = target?.objects("resources") ?? [];
  const serial = resources.find(({ names }) => names[0] === "NetworkSerialPort")?.object("NetworkSerialPort");
  const host = serial?.text("host");
  const port = serial?.number("port", { min: 1, max: 65535 });
  if (!serial || host === undefined || port === undefined) return undefined;
  const at = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const speed = serial.number("speed", { min: 1, max: 20_000_000 }) ?? 115_200;
  // labgrid's default for a serial port that says nothing is RFC 2217.
  const isRaw = serial.text("protocol") === "raw";
  const hasPower = resources.some(({ names }) => /Power|PDUDaemon/.test(names[0] ?? ""));
  const line = (...words: string[]) => [CLIENT, ...placeWords(place), ...words].join(" ");
  return {
    kind: "attached",
    address: isRaw ? `tcp:${at}` : `rfc2217:${at}?baud=${speed}`,
    ...(hasPower
      ? {
          power: {
            config: { kind: "command" as const, on: line("power", "on"), off: line("power", "off") },
            settleMs: SETTLE_MS,
          },
        }
      : {}),
  };
}

function placeWords({ place, coordinator }: Place): string[] {
  return [...(coordinator === undefined ? [] : ["-x", coordinator]), "-p", place];
}

async function client(entry: Named, place: Place, command: string): Promise<string> {
  try {
    const words = [...placeWords(place), command];
    const { stdout } = await promisify(execFile)(CLIENT, words, {
      timeout: CLIENT_WITHIN_MS,
      env: environmentWithoutSecrets(),
    });
    return stdout;
  } catch (cause) {
    const { code, stderr = "" } = cause as { code?: unknown; stderr?: string };
    if (code === "ENOENT")
      throw new UnusableBoard(
        "board-unusable",
        `${CLIENT}, which knows board ${entry.name}, is not installed.`,
        {
          cause,
          hint: "pip install labgrid",
        },
      );
    const said = stderr
      .trim()
      .split("\n")
      .at(-1)
      ?.replace(/^labgrid-client: Error: /, "")
      .replace(/\.$/, "");
    throw new UnusableBoard(
      "board-unusable",
      `${CLIENT} could not ${command} place ${place.place}: ${said || "it printed nothing"}.`,
      {
        cause,
        hint: "Look at labgrid-client places, or name the coordinator (field coordinator of the board file).",
      },
    );
  }
}
