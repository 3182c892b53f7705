import type { ControlId, Risk } from "./case.js";
import type { ControlResult } from "./result.js";
import type { Stand } from "./stand.js";

/** What was shown at the start of a run to bring a board back. */
export type WayBack =
  /** Its flash can be written from outside, or it forgets what it was told. */
  | "programmer"
  /** A trial boot was seen, and reverted: a second slot does its work. */
  | "revert"
  /** Serial recovery was entered and left. */
  | "recovery";

/** Risk -> the ways back of which one must have been proven. A spent counter only a programmer brings back. */
const COVER: Readonly<Record<Risk, readonly WayBack[]>> = {
  nothing: ["programmer", "revert", "recovery"],
  "secondary slot": ["programmer", "revert", "recovery"],
  "primary slot": ["programmer", "recovery"],
  counter: ["programmer"],
  bootloader: ["programmer"],
};

export function coveredBy(ways: ReadonlySet<WayBack>, risk: Risk): boolean {
  return risk === "nothing" || COVER[risk].some((way) => ways.has(way));
}

/** Proves the ways back of a board: a good update that is reverted again, a recovery that was entered and left. */
export async function waysBack(
  stand: Stand,
  control: (id: ControlId) => Promise<ControlResult>,
): Promise<ReadonlySet<WayBack>> {
  const ways = new Set<WayBack>();
  if (stand.canProgram || stand.board.can.has("forgets")) ways.add("programmer");
  if (stand.recoveryProblem === undefined) ways.add("recovery");
  if (ways.size === 0 && stand.hasTrial && (await control("update")).verdict === "holds") {
    const back = await stand.boot("reset", "the way back, tried");
    if (back.running?.hash === stand.home.running?.hash) ways.add("revert");
  }
  return ways;
}
