/** A moment that is known to have passed, and who knows it. */
export interface TimeFloor {
  readonly time: Date;
  /** For people and reports: `metadata`, `audit log`, `ratchet`. */
  readonly source: string;
}

/** What the update takes for the time, and where it comes from. */
export interface TrustedTime {
  readonly now: Date;
  /** `clock`, or the source of the floor that the clock is behind. */
  readonly source: string;
  /** How far the clock is behind the floor, milliseconds; absent when it is not. */
  readonly clockBehindMs?: number;
}

/**
 * The time for expiry checks: the clock's, but never earlier than a moment that is known to have passed. A laptop whose
 * clock is set back does not make expired metadata good again.
 *
 * @param clock - the system's time
 * @param floors - moments that are known to have passed
 * @returns the later one, where it is from, and how far the clock is behind in milliseconds
 */
export function trustedTime(clock: Date, floors: readonly TimeFloor[]): TrustedTime {
  const latest = floors.reduce<TimeFloor | undefined>(
    (best, floor) => (best && best.time >= floor.time ? best : floor),
    undefined,
  );
  if (!latest || clock >= latest.time) return { now: clock, source: "clock" };
  return { now: latest.time, source: latest.source, clockBehindMs: latest.time.getTime() - clock.getTime() };
}
