import { setTimeout as delay } from "node:timers/promises";
import { connect } from "../client/connect.js";
import { BootproofError } from "../errors.js";
import { verifyImage } from "../mcuboot/verify.js";
import { Session } from "../session/session.js";
import type { FlashEvent } from "../update/flash.js";
import { judge, observe } from "../update/observe.js";
import type { RecoveryTarget } from "./target.js";

/** What came of an image that was written past MCUboot. */
export type WrittenVerdict =
  /** The board says that it runs it. */
  | { outcome: "recovered"; message: string }
  /** The board says what it does instead. */
  | { outcome: "not-running"; message: string; hint: string }
  /** Nobody answers who could say. */
  | { outcome: "written" };

const ASK_EVERY_MS = 250;

/**
 * Asks the restarted board what it runs. One that does not speak SMP on the way that is known, as a chip whose ROM has
 * another port than its application, is waited for until `withinMs` have passed.
 */
export async function* judgeWritten(
  target: RecoveryTarget,
  file: Uint8Array,
  { signal, withinMs }: { signal?: AbortSignal | undefined; withinMs: number },
): AsyncGenerator<FlashEvent, WrittenVerdict, void> {
  const hash = (await verifyImage(file, {})).image?.imageHash?.value;
  const session = hash && (await answering(target, withinMs, signal));
  if (!session) return { outcome: "written" };
  try {
    const after = yield* observe(session, { signal, withinMs });
    const verdict = judge({ ...after, events: [] }, after, { hash, imageNumber: 0 });
    return verdict.runs
      ? { outcome: "recovered", message: verdict.message }
      : { outcome: "not-running", message: verdict.message, hint: verdict.hint };
  } catch (error) {
    signal?.throwIfAborted();
    // It answered and fell silent, or tells nothing of its images.
    if (error instanceof BootproofError) return { outcome: "written" };
    throw error;
  } finally {
    await session.close();
  }
}

/** The port may come late, or be another one than the bootloader's. */
async function answering(
  target: RecoveryTarget,
  withinMs: number,
  signal: AbortSignal | undefined,
): Promise<Session | undefined> {
  const open = async (how: AbortSignal | undefined) =>
    connect(await target.dial(how), { probes: 1, ...target.connect, signal: how });
  const end = performance.now() + withinMs;
  for (;;) {
    try {
      return await Session.open(open, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof BootproofError)) throw error;
      if (performance.now() > end) return undefined;
    }
    await delay(ASK_EVERY_MS, undefined, { signal });
  }
}
