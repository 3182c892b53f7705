import type { FramingName } from "../smp/framing/framing.js";
import type { ServerFacts } from "./client.js";

/** What a link taught: how to speak to this board the next time. Every field may be missing. */
export interface LinkMemory {
  readonly framing?: FramingName | undefined;
  /** Requests under way at once that served best. */
  readonly window?: number | undefined;
  /** The longest message that gets through; absent when the whole buffer may be filled. */
  readonly maxMessage?: number | undefined;
  /** Rest between two lines, when bursts get lost. */
  readonly linePauseMs?: number | undefined;
}

/** Rest between lines for a server that lost a burst. Go's client uses 20 ms and is known to be slow enough. */
export const LINE_PAUSE_MS = 20;

/** How transfers speak to one server, learned on the way. */
export class Pace {
  readonly window: Window;
  readonly length: Length;
  readonly answerTime = new AnswerTime();
  readonly #linePauseMs: number;

  constructor(largestWindow: number, memory: LinkMemory = {}) {
    this.window = new Window(largestWindow, memory.window);
    this.length = new Length(memory.maxMessage);
    this.#linePauseMs = memory.linePauseMs ?? 0;
  }

  /** Lines are paused only where even the shortest messages get lost without. */
  get linePauseMs(): number {
    const isLosing = (this.length.lossOf(LENGTHS[0]) ?? 0) > 0.5;
    return isLosing ? LINE_PAUSE_MS : this.length.isRemembered ? 0 : this.#linePauseMs;
  }
}

/**
 * Most requests that may be under way. A server needs one buffer for the answer in the making (smp facts: at most
 * `buf_count` - 1); serial recovery has one for all; a raw server drops everything when a second message begins before
 * the first is taken (Zephyr 4.4), and has no CRC to find a wrong border by.
 */
export function largestWindow(server: ServerFacts, framing: FramingName): number {
  if (server.mode === "recovery" || framing === "raw" || server.bufCount === undefined) return 1;
  return Math.min(Math.max(1, server.bufCount - 1), MOST_IN_FLIGHT);
}
/** Half of the sequence numbers, so that a late answer cannot be taken for that to another request. */
const MOST_IN_FLIGHT = 128;

/** Answers by which a window is judged, after as many as are still of the time before. */
const ANSWERS_A_VERDICT = 6;
/** A window that does not bring so much more is not worth its risk. */
const WORTH = 1.01;
/** Verdicts after which an old one is forgotten: a link may have become better. */
const VERDICTS_KEPT = 12;
/** Losses in a row that send the window back to one, whatever was learned. */
const LOSSES_OF_A_BREAKDOWN = 3;

/** How many requests are under way: one at first, more while that brings more, one less at the first loss. */
export class Window {
  size: number;
  readonly #largest: number;
  /** Bytes a millisecond with each size, losses included; 0 when its first loss came. */
  readonly #rates = new Map<number, { rate: number; verdict: number }>();
  readonly #hasLost = new Set<number>();
  #verdicts = 0;
  #lossesInARow = 0;
  #answers = 0;
  #bytes = 0;
  #since: number | undefined;

  constructor(largest: number, first = 1) {
    this.#largest = largest;
    this.size = Math.min(Math.max(1, first), largest);
  }

  /** `bytes` more have arrived over there. */
  answered(bytes: number, now: number): void {
    this.#lossesInARow = 0;
    this.#answers++;
    // The first answers with a new size are to requests that were sent with the old one.
    if (this.#answers <= this.size) {
      this.#since = now;
      return;
    }
    this.#bytes += bytes;
    if (this.#answers < this.size + ANSWERS_A_VERDICT) return;
    const took = now - (this.#since ?? now);
    this.#judge(took > 0 ? this.#bytes / took : Number.POSITIVE_INFINITY);
  }

  lost(): void {
    this.#lossesInARow++;
    if (this.#lossesInARow >= LOSSES_OF_A_BREAKDOWN) this.#change(1);
    // After its first loss a size has to show that it is worth it all the same.
    else if (this.size > 1 && !this.#hasLost.has(this.size)) {
      this.#hasLost.add(this.size);
      this.#change(this.size - 1);
    }
  }

  #judge(rate: number): void {
    this.#verdicts++;
    this.#rates.set(this.size, { rate, verdict: this.#verdicts });
    const less = this.#rateOf(this.size - 1);
    const more = this.#rateOf(this.size + 1);
    if (less !== undefined && rate < less * WORTH) this.#change(this.size - 1);
    else if (this.size < this.#largest && (more === undefined || more > rate * WORTH))
      this.#change(this.size + 1);
    else this.#change(this.size);
  }

  #rateOf(size: number): number | undefined {
    const known = this.#rates.get(size);
    return known && this.#verdicts - known.verdict <= VERDICTS_KEPT ? known.rate : undefined;
  }

  #change(size: number): void {
    this.size = size;
    this.#answers = 0;
    this.#bytes = 0;
    this.#since = undefined;
  }
}

/** Message lengths to choose from when the whole buffer gets lost too often: two console lines, and usual buffers. */
const LENGTHS = [160, 252, 380, 508, 764, 1020, 1532, 2044, 4092] as const;
/** What a message spends on header, map and keys, and on the wire for its framing and its answer, in decoded bytes. */
const SPENT = 60;
/** What a loss costs besides the message itself: one more that was under way, or the wait. */
const COST_OF_A_LOSS = 1.5;
/** So many messages after which what was seen counts half. */
const HALF_LIFE = 128;

/** Answers after which a remembered length is no longer believed to be the best. */
const ANSWERS_TO_FORGET = 512;

interface Seen {
  sent: number;
  lost: number;
}

/**
 * How long a message may be: the whole buffer, unless so many get lost that shorter ones bring more. Losses are either
 * noise, which hits long messages in proportion, or a server that drops bursts, which loses all above some length; each
 * length is therefore judged by its own losses once it was tried, before that by those of all bytes.
 */
export class Length {
  readonly #seen = new Map<number, Seen>();
  #bytes = 0;
  #losses = 0;
  #sinceHalved = 0;
  #remembered: number | undefined;
  #answered = 0;

