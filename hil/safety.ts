import type { ControlId, Risk } from "./case.js";
import type { Harness } from "./harness/harness.js";
import type { ControlResult } from "./result.js";

/** What was shown at the start of a run to bring a board back. */
export type RestoreMethod =
  /** Its flash can be written from outside, or it forgets what it was told. */
  | "programmer"
  /** A trial boot was seen, and reverted: a second slot does its work. */
  | "revert"
  /** Serial recovery was entered and left. */
  | "recovery"
  /** With the key at hand the board's own firmware can be signed above a raised counter, and recovery brings it in. */
  | "re-signed";

/** Risk -> the ways back of which one must have been proven. A spent counter only a programmer brings back; on other boards no step
 * of it is spent without being asked for. */
const COVER: Readonly<Record<Risk, readonly RestoreMethod[]>> = {
  nothing: ["programmer", "revert", "recovery"],
  "secondary slot": ["programmer", "revert", "recovery"],
  "primary slot": ["programmer", "recovery"],
  counter: ["programmer", "re-signed"],
  "counter step": ["programmer"],
  bootloader: ["programmer"],
};

export function coveredBy(ways: ReadonlySet<RestoreMethod>, risk: Risk): boolean {
  return risk === "nothing" || COVER[risk].some((method) => ways.has(method));
}

/** Proves the ways back of a board: a good update that is reverted again, a recovery that was entered and left. */
export async function restoreMethods(
  harness: Harness,
  control: (id: ControlId) => Promise<ControlResult>,
): Promise<ReadonlySet<RestoreMethod>> {
  const ways = new Set<RestoreMethod>();
  if (harness.traits.canProgram || harness.board.can.has("forgets")) ways.add("programmer");
  if (harness.base.recoveryProblem === undefined) ways.add("recovery");
  if (ways.has("recovery") && harness.factory.canSign) ways.add("re-signed");
  if (ways.size === 0 && harness.traits.hasTrial !== false && (await control("update")).verdict === "holds") {
    const back = await harness.boot("reset", "the way back, tried");
    if (back.running?.hash === harness.initial.running?.hash) ways.add("revert");
  }
  return ways;
}
