import { BootproofError } from "bootproof";
import type { CutPlan } from "../board.js";
import type { Harness } from "../harness/harness.js";
import type { Prepared } from "./power-cut-scenarios.js";

/** The cut that a run is made with; whether power failed in it. */
export async function cutOnce(harness: Harness, prepared: Prepared, cut: CutPlan): Promise<boolean> {
  await harness.flash.writeAll(prepared.flash);
  return cutAgain(harness, prepared, cut);
}

export async function cutAgain(harness: Harness, { act }: Prepared, cut: CutPlan): Promise<boolean> {
  const gone = new AbortController();
  const stop = harness.board.onPowerLost(() => gone.abort());
  try {
    const start = await harness.power.onWithCut(cut);
    if (start === "cut" || start === "recovery" || !act) return start === "cut";
    await act(harness, AbortSignal.any([gone.signal, harness.signal])).catch((error: unknown) => {
      if (gone.signal.aborted) return;
      // Without power loss a refusal or silence is for the look afterwards to judge.
      if (!(error instanceof BootproofError)) throw error;
    });
    return gone.signal.aborted;
  } finally {
    stop();
  }
}

const MOST_OPERATIONS = 1 << 20;

export interface Range {
  readonly first: number;
  readonly last: number;
}

/** The flash operations of a stretch, counted from power-on. What the board does after its boot begins behind the boot's. */
export async function rangeOf(harness: Harness, prepared: Prepared): Promise<Range> {
  const { act, ...bootOnly } = prepared;
  const last = await countOperations(harness, prepared);
  const first = act ? (await countOperations(harness, bootOnly)) + 1 : 1;
  harness.note(`flash operations ${first} to ${last} after power-on`);
  return { first, last };
}

/** The largest number of an operation at which power still fails. */
async function countOperations(harness: Harness, prepared: Prepared): Promise<number> {
  const happens = (operation: number) => cutOnce(harness, prepared, { operation, kind: "before" });
  let reached = 0;
  let beyond = 1;
  while (beyond < MOST_OPERATIONS && (await happens(beyond))) {
    reached = beyond;
    beyond *= 2;
  }
  while (beyond - reached > 1) {
    const middle = (reached + beyond) >> 1;
    if (await happens(middle)) reached = middle;
    else beyond = middle;
  }
  return reached;
}

/** Operations spread evenly from the first to the last, both among them. */
export function spread({ first, last }: Range, count: number): number[] {
  const total = last - first + 1;
  if (count >= total) return Array.from({ length: total }, (_, index) => first + index);
  if (count === 1) return [first + (total >> 1)];
  const step = (total - 1) / (count - 1);
  return Array.from({ length: count }, (_, index) => first + Math.round(index * step));
}
