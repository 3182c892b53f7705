import { identify } from "../client/connect.js";
import { osReset } from "../smp/groups/os.js";
import { restartFingerprint } from "./board-facts.js";
import { isAway, untilRestarted, type WatchEvent } from "./reconnect.js";
import type { Session } from "./session.js";

export interface RestartPlan {
  signal?: AbortSignal | undefined;
  withinMs?: number | undefined;
  /** MCUmgr's boot mode for the reset; see `BOOT_MODES`. */
  bootMode?: number | undefined;
  /** Restart although the application says that it is busy. */
  force?: boolean | undefined;
  /** How long a board may answer as if nothing had happened before that is taken for the end. Default 5000. */
  unchangedMs?: number | undefined;
  /** Waits, without a word, until the restart is over; for who knows how that shows. Default: half a second of listening. */
  hearOut?: ((signal: AbortSignal | undefined) => Promise<void>) | undefined;
}

/**
 * Resets the board, waits until it is back and finds out who answers. A lost answer to the reset is no failure: boards often
 * restart before they have sent it.
 *
 * @param session - the board
 * @param options - `bootMode` 1 asks for serial recovery; `force` resets a busy device; `withinMs` in milliseconds;
 *   `hearOut` waits until the board can be asked; `signal`
 * @returns false when nothing shows that it restarted
 * @throws AwayError when it does not come back, DeviceError when it refuses
 */
export async function* restart(
  session: Session,
  options: RestartPlan = {},
): AsyncGenerator<{ step: "reset" } | WatchEvent, boolean, void> {
  const { signal, withinMs, bootMode, force, unchangedMs, hearOut } = options;
  const fingerprint = (how: AbortSignal | undefined) => restartFingerprint(session, how);
  const before = await fingerprint(signal);
  try {
    const request = {
      ...(force ? { force } : {}),
      ...(bootMode === undefined ? {} : { boot_mode: bootMode }),
    };
    await session.client.send(osReset, request, { signal });
  } catch (error) {
    if (!isAway(error)) throw error;
  }
  yield { step: "reset" };
  const watch = { signal, withinMs, unchangedMs, hearOut, fingerprint, before };
  const restarted = yield* untilRestarted(session, watch);
  await identify(session.client, { signal });
  return restarted;
}
