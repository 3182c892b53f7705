import { equal, fromHex, toHex } from "../bytes.js";
import { BootproofError } from "../errors.js";
import { parseImage } from "../mcuboot/image.js";
import { formatVersion } from "../mcuboot/version.js";
import { readFacts, runningSlot, slotsOf } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { restart } from "../session/restart.js";
import type { Session } from "../session/session.js";
import type { FlashEvent, FlashOptions, FlashResult } from "../update/events.js";
import { flash, preflight } from "../update/flash.js";
import { judge, observe, overLosses, restartIntoIt } from "../update/observe.js";
import { maySkip } from "../update/preflight-check.js";
import { markSent, sendImage } from "../update/send.js";
import { stageOf, type Target } from "../update/stage.js";
import { eraseSlot } from "../update/upload.js";

/**
 * One update in steps that other programs order one by one, as Mender's update modules and the Orchestrator's interfaces
 * are. What a step finds is read from the board each time: between two steps the host may have restarted.
 */

export type StagedUpdateErrorCode =
  /** The checks before sending refuse the image. */
  | "stage-refused"
  /** The board is not where the step has to begin. */
  | "wrong-stage"
  /** The board does not run the image that it should. */
  | "not-on-trial"
  /** The new image could not be confirmed, or was not well. */
  | "commit-failed"
  /** The old image could not be brought back. */
  | "no-way-back";

/** A step of an update that another program ordered has failed; the board's state is said. */
export class StagedUpdateError extends BootproofError {
  declare readonly code: StagedUpdateErrorCode;
}

/** What has to be remembered between two steps. Small enough for a file of JSON. */
export interface StagedUpdate {
  /** Image hash of the new image, hex. */
  readonly hash: string;
  readonly version: string;
  readonly imageNumber: number;
  /** Image hash of what ran before, hex; absent when the board did not tell it. */
  readonly before?: string;
}

/** A marked image starts at the first restart and is reverted at the second. */
const MOST_RESTARTS = 3;

/**
 * Checks an image and sends it to the free slot. Nothing is marked: a restart starts what ran before.
 *
 * @param session - the board
 * @param file - a signed image
 * @param options - as of `flash`; times in milliseconds
 * @returns what was staged: to be stored and handed to the next steps, also by another process
 * @throws StagedUpdateError `stage-refused`; what talking to the board throws
 */
