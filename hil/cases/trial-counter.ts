import { type Finding, fails, holds, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import type { Harness } from "../harness/harness.js";
import { describe } from "../snapshot.js";
import { compareStored, stored } from "./stored-counter.js";
import { isBack, onTrial } from "./trial-state.js";

/** An image one step above what the board asks for, on trial. */
async function higher(harness: Harness) {
  const start = stored(harness.initial) ?? harness.factory.counter!;
  const file = await harness.factory.make({ counter: start + 1 });
  const problem = await onTrial(
    harness,
    file,
    `an update with security counter ${start + 1}, for one trial boot`,
  );
  return problem ? unjudged(problem) : { start, file };
}

/** A counter that the trial boot had raised would keep the old image from coming back. */
export async function testBurnsNothing(harness: Harness): Promise<Finding> {
  const prepared = await higher(harness);
  if ("verdict" in prepared) return prepared;
  const trial = compareStored(harness.initial, await harness.takeSnapshot("on trial"));
  if (trial.is === "changed") return fails(`The trial boot alone moved it: ${trial.message}.`);
  if (trial.is === "same") return holds(`On trial, ${trial.message}.`);
  const back = await isBack(harness, "after a reset without confirmation");
  return back.verdict === "holds"
    ? holds(`After the trial the old image, with its lower security counter, starts again. ${back.observed}`)
    : back;
}

export async function confirmBurns(harness: Harness): Promise<Finding> {
  const prepared = await higher(harness);
  if ("verdict" in prepared) return prepared;
  const { start, file } = prepared;
  const trial = compareStored(harness.initial, await harness.takeSnapshot("on trial"));
  await harness.delivery.confirm();
  const snapshot = await harness.boot("reset", "after the confirmation and a reset");
  if (snapshot.running?.hash !== imageHashOf(file))
    return fails(`The confirmed image does not run: ${describe(snapshot)}.`);
  const now = stored(snapshot);
  if (now === undefined) return refusesBelow(harness, start);
  if (now !== start + 1) return fails(`After confirmation and reset ${now} is stored, not ${start + 1}.`);
  if (trial.is === "changed") return fails(`Before the confirmation ${trial.message}.`);
  return holds(`${start} before the confirmation, ${now} after the next boot.`);
}

/** The board does not report its counter: whether it has risen shows by what it starts. */
async function refusesBelow(harness: Harness, counter: number): Promise<Finding> {
  const { factory } = harness;
  const running = (await harness.takeSnapshot("before the older image")).running?.hash;
  const old = await factory.make({ counter, version: factory.version(3) });
  const { outcome, shows, snapshot } = await harness.offer(old, {
    what: `a higher version with security counter ${counter}`,
  });
  if (outcome === "started")
    return fails(`After the confirmation an image with security counter ${counter} still started: ${shows}.`);
  return snapshot.running?.hash === running
    ? holds(`After the confirmation an image with security counter ${counter} does not start any more.`)
    : unjudged(`After an image with security counter ${counter}: ${describe(snapshot)}.`);
}
