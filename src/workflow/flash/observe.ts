import { equal } from "../../bytes.js";
import { identify } from "../../client/connect.js";
import { imageList } from "../../smp/groups/image.js";
import { explainOldImage } from "../aftermath.js";
import { type BoardFacts, readFacts, restartFingerprint, runningSlot } from "../facts.js";
import { isAway, staysUp, untilAnswering } from "../reconnect.js";
import { restart } from "../restart.js";
import type { Session } from "../session.js";
import { runs, type Target } from "./stage.js";
import type { FlashEvent, FlashOptions } from "./story.js";

/** A board that restarts this often by itself is judged as it stands: it will not calm down. */
const MOST_RESTARTS = 5;

/**
 * Restarts a board that holds a marked image. When nothing shows that it did and the mark still stands, the request was
 * lost on the way, and only then it may be repeated: a second restart would revert an image on trial.
 */
export async function* restartIntoIt(
  session: Session,
  target: Target,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  if (yield* restart(session, options)) return;
  const { images } = await session.client.send(imageList, {}, { signal: options.signal });
  const stillMarked = images.some(({ hash, pending }) => pending && hash && equal(hash, target.hash));
  if (stillMarked) yield* restart(session, options);
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
    await identify(session.client, { signal });
  }
  return yield* readFactsOnceBack(session, options);
}

/** The facts; a board that goes away meanwhile, as one whose watchdog bites, is waited for and asked again. */
export async function* readFactsOnceBack(
  session: Session,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, BoardFacts, void> {
  const { signal, withinMs } = options;
  for (let tries = 1; ; tries++) {
    try {
      return await readFacts(session, options);
    } catch (error) {
      if (!isAway(error) || tries === MOST_RESTARTS) throw error;
    }
    yield* untilAnswering(session, { signal, withinMs });
    await identify(session.client, { signal });
  }
}

export function judge(
  before: BoardFacts,
  after: BoardFacts,
  target: Target,
): { runs: true; says: string } | { runs: false; says: string; hint: string } {
  const { hash, imageNumber } = target;
  if (!runs(after, target)) return { runs: false, ...explainOldImage(before, after, hash, imageNumber) };
  const version = runningSlot(after, imageNumber)?.content?.version;
  return { runs: true, says: `The board runs version ${version} with the hash that was sent.` };
}
