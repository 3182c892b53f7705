import type { Snapshot } from "../snapshot.js";

type WithCounters = Pick<Snapshot, "counters">;

/** The stored security counter of image 0 at that moment; undefined when nobody reported it then. */
export function stored({ counters }: WithCounters): number | undefined {
  return counters[0];
}

/**
 * The stored counter of two moments, compared. `not-reported` when either of them does not tell: serial recovery never
 * does, and a counter that was not reported has not changed.
 */
export function compareStored(
  before: WithCounters,
  after: WithCounters,
): { is: "same" | "changed" | "not-reported"; message: string } {
  const [was, now] = [stored(before), stored(after)];
  if (was === undefined || now === undefined)
    return { is: "not-reported", message: "the stored security counter was not reported" };
  return was === now
    ? { is: "same", message: `the stored security counter is ${was} as before` }
    : { is: "changed", message: `the stored security counter went from ${was} to ${now}` };
}
