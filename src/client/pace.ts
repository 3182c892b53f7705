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
  readonly answerTime: AnswerTime;
  readonly #linePauseMs: number;

  constructor(largestWindow: number, answerTime: AnswerTime, memory: LinkMemory = {}) {
    this.answerTime = answerTime;
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

/** Steps from one answer to the next by which a window is judged. */
const STEPS_A_VERDICT = 6;
/** A window that does not bring so much more is not worth its risk. */
const WORTH = 1.03;
/** What each further request under way makes a loss cost, in messages: it is sent in vain. */
const COST_UNDER_WAY = 0.75;
/** Answers after which a larger window is tried again: at first, and at most. */
const RETRY_AFTER = { first: 16, last: 2048, lastOnNoise: 64 } as const;
/** Losses in a row that send the window back to one, whatever was learned. */
const LOSSES_OF_A_BREAKDOWN = 3;
/** Answers after which losses count half. */
const LOSS_HALF_LIFE = 64;

interface Verdict {
  readonly size: number;
  /** Bytes a millisecond. */
  readonly rate: number;
}

/**
 * How many requests are under way: one at first, twice as many as long as that brings more, fewer at the first loss. A line
 * that loses messages one at a time as well is noisy; there the loss says nothing about the window, but a larger one has to
 * bring more than what it makes each loss cost. Rates are those between losses.
 */
export class Window {
  size: number;
  readonly #largest: number;
  /** The size before and its bytes a millisecond, while it is tried whether another one serves better. */
  #before: Verdict | undefined;
  #isFewerNext = false;
  #isTrying: boolean;
  #retryAfter: number = RETRY_AFTER.first;
  #isNoisy = false;
  #lossesInARow = 0;
  #losses = 0;
  #messages = 0;
  /** With this size: answers, steps between two of them without a loss, and what they brought. */
  #answers = 0;
  #steps = 0;
  #bytes = 0;
  #took = 0;
  /** When the last answer came, unless something got lost since. */
  #lastAt: number | undefined;

  constructor(largest: number, first = 1) {
    this.#largest = largest;
    this.size = Math.min(Math.max(1, first), largest);
    this.#isTrying = this.size === 1;
  }

  /** `bytes` more have arrived over there. */
  answered(bytes: number, now: number): void {
    this.#lossesInARow = 0;
    this.#count(0);
    this.#answers++;
    // The first answers with a new size are to requests that were sent with the old one.
    if (this.#lastAt !== undefined && this.#answers > this.size) {
      this.#steps++;
      this.#bytes += bytes;
      this.#took += now - this.#lastAt;
    }
    this.#lastAt = now;
    const isDue = this.#isTrying || this.#answers >= this.#retryAfter;
    if (isDue && this.#steps >= Math.max(STEPS_A_VERDICT, this.size)) this.#judge();
  }

  /** A transfer begins: the time since the last answer is nobody's. */
  begin(): void {
    this.#lastAt = undefined;
  }

  lost(): void {
    this.#lossesInARow++;
    this.#lastAt = undefined;
    this.#count(1);
    if (this.size === 1) this.#isNoisy = true;
    else if (this.#lossesInARow >= LOSSES_OF_A_BREAKDOWN) this.#settle(this.#isNoisy ? this.size >> 1 : 1);
    else if (!this.#isNoisy) this.#settle(this.#before?.size ?? this.size - 1);
  }

  #count(lost: 0 | 1): void {
    this.#losses += lost;
    if (++this.#messages < LOSS_HALF_LIFE) return;
    this.#messages /= 2;
    this.#losses /= 2;
  }

  #judge(): void {
    const now = { size: this.size, rate: this.#bytes / Math.max(this.#took, 0.001) };
    const before = this.#before;
    if (before && !this.#isBetter(now, before)) {
      this.#settle(before.size);
      return;
    }
    if (before) this.#retryAfter = RETRY_AFTER.first;
    const next = this.#another();
    if (next === this.size) {
      this.#settle(next);
      return;
    }
    this.#isTrying = true;
    this.#before = now;
    this.#change(next);
  }

  /** A larger one has to bring what it costs; a smaller one is better when it brings as much. */
  #isBetter(now: Verdict, before: Verdict): boolean {
    const isMore = now.size > before.size;
    const [fewer, more] = isMore ? [before, now] : [now, before];
    // One alone waits for a clock to tell of a loss, which costs as much as one more under way.
    const inVain = (more.size - Math.max(fewer.size, 2)) * COST_UNDER_WAY * (this.#losses / this.#messages);
    return more.rate > fewer.rate * Math.max(WORTH, 1 + inVain) === isMore;
  }

  #another(): number {
    return this.#isFewerNext && this.size > 1 ? this.size >> 1 : Math.min(this.size * 2, this.#largest);
  }

  /** Stays with this size for a while, for longer each time. */
  #settle(size: number): void {
    this.#isTrying = false;
    this.#before = undefined;
    // On a clean line too many cost nothing.
    this.#isFewerNext = this.#isNoisy && !this.#isFewerNext;
    this.#change(size);
    const last = this.#isNoisy ? RETRY_AFTER.lastOnNoise : RETRY_AFTER.last;
    this.#retryAfter = Math.min(this.#retryAfter * 2, last);
  }

  #change(size: number): void {
    this.size = size;
    this.#answers = 0;
    this.#steps = 0;
    this.#bytes = 0;
    this.#took = 0;
  }
}

/** Message lengths to choose from when the whole buffer gets lost too often: two console lines, and usual buffers. */
const LENGTHS = [160, 252, 380, 508, 764, 1020, 1532, 2044, 4092] as const;
/** What a message spends on header, map and keys, and on the wire for its framing and its answer, in decoded bytes. */
const SPENT = 60;
/** What a loss costs in messages: itself and the wait for what tells of it; and those under way behind it. */
const COST_OF_A_LOSS = 1.5;
const COST_IN_WINDOW = 0.75;
/** So many messages after which what was seen counts half. */
const HALF_LIFE = 128;

/** Answers after which a remembered length is no longer believed to be the best. */
const ANSWERS_TO_FORGET = 512;

/** Bytes that a link is believed to carry without loss before any was seen. */
const BYTES_BELIEVED = 8192;

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

  /** The length to use where `largest` is what the server takes and `window` messages are under way. */
  best(largest: number, window: number): number {
    if (this.#remembered !== undefined) return Math.min(this.#remembered, largest);
    if (this.#losses === 0) return largest;
    // Nothing has ever come through: most likely a server that drops bursts, so the shortest shows whether it is alive.
    if (this.#answered === 0) return Math.min(LENGTHS[0], largest);
    const lengths = [...LENGTHS.filter((length) => length < largest), largest];
    const cost = COST_OF_A_LOSS + COST_IN_WINDOW * (window - 1);
    const worth = (length: number) => this.#worth(length, cost);
    return lengths.reduce((best, length) => (worth(length) > worth(best) ? length : best), largest);
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

  /** It had arrived after all; the answer was slow. */
  foundAgain(length: number): void {
    const seen = this.#seen.get(length);
    if (seen) this.#seen.set(length, { sent: seen.sent, lost: Math.max(0, seen.lost - 1) });
    this.#losses = Math.max(0, this.#losses - 1);
  }

  /** Share of messages of this length that got lost; undefined before enough were tried. */
  lossOf(length: number): number | undefined {
    const seen = this.#seen.get(length);
    const isEnough = seen && (seen.sent >= 8 || (seen.sent >= 2 && seen.lost >= seen.sent));
    return isEnough ? seen.lost / seen.sent : undefined;
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
  #worth(length: number, cost: number): number {
    const loss = Math.min(this.lossOf(length) ?? this.#expectedLoss(length), 0.99);
    return ((length - SPENT / 2) / (length + SPENT / 2)) * (1 / (1 + (cost * loss) / (1 - loss)));
  }

  #expectedLoss(length: number): number {
    return 1 - Math.exp((-this.#losses / (this.#bytes + BYTES_BELIEVED)) * length);
  }
}

/** Slack above the usual time of an answer before its request counts as lost. */
const SLACK = { leastMs: 8, share: 0.25 } as const;
/** With others under way their answers tell of a loss sooner than any clock. */
const SLACK_IN_WINDOW = { leastMs: 100, share: 1.5 } as const;
/** Waited for the first answers, of which nothing is known. */
const FIRST_WAIT_MS = 1000;
const MOST_CAUTION = 16;
/** An answer that comes in less than this share of the usual time after a repeat is to the first try. */
const TOO_QUICK = 0.5;

/** Answers to messages of one length: how long they took, and how far that varies. */
interface Usual {
  mean: number;
  deviation: number;
}

/** How long an answer is waited for, by how long answers took so far (as TCP does, RFC 6298, with less slack). */
export class AnswerTime {
  /** By length of the message: on a slow line that is most of the time. */
  readonly #usual = new Map<number, Usual>();
  #backedOff = 1;
  /** Grows with each request that was taken for lost and was not. */
  #caution = 1;

  /** Any answer at all is better than a guess: most of its time counts as spent on the line, which errs on the long side. */
  firstAnswered(length: number, ms: number): void {
    if (this.#usual.size === 0) this.answered(length, ms);
  }

  answered(length: number, ms: number): void {
    this.#backedOff = 1;
    const usual = this.#usual.get(length);
    if (!usual) {
      this.#usual.set(length, { mean: ms, deviation: ms / 4 });
      return;
    }
    usual.deviation += (Math.abs(ms - usual.mean) - usual.deviation) / 4;
    usual.mean += (ms - usual.mean) / 8;
  }

  /** A repeat was answered so soon after it was sent: true when that must be the answer to the first try. */
  repeatAnswered(length: number, ms: number): boolean {
    const usual = this.#usual.get(length);
    return usual !== undefined && ms < usual.mean * TOO_QUICK;
  }

  /** A request was taken for lost and was not. */
  tooHasty(): void {
    this.#caution = Math.min(this.#caution * 1.5, MOST_CAUTION);
  }

  /** Waits twice as long from here on, until there is an answer. */
  backOff(): void {
    this.#backedOff *= 2;
  }

  /** At most `most`. `window`: how many are under way with it. */
  waitMs(length: number, most: number, window: number): number {
    const usual = this.#usual.get(length) ?? this.#guess(length);
    if (!usual) return Math.min(most, FIRST_WAIT_MS * this.#backedOff);
    const { leastMs, share } = window > 1 ? SLACK_IN_WINDOW : SLACK;
    const slack = Math.max(leastMs, usual.mean * share, 4 * usual.deviation);
    return Math.min(most, (usual.mean + slack * this.#caution) * this.#backedOff);
  }

  /** For a length that was not tried: as if all of the time were spent on the line. */
  #guess(length: number): Usual | undefined {
    const [known] = [...this.#usual].sort(([a], [b]) => Math.abs(a - length) - Math.abs(b - length));
    if (!known) return undefined;
    const [knownLength, { mean }] = known;
    const scaled = mean * Math.max(1, length / knownLength);
    return { mean: scaled, deviation: scaled / 4 };
  }
}
