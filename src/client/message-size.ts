import { SLACK_ON_NOISE } from "./rtt-estimator.js";

/** Message lengths to choose from when the whole buffer gets lost too often: from two console lines on. */
const LENGTHS = [160, 220, 284, 348, 380, 444, 508, 636, 764, 1020, 1532, 2044, 3068, 4092] as const;
/** What a message spends on header, map and keys, bytes. */
const SPENT = 30;
export const SHORTEST = LENGTHS[0];
/** So many messages after which what was seen counts half. */
const HALF_LIFE = 256;
/** Messages of a length that weigh as much as what is expected of it. */
const EXPECTATION_WEIGHS = 16;

/** Answers after which a remembered length is no longer believed to be the best. */
const ANSWERS_TO_FORGET = 512;

/** Bytes that a link is believed to carry without loss before any was seen. */
const BYTES_BELIEVED = 4096;

interface Seen {
  sent: number;
  lost: number;
}

/** How to send: messages of this length, so many under way. */
export interface Choice {
  readonly length: number;
  readonly window: number;
}

/** What messages cost in time, by their length. */
interface Times {
  /** From sending one to its answer, alone on the line. */
  roundMs(length: number): number;
  /** Of each byte of a message on the line. */
  readonly byteMs: number;
}

/**
 * How long a message may be: the whole buffer, unless so many get lost that shorter ones bring more. Losses are either
 * noise, which hits long messages in proportion, or a server that drops bursts, which loses all above some length; each
 * length is therefore judged by the losses of all bytes at first, and the more by its own the more it was used.
 */
export class MessageSize {
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

  /** What serves best where `largest` is what the server takes and one of `windows` is how many are under way. */
  best(largest: number, windows: readonly [number, ...number[]], times: Times): Choice {
    const [window] = windows;
    if (this.#remembered !== undefined) return { length: Math.min(this.#remembered, largest), window };
    if (this.#losses === 0) return { length: largest, window };
    // Nothing has ever come through: most likely a server that drops bursts, so the shortest shows whether it is alive.
    if (this.#answered === 0) return { length: Math.min(SHORTEST, largest), window };
    const lengths = [largest, ...LENGTHS.filter((length) => length < largest).reverse()];
    const choices = windows.flatMap((size) => lengths.map((length) => ({ length, window: size })));
    const worths = choices.map((choice) => this.#worth(choice, times));
    return choices[worths.indexOf(Math.max(...worths))]!;
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
    const isEnough = seen && (seen.sent >= 8 || isHopeless(seen));
    return isEnough ? seen.lost / seen.sent : undefined;
  }

  #count(length: number, lost: 0 | 1): void {
    let seen = this.#seen.get(length);
    if (!seen) {
      seen = { sent: 0, lost: 0 };
      this.#seen.set(length, seen);
    }
    seen.sent++;
    seen.lost += lost;
    this.#bytes += length;
    this.#losses += lost;
    if (++this.#sinceHalved < HALF_LIFE) return;
    this.#sinceHalved = 0;
    this.#bytes /= 2;
    this.#losses /= 2;
    for (const [key, { sent, lost: gone }] of this.#seen)
      this.#seen.set(key, { sent: sent / 2, lost: gone / 2 });
  }

  /** Data bytes a millisecond that arrive. */
  #worth({ length, window }: Choice, { roundMs, byteMs }: Times): number {
    const loss = Math.min(this.#loss(length), 0.99);
    const round = roundMs(length);
    const each = Math.max(length * byteMs, round / window);
    // A loss is known when its answer should have come.
    const known = round + SLACK_ON_NOISE.leastMs;
    return (length - SPENT) / (each + (loss / (1 - loss)) * known);
  }

  #loss(length: number): number {
    const expected = 1 - Math.exp((-this.#losses / (this.#bytes + BYTES_BELIEVED)) * length);
    const seen = this.#seen.get(length);
    if (!seen) return expected;
    if (isHopeless(seen)) return 1;
    return (seen.lost + EXPECTATION_WEIGHS * expected) / (seen.sent + EXPECTATION_WEIGHS);
  }
}

/** Nothing of this length ever came through. */
function isHopeless({ sent, lost }: Seen): boolean {
  return sent >= 2 && lost >= sent;
}
