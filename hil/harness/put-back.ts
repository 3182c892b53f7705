import { BootproofError, runWorkflow, upload } from "bootproof";
import { imageErase } from "bootproof/smp";
import { imageHashOf } from "../evidence.js";
import type { Snapshot } from "../snapshot.js";
import type { Strategy } from "../state-machine.js";
import type { HarnessContext } from "./context.js";
import type { Delivery } from "./delivery.js";
import type { Line } from "./link.js";
import { NotJudged } from "./not-judged.js";

const ERASE_WITHIN_MS = 40_000;
/** A revert may end in serial recovery, from where it is tried once more. */
const MOST_TRIES = 3;

/** What it takes to bring a board back without a programmer. */
export interface RestoreTools {
  readonly context: HarnessContext;
  readonly line: Line;
  readonly delivery: Delivery;
  readonly strategy: Strategy;
  /** Why serial recovery cannot be used; undefined when it was entered and left at the start. */
  readonly recoveryProblem: string | undefined;
  /** From now on the board is put back to this image. */
  adopt(file: Uint8Array, why: string): Promise<void>;
}

/**
 * Without a programmer: the old image is reverted to, or sent again and confirmed. When a security counter has been raised
 * above its own it can never run again; the same firmware, signed again, then takes its place.
 */
export async function restoreWithoutProgrammer(tools: RestoreTools): Promise<void> {
  const { signal, factory } = tools.context;
  let { snapshot, refusal } = await bringIn(tools, factory.baseFile);
  const raised = raisedCounter(tools.context, snapshot);
  if (!isIn(snapshot, factory.baseFile) && raised !== undefined) {
    const file = await factory.signedAgain(raised);
    ({ snapshot, refusal } = await bringIn(tools, file));
    if (isIn(snapshot, file))
      await tools.adopt(
        file,
        `The security counter was raised above the ${factory.counter} of the board's own image, which can never run again; the same firmware, signed again with security counter ${raised}, has taken its place.`,
      );
  } else if (refusal !== undefined) {
    throw new NotJudged(`The board's own image could not be sent back: ${refusal}`);
  }
  await tools.line.client
    .send(imageErase, {}, { signal, timeoutMs: ERASE_WITHIN_MS })
    .catch((error: unknown) => {
      // Slots that are pending, or boards without this command: harmless, the next upload erases.
      if (!(error instanceof BootproofError)) throw error;
    });
}

function isIn({ running }: Snapshot, file: Uint8Array): boolean {
  return running?.hash === imageHashOf(file) && running?.confirmed !== false;
}

/** Nothing waits for the next boot. */
function isIdle({ slots }: Snapshot): boolean {
  return !slots.some(({ flags }) => flags.includes("pending"));
}

/** A counter above which the own firmware would have to be signed; undefined when that cannot be done, or need not. */
function raisedCounter({ factory }: HarnessContext, { counters, slots }: Snapshot): number | undefined {
  const own = factory.counter;
  if (own === undefined || !factory.canSign) return undefined;
  const primary = slots.find(({ image, slot }) => image === 0 && slot === 0)?.counter;
  // What runs, confirmed, raises the counter at the next boot; a board that tells neither was raised by one step.
  const known = [counters[0], primary].filter((counter) => counter !== undefined);
  return Math.max(own, ...(known.length > 0 ? known : [own + 1]));
}

async function bringIn(
  { context, line, delivery, strategy, recoveryProblem }: RestoreTools,
  file: Uint8Array,
): Promise<{ snapshot: Snapshot; refusal: string | undefined }> {
  const wanted = imageHashOf(file);
  let snapshot = await context.takeSnapshot("before putting back");
  let refusal: string | undefined;
  for (let tries = 0; tries < MOST_TRIES && !(isIn(snapshot, file) && isIdle(snapshot)); tries++) {
    if (snapshot.state === "recovery") {
      await runWorkflow(upload(line.session, file, { signal: context.signal }));
      snapshot = await context.boot("reset", "own image sent through recovery");
    }
    // Nothing can be sent while another image waits for the next boot: it gets it.
    if (!isIdle(snapshot)) snapshot = await context.boot("reset", "after the requested boot");
    if (snapshot.running?.confirmed === false && snapshot.running.hash !== wanted)
      snapshot = await context.boot("reset", "reverted");
    // The old image is refused and cannot be reverted to, and no slot is free for another: serial recovery needs none.
    if (snapshot.running?.confirmed === false && snapshot.running.hash !== wanted) {
      if (recoveryProblem !== undefined) return { snapshot, refusal: recoveryProblem };
      await strategy.to("recovery");
      snapshot = await context.takeSnapshot("before putting back through recovery");
      continue;
    }
    if (snapshot.state === "application" && snapshot.running?.hash !== wanted) {
      refusal = await delivery.send(file, { what: "the board's own image" });
      if (refusal === undefined) snapshot = await context.boot("reset", "own image on trial");
    }
    if (snapshot.running?.hash === wanted && snapshot.running?.confirmed === false) {
      await delivery.confirm();
      snapshot = await context.takeSnapshot("own image confirmed");
    }
  }
  return { snapshot, refusal };
}
