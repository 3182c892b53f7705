import type { BootEvent } from "./facts.js";

/**
 * Boot events that came since an earlier look. The board keeps the newest few: what was there before may have moved out at
 * the front.
 *
 * @param before - of the earlier look
 * @param after - of this look
 * @returns oldest first
 */
export function newBootEvents(
  before: readonly BootEvent[],
  after: readonly BootEvent[],
): readonly BootEvent[] {
  const same = (a: BootEvent | undefined, b: BootEvent | undefined) =>
    JSON.stringify(a) === JSON.stringify(b);
  for (let moved = 0; moved <= before.length; moved++) {
    const kept = before.slice(moved);
    if (kept.every((event, index) => same(event, after[index]))) return after.slice(kept.length);
  }
  return after;
}
