import { setTimeout as delay } from "node:timers/promises";

/** How long nothing at all may change in what a test waits for: longer than any one step takes, however busy the machine is. */
export const STILL_MS = 300_000;

/** For a test of many steps that each have the limit above. */
export const MANY_STEPS_MS = 1_800_000;

const LOOK_EVERY_MS = 50;

/**
 * Looks again and again until `look` gives something. What it calls `seen` is its progress: while that changes, however slowly,
 * the wait goes on.
 */
export async function untilSeen<T>(
  what: string,
  look: (seen: (progress: unknown) => void) => T | undefined | Promise<T | undefined>,
): Promise<T> {
  let last: string | undefined;
  let since = performance.now();
  const seen = (progress: unknown) => {
    const now = JSON.stringify(progress);
    if (now === last) return;
    last = now;
    since = performance.now();
  };
  for (;;) {
    const found = await look(seen);
    if (found !== undefined) return found;
    if (performance.now() - since > STILL_MS)
      throw new Error(`${what} did not happen, and for ${STILL_MS / 1000} s nothing has changed: ${last}`);
    await delay(LOOK_EVERY_MS);
  }
}
