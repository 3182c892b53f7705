import { equal } from "../../bytes.js";
import { BootproofError } from "../../errors.js";
import { imageMark } from "../../smp/groups/image.js";
import { DeviceError } from "../../smp/message.js";
import type { BoardFacts } from "../facts.js";
import { mayRevert, targetSlot } from "../gate.js";
import { isLost, MOST_LOSSES, untilBack } from "../reconnect.js";
import type { Session } from "../session.js";
import { eraseSlot, upload } from "../upload.js";
import { readFactsOnceBack } from "./observe.js";
import { type Stage, stageOf, type Target } from "./stage.js";
import type { FlashEvent, FlashOptions } from "./story.js";

interface Sent {
  uploadedBytes: number;
  uploadMs: number;
  /** How far the board is with it. */
  stage: Stage;
  /** A reset will revert it unless it is confirmed. */
  trial: boolean;
}

/** Brings an image that the board does not have to where a reset starts it. */
export async function* sendAndMark(
  session: Session,
  file: Uint8Array,
  before: BoardFacts,
  target: Target,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Sent, void> {
  const { signal } = options;
  const { hash, imageNumber } = target;
  const sent = { uploadedBytes: 0, uploadMs: 0, stage: "marked" as Stage, trial: mayRevert(before) };
  const send = async function* () {
    const { sentBytes, elapsedMs, resumedAt } = yield* upload(session, file, {
      signal,
      image: options.imageNumber,
    });
    yield { step: "uploaded" as const, bytes: sentBytes, elapsedMs };
    sent.uploadedBytes = sentBytes;
    sent.uploadMs += elapsedMs;
    return resumedAt === file.length;
  };
  const keptOld = yield* send();
  if (before.server === "recovery") return { ...sent, trial: false };
  try {
    const marked = yield* markOverLosses(session, target, options);
    return { ...sent, stage: marked.stage, trial: marked.trial && sent.trial };
  } catch (error) {
    if (!(error instanceof DeviceError || error instanceof MarkError)) throw error;
    const stage = stageOf(yield* readFactsOnceBack(session, options), target);
    // A board whose power failed just after the mark runs the image by now.
    if (stage !== "absent") return { ...sent, stage };
    if (!mayBeCut(error, keptOld)) throw error;
    yield { step: "sent-again", why: error.message };
  }
  await eraseSlot(session, { image: imageNumber, slot: targetSlot(before, imageNumber)?.slot ?? 1, signal });
  yield* send();
  return { ...sent, trial: (yield* mark(session, hash, signal)) && sent.trial };
}

/** Marks the image; after a lost link only when the board shows no mark, nor runs the image by now. */
async function* markOverLosses(
  session: Session,
  target: Target,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, { stage: Stage; trial: boolean }, void> {
  for (let losses = 0; ; ) {
    try {
      return { stage: "marked", trial: yield* mark(session, target.hash, options.signal) };
    } catch (error) {
      if (!isLost(error) || ++losses > MOST_LOSSES) throw error;
      yield { step: "link-lost", why: error.message };
    }
    yield* untilBack(session, options);
    const stage = stageOf(yield* readFactsOnceBack(session, options), target);
    if (stage === "absent") continue;
    if (stage === "marked") yield { step: "marked", as: "test" };
    return { stage, trial: true };
  }
}

/**
 * Power that fails during a mark, this one or an earlier one, leaves the whole file and a damaged trailer: the board keeps
 * both. A refusal for a reason, of a file that was just sent, is none of that.
 */
function mayBeCut(error: MarkError | DeviceError, keptOld: boolean): boolean {
  return error instanceof MarkError || keptOld || UNEXPLAINED.has(error.rcName);
}

const UNEXPLAINED: ReadonlySet<string> = new Set(["UNKNOWN", "EUNKNOWN"]);

/** Marks for a test boot and reads back that it took. False: this board has no such thing. */
async function* mark(
  session: Session,
  hash: Uint8Array,
  signal: AbortSignal | undefined,
): AsyncGenerator<FlashEvent, boolean, void> {
  try {
    const { images } = await session.client.send(imageMark, { hash, confirm: false }, { signal });
    const took = images.some((entry) => entry.hash && equal(entry.hash, hash) && entry.pending);
    if (!took) throw new MarkError();
    yield { step: "marked", as: "test" };
    return true;
  } catch (error) {
    if (!(error instanceof DeviceError && error.rcName === "ENOTSUP")) throw error;
    yield { step: "marked", as: "impossible" };
    return false;
  }
}

/** The device took the request for a test boot and does not show it. */
export class MarkError extends BootproofError {
  declare readonly code: "mark-lost";

  constructor() {
    super(
      "mark-lost",
      "The board accepted the request for a test boot, but its image list does not show it.",
      {
        hint: "Its slot may hold a damaged trailer: erase it with bootproof image erase and flash again.",
      },
    );
  }
}
