import type { Image } from "../mcuboot/image.js";
import { addressText, imageVectors, startWarnings } from "../mcuboot/start.js";
import { runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { modesOf } from "./mode-checks.js";

/** Where a slot's size is not told: no application of a microcontroller is larger. */
const LARGEST_SLOT = 0x20_0000;

interface StartInput {
  readonly image: Image;
  readonly facts: BoardFacts;
  readonly imageNumber: number;
}

/**
 * Whether firmware for a Cortex-M can start on this board: its vectors by themselves, and beside those of the running image
 * where a known file tells them. Never a failure: boards differ in more than this knows. Undefined for other architectures.
 */
export function judgeStart({
  image,
  facts,
  imageNumber,
}: StartInput): { result: "pass" | "warn"; message: string } | undefined {
  const vectors = imageVectors(image);
  const beside = besideRunning(image, facts, imageNumber);
  const warnings = [...startWarnings(image), ...beside];
  if (warnings.length > 0) return { result: "warn", message: warnings.join(" ") };
  if (vectors === undefined) return undefined;
  const numbers = `Stack ${addressText(vectors.stack)} and entry ${addressText(vectors.entry)}`;
  const isCompared = runningSlot(facts, imageNumber)?.content?.vectors !== undefined;
  return {
    result: "pass",
    message: isCompared
      ? `${numbers} are near the running image's.`
      : `${numbers} can be those of a Cortex-M.`,
  };
}

/** What sets it apart from the running image, as sentences. */
function besideRunning(image: Image, facts: BoardFacts, imageNumber: number): string[] {
  const vectors = imageVectors(image);
  const running = runningSlot(facts, imageNumber)?.content?.vectors?.value;
  if (vectors === undefined || running === undefined) return [];
  const message: string[] = [];
  if (isLinkedElsewhere(image, facts, imageNumber))
    message.push(
      `Its entry point ${addressText(vectors.entry)} is not in the slot of the running image, whose entry is ${addressText(running.entry)}: it is linked for another slot, core or chip, or is not an application.`,
    );
  // The top byte tells memories apart: tightly coupled, internal, another core's.
  if (vectors.stack >>> 24 !== running.stack >>> 24)
    message.push(
      `Its stack ${addressText(vectors.stack)} is in another memory than the running image's ${addressText(running.stack)}: it is built for another core or chip.`,
    );
  return message;
}

/** Its entry is further from the running image's than a slot is large; undefined where that is not known, or no sign. */
export function isLinkedElsewhere(
  image: Pick<Image, "body" | "encrypted" | "header">,
  facts: BoardFacts,
  imageNumber: number,
): boolean {
  const running = runningSlot(facts, imageNumber);
  const theirs = running?.content?.vectors?.value;
  const mine = imageVectors(image);
  // Where images run from either slot, each is linked for its own.
  if (!theirs || !mine || modesOf(facts).some(({ runsIn }) => runsIn === "either")) return false;
  return Math.abs(mine.entry - theirs.entry) > (running?.size ?? LARGEST_SLOT);
}
