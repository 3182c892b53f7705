import { type Finding, fails, holds, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import type { Harness } from "../harness/harness.js";
import { describe, type Snapshot } from "../snapshot.js";

/** Offers a trial image and makes sure that it runs; the reason why not otherwise. */
export async function onTrial(harness: Harness, file: Uint8Array, what: string): Promise<string | undefined> {
  const { outcome, shows, snapshot } = await harness.offer(file, { what });
  if (outcome !== "started" || snapshot.running?.hash !== imageHashOf(file))
    return `It did not start on trial: ${shows}.`;
  return undefined;
}

/**
 * Emulators that load their files anew at each reset write the primary slot behind the bootloader's back: then the old
 * image is in both slots, where a revert would have put the new one into the other.
 */
export function isRewritten(harness: Harness, snapshot: Snapshot, candidate?: string): boolean {
  const hashes = snapshot.slots.filter(({ image }) => image === 0).map(({ hash }) => hash);
  const own = harness.initial.running?.hash;
  if (candidate !== undefined && snapshot.running?.hash === own && !hashes.includes(candidate)) return true;
  return hashes.length > 1 && hashes.every((hash) => hash === own);
}

export const REWRITTEN =
  "The old image runs, but not because of the bootloader: something writes it into the primary slot at each reset, as emulators that reload their files do.";

export async function isBack(harness: Harness, how: string): Promise<Finding> {
  const snapshot = await harness.boot("reset", how);
  if (isRewritten(harness, snapshot)) return unjudged(REWRITTEN);
  if (snapshot.running?.hash !== harness.initial.running?.hash)
    return fails(`The old image did not come back: ${describe(snapshot)}.`);
  if (snapshot.running?.confirmed === undefined)
    return unjudged("The old image came back; the board does not report whether it is confirmed.");
  if (!snapshot.running.confirmed) return fails("The old image came back and is not confirmed.");
  return holds(`The old image came back and is confirmed: ${describe(snapshot)}.`);
}
