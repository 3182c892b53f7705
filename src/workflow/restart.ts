import { identify } from "../client/connect.js";
import { osReset } from "../smp/groups/os.js";
import { restartFingerprint } from "./facts.js";
import { isAway, untilRestarted, type WatchEvent } from "./reconnect.js";
import type { Session } from "./session.js";

export interface RestartPlan {
  signal?: AbortSignal | undefined;
  withinMs?: number | undefined;
  /** MCUmgr's boot mode for the reset; see `BOOT_MODES`. */
  bootMode?: number | undefined;
  /** How long a board may answer as if nothing had happened before that is taken for the end. Default 5000. */
  unchangedMs?: number | undefined;
}

/**
 * Resets the board, waits until it is back and finds out who answers. Returns false when nothing shows that it restarted.
 * A lost answer to the reset is no failure: boards often restart before they have sent it.
 */
export async function* restart(
  session: Session,
  options: RestartPlan = {},
): AsyncGenerator<{ step: "reset" } | WatchEvent, boolean, void> {
  const { signal, withinMs, bootMode, unchangedMs } = options;
  const fingerprint = (how: AbortSignal | undefined) => restartFingerprint(session, how);
  const before = await fingerprint(signal);
  try {
    await session.client.send(osReset, bootMode === undefined ? {} : { boot_mode: bootMode }, { signal });
  } catch (error) {
    if (!isAway(error)) throw error;
  }
  yield { step: "reset" };
  const watch = { signal, withinMs, unchangedMs, fingerprint, before };
  const restarted = yield* untilRestarted(session, watch);
  await identify(session.client, { signal });
  return restarted;
}