export async function* stageImage(
  session: Session,
  file: Uint8Array,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, StagedUpdate, void> {
  const { imageNumber = 0 } = options;
  const facts = yield* overLosses(session, options, () => readFacts(session, options));
  yield { step: "board", facts };
  const { checks, image, bytes } = await preflight(session, file, facts, options);
  yield { step: "preflight", checks };
  const refused = checks.find(({ name, result }) => result === "fail" && !maySkip(name, options.skip));
  const hash = image?.imageHash?.value;
  if (refused || image === undefined || hash === undefined)
    throw new StagedUpdateError(
      "stage-refused",
      refused?.message ?? "The image carries no hash, so the board cannot be asked whether it runs.",
      { hint: refused?.hint ?? "Nothing was sent." },
    );
  if (facts.server === "recovery")
    throw new StagedUpdateError("wrong-stage", "The board is in serial recovery, which has no trial boot.", {
      hint: "Make it run an image first: bootproof recover.",
    });
  const running = runningSlot(facts, imageNumber)?.content?.hash;
  const staged = { hash: toHex(hash), version: formatVersion(image.version), imageNumber };
  if (stageOf(facts, { hash, imageNumber, image }) === "absent") yield* sendImage(session, bytes, options);
  return { ...staged, ...(running && !equal(running, hash) && { before: toHex(running) }) };
}

/**
 * Marks the staged image for a test boot.
 *
 * @param session - the board
 * @param file - the same image: a slot that a power cut left damaged is filled again
 * @param staged - by {@link stageImage}
 * @param options - as of `flash`; times in milliseconds
 * @returns nothing; events of the work
 * @throws StagedUpdateError `wrong-stage` when the board has no trial boot
 */
export async function* markStaged(
  session: Session,
  file: Uint8Array,
  staged: StagedUpdate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  const { bytes } = await preflight(session, file, await readFacts(session, options), options);
  const target = targetOf(staged, file);
  const before = yield* overLosses(session, options, () => readFacts(session, options));
  if (stageOf(before, target) !== "absent") return;
  const keptOld = slotsOf(before, target.imageNumber).some(
    ({ content }) => content?.hash && equal(content.hash, target.hash),
  );
  if (!keptOld) yield* sendImage(session, bytes, options);
  const { stage, trial } = yield* markSent(session, bytes, { before, target, keptOld: true }, options);
  if (stage !== "absent" && !trial)
    throw new StagedUpdateError(
      "wrong-stage",
      "This board has no trial boot, so the update could not be reverted.",
      {
        hint: "Use bootproof flash for it, or a bootloader whose upgrade mode reverts.",
      },
    );
}

/**
 * Restarts the board into the marked image and sees that it runs there on trial.
 *
 * @param session - the board
 * @param staged - by {@link stageImage}
 * @param options - as of `flash`; times in milliseconds
 * @returns nothing; events of the work
 * @throws StagedUpdateError `wrong-stage` when nothing is marked, `not-on-trial` when another image runs
 */
export async function* startStaged(
  session: Session,
  staged: StagedUpdate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  const target = targetOf(staged);
  const before = yield* overLosses(session, options, () => readFacts(session, options));
  const stage = stageOf(before, target);
  if (stage === "absent")
    throw new StagedUpdateError("wrong-stage", `The board has not marked version ${staged.version}.`, {
      hint: "Install it again: a restart may have reverted it.",
    });
  if (stage === "marked") yield* restartIntoIt(session, target, options);
  yield* mustBeOnTrial(session, staged, before, options);
}

/**
 * Sees that the board runs the image on trial.
 *
 * @param session - the board
 * @param staged - by {@link stageImage}
 * @param options - as of `flash`; times in milliseconds
 * @returns nothing; events of the look
 * @throws StagedUpdateError `not-on-trial`; also when the image has confirmed itself, since nothing could be taken
 *   back then
 */
export async function* checkOnTrial(
  session: Session,
  staged: StagedUpdate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  const facts = yield* overLosses(session, options, () => readFacts(session, options));
  yield* mustBeOnTrial(session, staged, facts, options);
}

async function* mustBeOnTrial(
  session: Session,
  staged: StagedUpdate,
  before: BoardFacts,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  const target = targetOf(staged);
  const after = yield* observe(session, options);
  const verdict = judge(before, after, target);
  yield { step: "judged", runsNewImage: verdict.runs, message: verdict.message };
  if (!verdict.runs) throw new StagedUpdateError("not-on-trial", verdict.message, { hint: verdict.hint });
  if (stageOf(after, target) === "confirmed")
    throw new StagedUpdateError(
      "not-on-trial",
      `Version ${staged.version} runs and is already confirmed, before it was judged.`,
      { hint: "Build the firmware so that it does not confirm itself." },
    );
}

/**
 * Confirms the image on trial, when it is well, and restarts the board once more: only then nothing can take it
 * back.
 *
 * @param session - the board
 * @param file - the same image, as it was staged
 * @param staged - by {@link stageImage}
 * @param options - as of `flash`; times in milliseconds
 * @returns the result of the confirmation, with what the board reported after the last restart
 * @throws StagedUpdateError `commit-failed`
 */
export async function* commitStaged(
  session: Session,
  file: Uint8Array,
  staged: StagedUpdate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, FlashResult, void> {
  const target = targetOf(staged, file);
  const facts = yield* overLosses(session, options, () => readFacts(session, options));
  const stage = stageOf(facts, target);
  if (stage === "absent" || stage === "marked")
    throw new StagedUpdateError(
      "commit-failed",
      stage === "marked"
        ? `Version ${staged.version} is marked and was not started yet, so it cannot be confirmed.`
        : `The board does not run version ${staged.version}, so it cannot be confirmed.`,
      { hint: "Install it again." },
    );
  const result = yield* flash(session, file, { ...options, confirm: true });
  if (!["confirmed", "running", "already-running"].includes(result.outcome))
    throw new StagedUpdateError("commit-failed", result.message, { hint: result.hint });
  yield* restart(session, options);
  const after = yield* observe(session, options);
  if (stageOf(after, target) !== "confirmed")
    throw new StagedUpdateError(
      "commit-failed",
      `Version ${staged.version} was confirmed, but does not run after one more restart.`,
      { hint: "Look at the board: bootproof info." },
    );
  return { ...result, after };
}

/**
 * Brings back the image that ran before: restarts until the board has reverted.
 *
 * @param session - the board
 * @param staged - by {@link stageImage}
 * @param options - as of `flash`; times in milliseconds
 * @returns nothing; events of the restarts
 * @throws StagedUpdateError `no-way-back` when the new image is confirmed, or another image than before runs
 */
export async function* revertStaged(
  session: Session,
  staged: StagedUpdate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  const target = targetOf(staged);
  for (let restarts = 0; ; restarts++) {
    const facts = yield* overLosses(session, options, () => readFacts(session, options));
    const stage = stageOf(facts, target);
    if (stage === "absent") return mustRunOld(facts, staged);
    if (stage === "confirmed" || restarts === MOST_RESTARTS)
      throw new StagedUpdateError(
        "no-way-back",
        stage === "confirmed"
          ? `Version ${staged.version} is confirmed: the board does not revert it.`
          : `The board still runs version ${staged.version} after ${restarts} restarts.`,
        { hint: "Flash the version that should run; a security counter may forbid older ones." },
      );
    yield* restart(session, options);
  }
}

/**
 * Sees that the old image runs again.
 *
 * @param session - the board
 * @param staged - by {@link stageImage}
 * @param options - as of `flash`; times in milliseconds
 * @returns nothing; events of the look
 * @throws StagedUpdateError `no-way-back`
 */
export async function* checkReverted(
  session: Session,
  staged: StagedUpdate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  const facts = yield* overLosses(session, options, () => readFacts(session, options));
  if (stageOf(facts, targetOf(staged)) === "absent") return mustRunOld(facts, staged);
  throw new StagedUpdateError(
    "no-way-back",
    `The board still has version ${staged.version} marked for its next boot.`,
    {
      hint: "Restart it once more.",
    },
  );
}

function mustRunOld(facts: BoardFacts, { before, imageNumber }: StagedUpdate): void {
  const running = runningSlot(facts, imageNumber)?.content;
  if (before === undefined || (running?.hash && toHex(running.hash) === before)) return;
  throw new StagedUpdateError(
    "no-way-back",
    `The board does not report the image that ran before (${before.slice(0, 12)}); it runs ${running?.version ?? "nothing that it lists"}.`,
    { hint: "Look at the board: bootproof info." },
  );
}

/**
 * Erases the staged image, so that nothing of a failed update stays. An image that runs or is marked is left alone.
 *
 * @param session - the board
 * @param staged - by {@link stageImage}
 * @param options - as of `flash`; times in milliseconds
 * @returns nothing; events of the work
 * @throws TransportError, DeviceError, AwayError
 */
export async function* discardStaged(
  session: Session,
  staged: StagedUpdate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, void, void> {
  const target = targetOf(staged);
  const facts = yield* overLosses(session, options, () => readFacts(session, options));
  if (stageOf(facts, target) !== "absent") return;
  const holds = slotsOf(facts, target.imageNumber).find(
    ({ content }) => content?.hash && equal(content.hash, target.hash),
  );
  if (holds)
    await eraseSlot(session, { image: target.imageNumber, slot: holds.slot, signal: options.signal });
}

function targetOf({ hash, imageNumber }: StagedUpdate, file?: Uint8Array): Target {
  return {
    hash: fromHex(hash),
    imageNumber,
    ...(file && { image: parseImage(file) }),
  };
}
