import { runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { isAway, MOST_LOSSES, untilAnswering } from "../session/reconnect.js";
import { restart } from "../session/restart.js";
import type { Session } from "../session/session.js";
import { imageMark } from "../smp/groups/image.js";
import { DeviceError } from "../smp/message.js";
import type { FlashEvent, FlashOptions, FlashResult } from "./events.js";
import { explainOldImage } from "./explain-outcome.js";
import type { Memory } from "./memory.js";
import { readFactsOnceBack } from "./observe.js";
import { runs, type Target } from "./stage.js";

interface Candidate extends Target {
  /** The image is on trial: a reset reverts it. */
  trial: boolean;
  memory: Memory;
}

type Ending = Pick<FlashResult, "outcome" | "message" | "hint" | "after" | "reverted" | "selfConfirmed">;

/** The image is not well: lets the board revert it, where it can. */
export async function* giveUp(
  session: Session,
  why: string,
  candidate: Candidate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Ending, void> {
  const { signal, withinMs } = options;
  if (!candidate.trial) {
    const message = `${why} This board has no trial boot, so the image stays.`;
    const hint = "Flash a working image, or use serial recovery.";
    return { outcome: "unhealthy", reverted: false, message, hint };
  }
  yield* untilAnswering(session, { signal, withinMs });
  if (runs(yield* readFactsOnceBack(session, options), candidate)) yield* restart(session, options);
  const after = yield* readFactsOnceBack(session, options);
  const reverted = after.server !== "recovery" && !runs(after, candidate);
  const version = runningSlot(after, candidate.imageNumber)?.content?.version;
  const message = reverted
    ? `${why} The board was reset and reverted to version ${version}.`
    : `${why} The board was reset but did not revert to the old image.`;
  return { outcome: "unhealthy", reverted, message, after };
}

/** The image is well: confirms it unless told otherwise, and reads back that it took. */
export async function* keep(
  session: Session,
  after: BoardFacts,
  candidate: Candidate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Ending, void> {
  const { trial, imageNumber, memory } = candidate;
  const running = runningSlot(after, imageNumber)?.content;
  const version = running?.version ?? "";
  if (running?.confirmed) {
    await memory.confirmed();
    const message = trial
      ? `Version ${version} runs and has confirmed itself, before any health check.`
      : `Version ${version} runs.`;
    if (!trial) return { outcome: "running", message, after };
    const hint =
      "Let the host confirm: an application that confirms itself at its start makes the trial boot useless.";
    return { outcome: "confirmed", message, hint, after, selfConfirmed: true };
  }
  if (options.confirm === false) {
    return {
      outcome: "on-trial",
      message: `Version ${version} runs on trial: the next reset reverts it unless it is confirmed.`,
      hint: "Keep it with bootproof image confirm.",
      after,
    };
  }
  await memory.intend();
  const { refusal, end } = yield* confirmRunning(session, candidate, options);
  if (refusal?.rcName === "ENOTSUP" && !trial) {
    await memory.confirmed();
    return { outcome: "running", message: `Version ${version} runs; this board has no confirmation.`, after };
  }
  const outcome = "not-confirmed";
  if (refusal !== undefined) {
    await memory.notConfirmed();
    const message = `Version ${version} runs but refuses its confirmation: ${refusal.message}`;
    return {
      outcome,
      message,
      hint:
        imageNumber === 0
          ? "The next reset reverts it: flash an image that can be confirmed."
          : `The next reset reverts it. ${furtherImageHint(imageNumber)}`,
      after,
    };
  }
  if (!runs(end, candidate)) {
    await memory.notConfirmed();
    const message = `Version ${version} was lost while it was being confirmed. ${explainOldImage(after, end, candidate).message}`;
    return { outcome, message, hint: "Flash it again.", after: end };
  }
  if (!runningSlot(end, imageNumber)?.content?.confirmed) {
    const message = `The board accepted the confirmation of version ${version}, but does not show it.`;
    return { outcome, message, hint: "See bootproof image list; the next reset may revert it.", after: end };
  }
  await memory.confirmed();
  yield { step: "confirmed" };
  return { outcome: "confirmed", message: `Version ${version} runs and is confirmed.`, after: end };
}

/** Zephyr's application confirms by its server what itself runs; of other images only when it was built to. */
export function furtherImageHint(imageNumber: number): string {
  return `Image ${imageNumber} is not the application that answers: build that with CONFIG_MCUMGR_GRP_IMG_ALLOW_CONFIRM_NON_ACTIVE_IMAGE_ANY=y, or let the firmware confirm image ${imageNumber} itself.`;
}

/**
 * Asks the running image to stay, and reads back what came of it. A lost answer is left to the reading back; a request that
 * got lost with the link is made again, as long as the image that is meant still runs.
 */
export async function* confirmRunning(
  session: Session,
  candidate: Target,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, { refusal?: DeviceError; end: BoardFacts }, void> {
  const { hash, imageNumber } = candidate;
  // Without a hash the running image is meant; further image numbers are only told apart by theirs.
  const request = imageNumber === 0 ? { confirm: true } : { hash, confirm: true };
  for (let losses = 0; ; ) {
    let refusal: DeviceError | undefined;
    let wasLost = false;
    try {
      await session.client.send(imageMark, request, { signal: options.signal });
    } catch (error) {
      if (error instanceof DeviceError) refusal = error;
      else if (!isAway(error)) throw error;
      else wasLost = ++losses < MOST_LOSSES;
    }
    const end = yield* readFactsOnceBack(session, options);
    if (refusal !== undefined) return { refusal, end };
    const stays = runningSlot(end, imageNumber)?.content?.confirmed;
    if (!wasLost || stays || !runs(end, candidate)) return { end };
  }
}
