import { equal } from "../bytes.js";
import { BootproofError } from "../errors.js";
import type { BoardFacts } from "../session/facts.js";
import { isLost, MOST_LOSSES, untilBack } from "../session/reconnect.js";
import type { Session } from "../session/session.js";
import { imageMark } from "../smp/groups/image.js";
import { DeviceError } from "../smp/message.js";
import type { FlashEvent, FlashOptions } from "./events.js";
import { modesOf, targetSlot } from "./mode-checks.js";
import { readFactsOnceBack } from "./observe.js";
import { revertsUnconfirmed } from "./revert-checks.js";
import { listedHash, type Stage, stageOf, type Target } from "./stage.js";
import { eraseSlot, upload } from "./upload.js";

interface Sent {
  uploadedBytes: number;
  uploadMs: number;
  /** How far the board is with it. */
  stage: Stage;
  /** A reset will revert it unless it is confirmed. */
  trial: boolean;
  /** The board was asked for a test boot and has none: it decides by version. */
  hasNoTest?: boolean;
}

/** Brings an image that the board does not have to where a reset starts it. `onSent` is called before it is marked. */
export async function* sendAndMark(
  session: Session,
  file: Uint8Array,
  before: BoardFacts,
  target: Target,
  options: FlashOptions & { readonly onSent: () => void },
): AsyncGenerator<FlashEvent, Sent, void> {
  const { keptOld, ...sent } = yield* sendImage(session, file, options);
  options.onSent();
  if (before.server === "recovery") return { ...sent, stage: "marked", trial: false };
  const marked = yield* markSent(session, file, { before, target, keptOld }, options);
  return { ...sent, ...marked, uploadMs: sent.uploadMs + (marked.uploadMs ?? 0) };
}

/** Sends an image to its slot. `keptOld`: the board had all of it already. */
export async function* sendImage(
  session: Session,
  file: Uint8Array,
  { signal, imageNumber }: FlashOptions,
): AsyncGenerator<FlashEvent, { uploadedBytes: number; uploadMs: number; keptOld: boolean }, void> {
  const { sentBytes, elapsedMs, resumedAt } = yield* upload(session, file, { signal, image: imageNumber });
  yield { step: "uploaded", bytes: sentBytes, elapsedMs };
  return { uploadedBytes: sentBytes, uploadMs: elapsedMs, keptOld: resumedAt === file.length };
}

/** Marks an image that was sent. A slot that holds it but cannot be marked is erased and filled again. */
export async function* markSent(
  session: Session,
  file: Uint8Array,
  { before, target, keptOld }: { before: BoardFacts; target: Target; keptOld: boolean },
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Pick<Sent, "stage" | "trial"> & Partial<Sent>, void> {
  const { signal } = options;
  const { imageNumber } = target;
  const reverts = revertsUnconfirmed(before);
  const modes = modesOf(before);
  if (modes.length > 0 && modes.every(({ marked }) => !marked)) {
    yield { step: "marked", as: "impossible" };
    return { stage: "marked", trial: false };
  }
  try {
    const marked = yield* markOverLosses(session, target, options);
    const { stage, trial, hasNoTest = false } = marked;
    return { stage, trial: trial && reverts, hasNoTest };
  } catch (error) {
    if (!(error instanceof DeviceError || error instanceof MarkError)) throw error;
    const stage = stageOf(yield* readFactsOnceBack(session, options), target);
    // A board whose power failed just after the mark runs the image by now.
    if (stage !== "absent") return { stage, trial: reverts };
    const unusual = target.sentHash ? "compressed" : target.image?.encrypted ? "encrypted" : undefined;
    if (unusual && error instanceof DeviceError && error.rcName === "HASH_NOT_FOUND")
      throw new NotListedError(unusual, { cause: error });
    if (!mayBeCut(error, keptOld)) throw error;
    yield { step: "sent-again", why: error.message };
  }
  await eraseSlot(session, { image: imageNumber, slot: targetSlot(before, imageNumber)?.slot ?? 1, signal });
  const { uploadedBytes, uploadMs } = yield* sendImage(session, file, options);
  const trial = (yield* mark(session, listedHash(target), signal)) && reverts;
  return { stage: "marked", trial, uploadedBytes, uploadMs };
}

/** Marks the image; after a lost link only when the board shows no mark, nor runs the image by now. */
async function* markOverLosses(
  session: Session,
  target: Target,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Pick<Sent, "stage" | "trial" | "hasNoTest">, void> {
  for (let losses = 0; ; ) {
    try {
      const marked = yield* mark(session, listedHash(target), options.signal);
      return { stage: "marked", trial: marked, hasNoTest: !marked };
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

/** The device has the whole image, which is encrypted or compressed, and does not list it as one. */
export class NotListedError extends BootproofError {
  declare readonly code: "not-listed";

  constructor(kind: keyof typeof UNKNOWN_KINDS, options: { cause: unknown }) {
    super(
      "not-listed",
      `The board has the whole image and does not list it, so it cannot be marked: the image is ${kind}, and this board's firmware knows no ${kind} images.`,
      { ...options, hint: UNKNOWN_KINDS[kind] },
    );
  }
}

const UNKNOWN_KINDS = {
  encrypted:
    "Send an image that is not encrypted, or build application and bootloader with image encryption (CONFIG_BOOT_ENCRYPT_IMAGE).",
  compressed: "Send the image as it is, without --compress.",
} as const;

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
