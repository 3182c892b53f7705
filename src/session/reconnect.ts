import { setTimeout as delay } from "node:timers/promises";
import { RequestTimeout } from "../client/client.js";
import { identify, letBoot } from "../client/connect.js";
import { BootproofError } from "../errors.js";
import { osEcho } from "../smp/groups/os-first.js";
import { DeviceError } from "../smp/message.js";
import { TransportError } from "../transport/transport.js";
import type { Session } from "./session.js";

/** A board that did not come back in time. */
export class AwayError extends BootproofError {
  declare readonly code: "away";
  readonly waitedMs: number;

  constructor(name: string, waitedMs: number, cause: unknown) {
    const seconds = Math.round(waitedMs / 1000);
    super("away", `${name} has not answered for ${seconds} s.`, {
      cause,
      hint: "It may still be swapping images, which can take minutes: do not switch its power off. Wait and run bootproof info, or repeat the command with a longer --wait (flash, recover, reset). Its log port may say more; bootproof recover is for a board that no longer boots.",
    });
    this.waitedMs = waitedMs;
  }
}

/** True when the board gave no answer, or the way to it is gone: worth waiting for. */
export function isAway(error: unknown): error is RequestTimeout | TransportError {
  return error instanceof RequestTimeout || error instanceof TransportError;
}

export type WatchEvent =
  /** The board stopped answering, or its port went away. */
  | { step: "away" }
  /** It answers (again). */
  | { step: "back"; afterMs: number };

export interface WatchOptions {
  signal?: AbortSignal | undefined;
  /** How long to wait for the board altogether. Default 60000. */
  withinMs?: number | undefined;
}

/** Long enough for any healthy answer, short enough to notice a restart. */
const PROBE_MS = 400;
/** The same once it has been silent. */
const LATER_PROBE_MS = 800;
/** Between two questions to a board that answers: it has other things to do. */
const REST_MS = 50;

/**
 * Waits until the board answers at all; opens its port again when that went away.
 *
 * @param session - the board
 * @param options - `withinMs`, milliseconds, default 60 000; `signal` aborts with its own reason
 * @returns nothing; events while it is away
 * @throws AwayError when it stays silent, OtherBoardError when another board answers, and what opening the port throws when that is
 *   no question of waiting
 */
export async function* untilAnswering(
  session: Session,
  options: WatchOptions = {},
): AsyncGenerator<WatchEvent, void, void> {
  const { signal, withinMs = 60_000 } = options;
  const start = performance.now();
  let away = false;
  for (let asked = 1; ; asked++) {
    const noAnswer = await probe(session, signal, asked === 1 ? PROBE_MS : LATER_PROBE_MS);
    // A board that is slower than the questions are answers an earlier one, and with each of them falls further behind.
    const isLate = asked > 1 && noAnswer instanceof RequestTimeout && noAnswer.received === "other-answers";
    const silence = noAnswer === undefined || isLate ? await recognise(session, signal) : noAnswer;
    if (silence === undefined) {
      if (away) yield { step: "back", afterMs: performance.now() - start };
      return;
    }
    if (!away) yield { step: "away" };
    away = true;
    const waited = performance.now() - start;
    if (waited > withinMs) throw new AwayError(session.client.name, waited, silence);
    if (!isLost(silence)) {
      if (asked % RAW_QUESTIONS === 0) await letForget(session, signal);
      continue;
    }
    // A port that opens and is gone at once would otherwise be opened as often as the machine can.
    await delay(REST_MS, undefined, { signal });
    await reopenQuietly(session, signal);
  }
}

/** Losses of one link before it is given up: a cable that comes loose this often is no cable. */
export const MOST_LOSSES = 5;

/**
 * Waits until the board answers, and finds out who does: after an absence it may be the bootloader, or have other buffers.
 *
 * @throws AwayError
 */
export async function* untilBack(
  session: Session,
  options: WatchOptions = {},
): AsyncGenerator<WatchEvent, void, void> {
  for (let losses = 1; ; losses++) {
    yield* untilAnswering(session, options);
    try {
      return await identify(session.client, { signal: options.signal });
    } catch (error) {
      if (!isAway(error) || losses === MOST_LOSSES) throw error;
    }
  }
}

/** What a restart left behind that is not the same as before, compared as text. */
export type Fingerprint = (signal: AbortSignal | undefined) => Promise<string>;

export interface RestartOptions extends WatchOptions {
  /** Reads something that a restart changes: a boot counter, the flags of the images. */
  fingerprint: Fingerprint;
  /** What it read before the restart. */
  before: string;
  /** How long a board may answer as if nothing had happened before that is taken for the end. Default 5000. */
  unchangedMs?: number | undefined;
  /** Waits, without a word, until the board can be asked. Default: half a second, and as long as it goes on talking. */
  hearOut?: ((signal: AbortSignal | undefined) => Promise<void>) | undefined;
}

/**
 * A board that still looks as before after so many looks has not restarted, however busy the host is: a restart that was
 * due before a board has answered these would have come in between.
 */
const LEAST_LOOKS = 6;

/** Silence this long is a restart even if everything looks as before; a shorter one may be a lost line. */
const SURELY_AWAY_MS = 700;

/**
 * Watches a board that was told to restart: it has restarted when it was away for long enough or looks different
 * afterwards. Returns false when it kept answering and nothing changed.
 *
 * @throws AwayError
 */
