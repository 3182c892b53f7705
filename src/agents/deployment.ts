import { fromHex, toHex } from "../bytes.js";
import { parseImage } from "../mcuboot/image.js";
import { formatVersion } from "../mcuboot/version.js";
import { readFacts } from "../session/board-facts.js";
import type { Session } from "../session/session.js";
import type { FlashEvent, FlashOptions, FlashResult } from "../update/events.js";
import { overLosses } from "../update/observe.js";
import { stageOf } from "../update/stage.js";
import {
  commitStaged,
  discardStaged,
  markStaged,
  revertStaged,
  type StagedUpdate,
  stageImage,
  startStaged,
} from "./staged-update.js";

/** How far a deployment has come, told before each step. */
export type DeploymentPhase = "installing" | "rebooting" | "committing";

export interface DeploymentHooks {
  /**
   * Told before each step. What it throws ends the deployment: the board goes back as long as it can. `committing` is the
   * last word of whoever ordered it.
   */
  onPhase(phase: DeploymentPhase): Promise<void>;
}

/** A deployment that was ended before its image was confirmed, and what became of the board. */
export interface FailedDeployment {
  readonly error: unknown;
  /** The old image is proven to run. False: see `revertError`. */
  readonly reverted: boolean;
  readonly revertError?: unknown;
}

/**
 * A whole update that a fleet service ordered: checked, sent, tried, confirmed, restarted once more and read back; or
 * reverted. Given again after its host or its board was stopped at any moment, it goes on from what the board reports.
 *
 * @param session - the board
 * @param file - a signed image
 * @param options - as of `flash`; times in milliseconds
 * @param hooks - told of each phase before it begins; may hold it up
 * @returns what ran at the end, or why it failed and whether the old image runs again
 * @throws what `options.signal` was aborted with: the board is left as it stands
 */
export async function* deploy(
  session: Session,
  file: Uint8Array,
  options: FlashOptions,
  hooks: DeploymentHooks,
): AsyncGenerator<FlashEvent, { readonly result: FlashResult } | FailedDeployment, void> {
  let staged: StagedUpdate | undefined;
  try {
    await hooks.onPhase("installing");
    staged = yield* stageImage(session, file, options);
    const found = yield* standing(session, staged, options);
    if (found === "absent") yield* markStaged(session, file, staged, options);
    if (found !== "confirmed") {
      await hooks.onPhase("rebooting");
      yield* startStaged(session, staged, options);
    }
    await hooks.onPhase("committing");
    return { result: yield* commitStaged(session, file, staged, options) };
  } catch (error) {
    options.signal?.throwIfAborted();
    // Even one that was refused now may have been begun by an earlier run.
    const begun = staged ?? stagedOf(file, options);
    try {
      if (begun) yield* revertStaged(session, begun, options);
      if (staged) yield* discardStaged(session, staged, options);
      return { error, reverted: true };
    } catch (revertError) {
      options.signal?.throwIfAborted();
      return { error, reverted: false, revertError };
    }
  }
}

async function* standing(
  session: Session,
  { hash, imageNumber }: StagedUpdate,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, ReturnType<typeof stageOf>, void> {
  const facts = yield* overLosses(session, options, () => readFacts(session, options));
  return stageOf(facts, { hash: fromHex(hash), imageNumber });
}

function stagedOf(file: Uint8Array, { imageNumber = 0 }: FlashOptions): StagedUpdate | undefined {
  const { imageHash, version } = parseImage(file);
  return imageHash && { hash: toHex(imageHash.value), version: formatVersion(version), imageNumber };
}
