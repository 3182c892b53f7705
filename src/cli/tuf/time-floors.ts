import { existsSync } from "node:fs";
import { BootproofError } from "../../errors.js";
import type { TimeFloor } from "../../tuf/trusted-time.js";
import { type Output, printable } from "../output.js";
import { logFolder, ratchetFolder } from "../state-folders.js";

/**
 * Moments that this user's own records know to have passed: the last event of the audit log, the latest confirmation of
 * the ratchet. A record that cannot be read gives none, and a warning.
 */
export async function timeFloors(out: Output): Promise<TimeFloor[]> {
  const floors = [
    await floorFrom("audit log", logFolder(), latestEvent, out),
    await floorFrom("ratchet", ratchetFolder(), latestConfirmation, out),
  ];
  return floors.flatMap((floor) => (floor ? [floor] : []));
}

async function floorFrom(
  source: string,
  folder: string,
  latest: (folder: string) => Promise<string | undefined>,
  out: Output,
): Promise<TimeFloor | undefined> {
  if (!existsSync(folder)) return undefined;
  try {
    const time = new Date((await latest(folder)) ?? "");
    return Number.isNaN(time.getTime()) ? undefined : { time, source };
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    out.warn(`The ${source} says nothing of the time: ${printable(error.message)}`);
    return undefined;
  }
}

async function latestEvent(folder: string): Promise<string | undefined> {
  const [{ AuditLog }, { TILE_WIDTH, parseEntries }, { parseEvent }] = await Promise.all([
    import("../../trust-store/audit-log.js"),
    import("../../trust/tiles.js"),
    import("../../trust/events.js"),
  ]);
  const log = new AuditLog({ folder });
  const number = log.numbers().at(-1);
  if (number === undefined) return undefined;
  const { size } = (await log.checkpoint(number)).checkpoint;
  if (size === 0) return undefined;
  const tile = Math.floor((size - 1) / TILE_WIDTH);
  const width = size - tile * TILE_WIDTH;
  const bundle = log.reader(number).entries(tile, width);
  return bundle && parseEvent(parseEntries(bundle, width).at(-1)!).time;
}

async function latestConfirmation(folder: string): Promise<string | undefined> {
  const { RatchetStore } = await import("../../trust-store/ratchet-store.js");
  const { boards } = new RatchetStore({ folder }).read();
  const marks = Object.values(boards)
    .flatMap(({ images }) => Object.values(images))
    .flatMap(({ counter, version, intents }) => [counter, version, ...intents])
    .flatMap((mark) => (mark ? [mark.at] : []));
  return marks.sort((a, b) => Date.parse(a) - Date.parse(b)).at(-1);
}
