import { equal } from "../bytes.js";
import { RequestTimeout } from "../client/client.js";
import { readFacts, restartFingerprint, runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { isAway, isLost, MOST_LOSSES, staysUp, untilBack } from "../session/reconnect.js";
import { restart } from "../session/restart.js";
import type { Session } from "../session/session.js";
import { imageList } from "../smp/groups/image.js";
import { DeviceError } from "../smp/message.js";
import { takenElsewhere } from "./elsewhere.js";
import type { FlashEvent, FlashOptions } from "./events.js";
import { type Explained, explainOldImage } from "./explain-outcome.js";
import { listedHash, runs, type Target } from "./stage.js";

/** A board that restarts this often by itself is judged as it stands: it will not calm down. */
const MOST_RESTARTS = 5;

/**
 * Restarts a board that holds a marked image. While the mark still stands it has not restarted, whatever it looked like: the
 * request was lost on the way, and only then it may be repeated. A second restart would revert an image on trial. A board
 * that lives on its cable restarts when that is pulled, before or after it was asked to.
 */
export async function* restartIntoIt(
  session: Session,
  target: Target,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  for (let requests = 0, losses = 0; requests < MOST_REQUESTS; ) {
    try {
      if (losses > 0 && !(await awaitsReset(session, target, options))) return;
      const restarted = yield* restart(session, options);
      requests++;
      if (restarted && session.client.server.mode === "recovery") return;
      if (!(await awaitsReset(session, target, options))) return;
    } catch (error) {
      if (!isLost(error) || ++losses > MOST_LOSSES) throw error;
      yield { step: "link-lost", why: error.message };
      yield* untilBack(session, options);
    }
  }
}

/** Of a reset whose request got lost. */
const MOST_REQUESTS = 2;

/**
 * The mark still stands. In serial recovery there is none, and no trial that one reset too many would end. An image that
 * falls silent meanwhile, or that knows no images, has been started.
 */
async function awaitsReset(session: Session, target: Target, { signal }: FlashOptions): Promise<boolean> {
  if (session.client.server.mode === "recovery") return true;
  try {
    const { images } = await session.client.send(imageList, {}, { signal });
    return images.some(({ hash, pending }) => pending && hash && equal(hash, listedHash(target)));
  } catch (error) {
    if (error instanceof RequestTimeout || error instanceof DeviceError) return false;
    throw error;
  }
}

/** What the board runs once it has run without a restart for a while. */
export async function* observe(
  session: Session,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, BoardFacts, void> {
  const { signal, withinMs, soakMs: forMs = 1000 } = options;
  const fingerprint = (how: AbortSignal | undefined) => restartFingerprint(session, how);
  for (let watches = 0; watches < MOST_RESTARTS; watches++) {
    if (session.client.server.mode === "recovery") break;
    if (yield* staysUp(session, { signal, withinMs, forMs, fingerprint })) break;
    yield { step: "restarted" };
    yield* untilBack(session, options);
  }
  return yield* readFactsOnceBack(session, options);
}

/** The facts; a board that goes away meanwhile, as one whose watchdog bites, is waited for and asked again. */
export async function* readFactsOnceBack(
  session: Session,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, BoardFacts, void> {
  for (let tries = 1; ; tries++) {
    try {
      return await readFacts(session, options);
    } catch (error) {
      if (!isAway(error) || tries === MOST_RESTARTS) throw error;
    }
    yield* untilBack(session, options);
  }
}

/**
 * What `ask` says; when the link is lost meanwhile, what it says once the board is back. For questions that may be asked
 * twice. A board that is there and silent is not waited for.
 */
export async function* overLosses<T>(
  session: Session,
  options: FlashOptions,
  ask: () => Promise<T>,
): AsyncGenerator<FlashEvent, T, void> {
  for (let losses = 1; ; losses++) {
    try {
      return await ask();
    } catch (error) {
      if (!isLost(error) || losses > MOST_LOSSES) throw error;
      yield { step: "link-lost", why: error.message };
      yield* untilBack(session, options);
    }
  }
}

export function judge(
  before: BoardFacts,
  after: BoardFacts,
  target: Target,
):
  | { runs: true; message: string }
  | ({ runs: false } & ({ taken: true; message: string; hint: string } | ({ taken?: never } & Explained))) {
  const { imageNumber } = target;
  if (!runs(after, target)) {
    const elsewhere = takenElsewhere(before, after, target);
    if (elsewhere?.runs) return { runs: true, message: elsewhere.message };
    if (elsewhere) return { runs: false, taken: true, message: elsewhere.message, hint: elsewhere.hint };
    return { runs: false, ...explainOldImage(before, after, target) };
  }
  const version = runningSlot(after, imageNumber)?.content?.version;
  return {
    runs: true,
    message: `The board runs version ${version} with the hash ${target.sentHash ? "of what was sent compressed" : "that was sent"}.`,
  };
}
