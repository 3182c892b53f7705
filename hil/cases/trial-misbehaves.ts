import { shellExec } from "bootproof/smp";
import type { Behaviour } from "../board-files/board-entry.js";
import { type Finding, fails, holds, type Need, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import type { Harness } from "../harness/harness.js";
import { describe, type Snapshot } from "../snapshot.js";
import { isBack } from "./trial-state.js";

export const SAYS = {
  hang: "An image that hangs is reverted after the watchdog reset.",
  crash: "An image that crashes is reverted after its crash.",
  "no-confirm": "An image that refuses its confirmation is reverted at the next reset.",
  "fail-health": "An image that fails its health check is not confirmed, and is reverted at the next reset.",
} satisfies Partial<Record<Behaviour & Need, string>>;

/** Hangs and crashes end by themselves; the others by a reset. */
export async function misbehaves(harness: Harness, behaviour: keyof typeof SAYS): Promise<Finding> {
  const file = await harness.factory.make({ behaviour });
  const own = harness.initial.running?.hash;
  const endsItself = behaviour === "hang" || behaviour === "crash";
  const { outcome, shows, snapshot } = await harness.offer(file, {
    what: `an image that behaves as "${behaviour}"`,
    starts: endsItself ? 2 : 1,
  });
  if (outcome !== "started") return unjudged(`It did not start: ${shows}.`);
  if (endsItself) {
    const now = await afterItself(harness, snapshot);
    return now.running?.hash === own && now.running?.confirmed !== false
      ? holds(`It started (${shows}), and the board went back by itself: ${describe(now)}.`)
      : fails(`The old image did not come back: ${describe(now)}.`);
  }
  if (snapshot.running?.hash !== imageHashOf(file))
    return unjudged(`It was reverted before it could be checked: ${shows}.`);
  const trouble = behaviour === "no-confirm" ? await refusesConfirm(harness) : await isSick(harness);
  if (trouble !== undefined) return unjudged(trouble);
  return isBack(harness, "after a reset");
}

/** More than a sound board needs: at the first start after a trial image failed, the old one runs. */
const STARTS = 3;

/**
 * What runs when a trial image has had its chance to fail. Boards that tell their starts are given some, however long a busy
 * host takes for them; others the time in which they start.
 */
async function afterItself(harness: Harness, trial: Snapshot): Promise<Snapshot> {
  const { board, traits } = harness;
  const own = harness.initial.running?.hash;
  const begun = performance.now();
  let from = board.log.end;
  let now = trial;
  for (let starts = 0; now.running?.hash !== own; ) {
    now = await harness.lookAgain("while it misbehaves");
    if (board.can.has("tells-start")) {
      if (starts++ === STARTS || now.running?.hash === own) break;
      // Silent for so long, it is asked once more.
      if ((await harness.power.started(from, traits.patienceMs)) === "unknown") starts = STARTS;
      from = board.log.end;
    } else if (performance.now() - begun >= traits.patienceMs) break;
  }
  return now;
}

async function refusesConfirm(harness: Harness): Promise<string | undefined> {
  try {
    await harness.delivery.confirm();
    return "The image took the confirmation that it should refuse.";
  } catch (error) {
    harness.note(`the confirmation was refused: ${(error as Error).message}`);
    return undefined;
  }
}

async function isSick(harness: Harness): Promise<string | undefined> {
  const { ret, o } = await harness.client.send(shellExec, { argv: ["health"] }, { signal: harness.signal });
  harness.note(`health check: returned ${ret}, said "${o.trim()}"`);
  return ret === 0 ? "The image reports that it is healthy." : undefined;
}
