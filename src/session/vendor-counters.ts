import type { Client, SendOptions } from "../client/client.js";
import { osBootloaderInfo } from "../smp/groups/os.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";

/**
 * Security counters on boards without the trust group. SMP has no command for them; vendors who export them use the hooks
 * that Zephyr gives: a bootloader-info query of their own, or a key beside each slot in the image list or the slot
 * information. Names differ, so common spellings are understood, and nothing else is taken for a counter.
 */

/** What vendors call the query. A server without it answers QUERY_YIELDS_NO_ANSWER: asking is safe. */
const QUERIES = ["security_counter", "security-counter", "sec_cnt"] as const;

/** Spellings of a counter's key, in small letters and digits. */
const COUNTER_KEYS = new Set([
  "securitycounter",
  "securitycounters",
  "securitycnt",
  "seccounter",
  "seccnt",
  "rollbackcounter",
  "antirollbackcounter",
  "nvcounter",
]);
/** In an answer to a query for the counter these mean it too. */
const ANSWER_KEYS = new Set([...COUNTER_KEYS, "counter", "counters", "value", "values"]);

/** As wide as TLV 0x50 and MCUboot's stored counters. */
const MOST = 0xffff_ffff;
/** More image pairs than any MCUboot has. */
const MOST_IMAGES = 16;

/** The counters that a vendor's bootloader-info query tells, by image number. Empty when there is no such query. */
export async function queryCounters(
  client: Client,
  how: Pick<SendOptions, "signal">,
): Promise<ReadonlyMap<number, number>> {
  for (const query of QUERIES) {
    try {
      const found = countersIn(await client.send(osBootloaderInfo, { query }, how), ANSWER_KEYS);
      if (found.size > 0) return found;
    } catch (error) {
      if (!(error instanceof DeviceError || error instanceof ShapeError)) throw error;
      // Without the command itself, other spellings of the query cannot help.
      if (error instanceof DeviceError && error.rcName === "ENOTSUP") break;
    }
  }
  return new Map();
}

/** The counter that a vendor's key tells in an entry of the image list or the slot information. */
export function counterBeside(entry: object): number | undefined {
  return countersIn(entry, COUNTER_KEYS).get(0);
}

/**
 * Counters by image number: one number for image 0, a list with one for each image, or a map from image number to
 * counter.
 */
function countersIn(fields: object, keys: ReadonlySet<string>): Map<number, number> {
  const entry = Object.entries(fields).find(([key]) => keys.has(key.toLowerCase().replace(/[^a-z0-9]/g, "")));
  const value: unknown = entry?.[1];
  const pairs: [unknown, unknown][] = Array.isArray(value)
    ? value.map((counter, image) => [image, counter])
    : typeof value === "object" && value !== null && !(value instanceof Uint8Array)
      ? Object.entries(value).map(([image, counter]) => [
          /^\d+$/.test(image) ? Number(image) : undefined,
          counter,
        ])
      : [[0, value]];
  return new Map(
    pairs.filter(
      (pair): pair is [number, number] => isWhole(pair[0], MOST_IMAGES - 1) && isWhole(pair[1], MOST),
    ),
  );
}

function isWhole(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}
