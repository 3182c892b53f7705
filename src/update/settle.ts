import type { BoardFacts } from "../session/facts.js";
import { restart } from "../session/restart.js";
import type { Session } from "../session/session.js";
import { pendingCounter, storedCounter } from "./counter-check.js";
import type { FlashEvent, FlashOptions, FlashOutcome, FlashResult } from "./events.js";
import { explainOldImage } from "./explain-outcome.js";
import { observe } from "./observe.js";
import { runs, type Target } from "./stage.js";

type Ending = Pick<FlashResult, "outcome" | "message" | "hint" | "after" | "reverted" | "counter">;

/** What the image brings that the board has to store. */
interface Settled extends Target {
  securityCounter: number | undefined;
}

/** Outcomes after which the image stays. */
const STAYS: readonly FlashOutcome[] = ["confirmed", "running", "already-running"];

/**
 * MCUboot stores the security counter of a confirmed image at the boot after the confirmation: until then an older image is
 * still accepted. Says so, or with `settle` restarts the board once more and reads the stored counter back.
 */
export async function* settle(
  session: Session,
  ending: Ending,
  before: BoardFacts,
  image: Settled,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Ending, void> {
  const { imageNumber, securityCounter: wanted } = image;
  const facts = ending.after ?? before;
  if (wanted === undefined || !STAYS.includes(ending.outcome)) return ending;
  const stored = storedCounter(facts, imageNumber);
  if (stored !== undefined && stored >= wanted)
    return { ...ending, counter: { image: wanted, stored, settled: true } };
  if (!options.settle) return stored === undefined ? ending : unsettled(ending, wanted, stored);

  yield* restart(session, options);
  const after = yield* observe(session, options);
  if (!runs(after, image)) {
    const explained = explainOldImage(facts, after, image);
    return { ...explained, outcome: "not-running", after };
  }
  const now = storedCounter(after, imageNumber);
  if (now === undefined) {
    const message = `${ending.message} It runs after one more restart too; the board does not report its stored security counter.`;
    return { ...ending, message, after };
  }
  const counter = { image: wanted, stored: now, settled: now >= wanted };
  if (!counter.settled) {
    const message = `${ending.message} The board still has security counter ${now} stored after one more restart, not ${wanted}: older images are not refused.`;
    const hint = "Check whether its bootloader was built with downgrade prevention by security counter.";
    return { outcome: "not-settled", message, hint, after, counter };
  }
  yield { step: "settled", stored: now };
  const message = `${ending.message} The board has security counter ${now} stored: images below it are refused from now on.`;
  return { ...ending, message, after, counter };
}

function unsettled(ending: Ending, wanted: number, stored: number): Ending {
  const message = `${ending.message} ${pendingCounter(stored, wanted)}`;
  const hint = "Add --settle, and flash restarts the board and reads the counter back.";
  return {
    ...ending,
    message,
    hint: ending.hint ?? hint,
    counter: { image: wanted, stored, settled: false },
  };
}
