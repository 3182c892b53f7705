import { createHash } from "node:crypto";

/** The same seed for the same name, so that two runs over a board differ only in what the board does. */
export function seedFor(name: string): number {
  return createHash("sha256").update(name).digest().readUInt32BE();
}

/** Numbers that look random and can be had again from their seed (mulberry32). */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  /** A whole number from `min` to `max`, both possible. */
  whole(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  pick<T>(all: readonly T[]): T {
    return all[this.whole(0, all.length - 1)]!;
  }
}