  constructor(remembered?: number) {
    this.#remembered = remembered;
  }

  get isRemembered(): boolean {
    return this.#remembered !== undefined;
  }

  /** The length to use where `largest` is what the server takes. */
  best(largest: number): number {
    if (this.#remembered !== undefined) return Math.min(this.#remembered, largest);
    if (this.#losses === 0) return largest;
    const lengths = [...LENGTHS.filter((length) => length < largest), largest];
    return lengths.reduce(
      (best, length) => (this.#worth(length) > this.#worth(best) ? length : best),
      largest,
    );
  }

  answered(length: number): void {
    this.#count(length, 0);
    // The link may be better than it was.
    if (++this.#answered === ANSWERS_TO_FORGET) this.#remembered = undefined;
  }

  lost(length: number): void {
    this.#count(length, 1);
    this.#remembered = undefined;
  }

  /** Share of messages of this length that got lost; undefined before enough were tried. */
  lossOf(length: number): number | undefined {
    const seen = this.#seen.get(length);
    return seen && seen.sent >= 3 ? seen.lost / seen.sent : undefined;
  }

  #count(length: number, lost: 0 | 1): void {
    const seen = this.#seen.get(length) ?? { sent: 0, lost: 0 };
    this.#seen.set(length, { sent: seen.sent + 1, lost: seen.lost + lost });
    this.#bytes += length;
    this.#losses += lost;
    if (++this.#sinceHalved < HALF_LIFE) return;
    this.#sinceHalved = 0;
    this.#bytes /= 2;
    this.#losses /= 2;
    for (const [key, { sent, lost: gone }] of this.#seen)
      this.#seen.set(key, { sent: sent / 2, lost: gone / 2 });
  }

  /** Data that arrives, in shares of what the wire could carry. */
  #worth(length: number): number {
    const loss = Math.min(this.lossOf(length) ?? this.#expectedLoss(length), 0.99);
    return ((length - SPENT / 2) / (length + SPENT / 2)) * (1 / (1 + (COST_OF_A_LOSS * loss) / (1 - loss)));
  }

  #expectedLoss(length: number): number {
    return this.#bytes === 0 ? 0 : 1 - Math.exp((-this.#losses / this.#bytes) * length);
  }
}

/** Slack above the usual time of an answer before its request counts as lost. */
const LEAST_SLACK_MS = 4;
const SLACK_SHARE = 0.25;

/** How long an answer is waited for, by how long answers took so far (as TCP does, RFC 6298, with less slack). */
export class AnswerTime {
  #mean: number | undefined;
  #deviation = 0;
  #backedOff = 1;

  answered(ms: number): void {
    this.#backedOff = 1;
    if (this.#mean === undefined) {
      this.#mean = ms;
      this.#deviation = ms / 2;
      return;
    }
    this.#deviation += (Math.abs(ms - this.#mean) - this.#deviation) / 4;
    this.#mean += (ms - this.#mean) / 8;
  }

  /** Waits twice as long from here on, until there is an answer. */
  backOff(): void {
    this.#backedOff *= 2;
  }

  /** At most `most`, which is also what is waited for as long as nothing is known. */
  waitMs(most: number): number {
    if (this.#mean === undefined) return most;
    const slack = Math.max(LEAST_SLACK_MS, this.#mean * SLACK_SHARE, 4 * this.#deviation);
    return Math.min(most, (this.#mean + slack) * this.#backedOff);
  }
}