export async function* untilRestarted(
  session: Session,
  options: RestartOptions,
): AsyncGenerator<WatchEvent, boolean, void> {
  const { signal, fingerprint, before, unchangedMs = 5000, withinMs = 60_000 } = options;
  const start = performance.now();
  const elapsed = () => performance.now() - start;
  await (options.hearOut ?? ((how) => listen(session, how)))(signal);
  for (let looks = 0; looks < LEAST_LOOKS || elapsed() < unchangedMs; looks++) {
    const asked = elapsed();
    const silence = await probe(session, signal);
    if (silence !== undefined) {
      const wasLost = isLost(silence);
      yield { step: "away" };
      if (wasLost) await reopenQuietly(session, signal);
      yield* quietly(untilAnswering(session, { signal, withinMs: withinMs - elapsed() }));
      const sure = wasLost || elapsed() - asked > SURELY_AWAY_MS;
      if (sure || (await fingerprint(signal)) !== before) {
        yield { step: "back", afterMs: elapsed() };
        return true;
      }
    } else if ((await readThrough(fingerprint, signal)) !== before) {
      yield* quietly(untilAnswering(session, { signal, withinMs: withinMs - elapsed() }));
      yield { step: "back", afterMs: elapsed() };
      return true;
    }
    await rest(REST_MS, signal);
  }
  return false;
}

/**
 * Zephyr answers a reset and restarts 250 ms later; bytes that reach a UART while its driver sets it up can wedge it until
 * the next reset (seen on the emulated nRF51). So the first question waits until the restart is surely under way and its
 * boot log is over.
 */
const LISTEN_MS = 500;

/** Hears the board out without a word. A port that goes away meanwhile is found out by the next question. */
async function listen(session: Session, signal: AbortSignal | undefined): Promise<void> {
  try {
    await letBoot(session.client, { signal, noticeMs: LISTEN_MS });
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
  }
}

export interface StayOptions extends WatchOptions {
  fingerprint: Fingerprint;
  /** How long to watch. */
  forMs: number;
}

/**
 * Watches a board that should keep running: an image that crashes or hangs a moment after it has started must not pass
 * for a good one. Returns false when the board restarted meanwhile, then with the board back.
 *
 * @param session - the board
 * @param options - `forMs` and `withinMs` in milliseconds; `fingerprint` tells one start from another
 * @returns true when it kept running
 * @throws AwayError when it went away and stayed away
 */
export async function* staysUp(
  session: Session,
  options: StayOptions,
): AsyncGenerator<WatchEvent, boolean, void> {
  const { signal, fingerprint, forMs, withinMs } = options;
  const before = await readThrough(fingerprint, signal);
  const start = performance.now();
  while (performance.now() - start < forMs) {
    await rest(REST_MS, signal);
    if ((await probe(session, signal)) !== undefined) yield* untilAnswering(session, { signal, withinMs });
  }
  const after = await readThrough(fingerprint, signal);
  if (after === INTERRUPTED) yield* untilAnswering(session, { signal, withinMs });
  return after === before && after !== INTERRUPTED;
}

/** Questions without a pause between them, each of which a raw server may take for the rest of a message. */
const RAW_QUESTIONS = 4;

/** A silence, where the server needs one to forget a message that it has half of: else every question becomes part of it. */
async function letForget({ client }: Session, signal: AbortSignal | undefined): Promise<void> {
  await rest(client.beforeRepeatMs(0), signal);
}

/** One sign of life, or the error that says there was none. Any answer is one, a refusal too. */
async function probe(
  session: Session,
  signal: AbortSignal | undefined,
  timeoutMs = PROBE_MS,
): Promise<RequestTimeout | TransportError | undefined> {
  try {
    await session.client.send(osEcho, { d: "" }, { signal, timeoutMs, retries: 0 });
    return undefined;
  } catch (error) {
    if (error instanceof DeviceError) return undefined;
    if (isAway(error)) return error;
    throw error;
  }
}

/** Whoever answers over a link that was opened again must be the board of before; or the error that says that it went away. */
async function recognise(
  session: Session,
  signal: AbortSignal | undefined,
): Promise<RequestTimeout | TransportError | undefined> {
  try {
    await session.mustBeSame(signal);
    return undefined;
  } catch (error) {
    if (isAway(error)) return error;
    throw error;
  }
}

/** What is read from a board that restarts in the middle of the question. */
const INTERRUPTED = "interrupted";

/** The fingerprint, or {@link INTERRUPTED}, which is like no other. */
async function readThrough(fingerprint: Fingerprint, signal: AbortSignal | undefined): Promise<string> {
  try {
    return await fingerprint(signal);
  } catch (error) {
    if (isAway(error)) return INTERRUPTED;
    throw error;
  }
}

/** True when asking again over the same pipe cannot help. */
export function isLost(error: unknown): error is TransportError {
  return error instanceof TransportError;
}

/** A port that has just vanished takes a while to come back; each try costs a little waiting. */
async function reopenQuietly(session: Session, signal: AbortSignal | undefined): Promise<void> {
  try {
    await session.reopen(signal);
  } catch (error) {
    const passing = ["not-found", "busy", "permission", "refused", "lost", "failed", "timeout"];
    if (!(error instanceof BootproofError) || !passing.includes(error.code)) throw error;
    await rest(REST_MS * 2, signal);
  }
}

/** Rests; abort throws the signal's own reason, where node throws an AbortError around it. */
async function rest(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
}

/** Runs an inner wait whose events would only repeat what has been said. */
// biome-ignore lint/correctness/useYield: it keeps the inner generator's events to itself
async function* quietly<T>(inner: AsyncGenerator<WatchEvent, T, void>): AsyncGenerator<WatchEvent, T, void> {
  for (;;) {
    const step = await inner.next();
    if (step.done) return step.value;
  }
}
