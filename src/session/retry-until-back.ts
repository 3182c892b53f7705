import { setTimeout as delay } from "node:timers/promises";
import { BootproofError } from "../errors.js";
import { TransportError } from "../transport/transport.js";
import { AwayError } from "./reconnect.js";

export interface RetryUntilBackOptions {
  signal?: AbortSignal | undefined;
  /** How long it may stay away. Default 60000. */
  withinMs?: number | undefined;
  /** The system has listed it: when it is not found any more, it has gone. Else only a link that was open can be lost. */
  wasListed?: boolean | undefined;
  /** Called once, when it is known that it went away. */
  onLost?: ((why: string) => void) | undefined;
}

/** Between two looks whether it is there again. */
const REST_MS = 150;
/** What opening a board's port says while the board comes back: nothing there yet, not ours yet, half there. */
const PASSING: ReadonlySet<string> = new Set(["not-found", "busy", "permission", "lost", "failed"]);
/** A port that cannot be opened at all says so as well, again and again. */
const MOST_FAILURES = 3;

/**
 * Tries to reach a board that was seen a moment ago. One that goes away meanwhile, because somebody pulls the cable or it
 * restarts, is waited for; one that is there and cannot be opened, or does not answer, is not.
 *
 * @param attempt - reaches for the board
 * @param options - `withinMs` in milliseconds; `wasListed`: it was seen already; `onLost` is told once; `signal`
 * @returns what `attempt` gave
 * @throws AwayError when it stays away, and what `attempt` throws
 */
export async function retryUntilBack<T>(
  attempt: () => Promise<T>,
  options: RetryUntilBackOptions = {},
): Promise<T> {
  const { signal, withinMs = 60_000, wasListed = false, onLost } = options;
  const start = performance.now();
  let wasLost = false;
  for (let failures = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof BootproofError)) throw error;
      if (!wasLost && !hasGone(error, wasListed)) {
        if (!wasListed || error.code !== "failed" || ++failures === MOST_FAILURES) throw error;
      } else {
        if (!PASSING.has(error.code)) throw error;
        if (!wasLost) onLost?.(error.message);
        wasLost = true;
        const waited = performance.now() - start;
        if (waited > withinMs) throw new AwayError(nameIn(error), waited, error);
      }
    }
    await delay(REST_MS, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

function hasGone(error: BootproofError, wasListed: boolean): boolean {
  if (!(error instanceof TransportError)) return false;
  return error.code === "lost" || (wasListed && error.code === "not-found");
}

function nameIn(error: BootproofError): string {
  return error instanceof TransportError ? error.pipe : "The board";
}
