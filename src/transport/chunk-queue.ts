import type { ByteStream } from "./transport.js";

/** Unread bytes above which the source is asked to pause, so that a talkative device cannot fill the memory. */
const HIGH_WATER = 256 * 1024;

const SOON = Promise.resolve();

/** How the queue slows its source down. A source that cannot be slowed leaves both out. */
export interface Throttle {
  pause?(): void;
  resume?(): void;
}

/** A pipe that receives into a queue. */
export interface QueuedStream extends ByteStream {
  readonly chunks: ChunkQueue;
}

/** Verdict on a chunk: the error that it means, `enough` when no later chunk needs a look, `more` when the next one does. */
export type Inspection = Error | "enough" | "more";

/** Receives chunks as they arrive. */
export interface ChunkListener {
  chunk(bytes: Uint8Array): void;
  /** As the iteration would end or throw; called once. Whatever `chunk` throws ends it too. */
  ended(error?: unknown): void;
}

/**
 * The receiving half of a pipe: events push chunks in, one consumer iterates them out, or listens. Chunks that arrived before the
 * end or the failure are still delivered, in order.
 */
export class ChunkQueue implements AsyncIterable<Uint8Array> {
  readonly #throttle: Throttle;
  #chunks: Uint8Array[] = [];
  #unread = 0;
  #paused = false;
  #ended: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  #inspect: ((chunk: Uint8Array) => Inspection) | undefined;

  constructor(throttle: Throttle = {}) {
    this.#throttle = throttle;
  }

  push(chunk: Uint8Array): void {
    if (this.#ended || chunk.length === 0 || !this.#passes(chunk)) return;
    this.#chunks.push(chunk);
    this.#unread += chunk.length;
    if (!this.#paused && this.#unread > HIGH_WATER) {
      this.#paused = true;
      this.#throttle.pause?.();
    }
    this.#wake?.();
  }

  /**
   * Has the beginning of what comes looked at before anybody is handed it, what waits here already included. Of a chunk that is
   * wrong the iteration tells by its error, and hands out no more.
   */
  inspect(inspect: (chunk: Uint8Array) => Inspection): void {
    this.#inspect = inspect;
    const waiting = this.#chunks;
    this.#chunks = [];
    for (const chunk of waiting) {
      if (!this.#passes(chunk)) return;
      this.#chunks.push(chunk);
    }
  }

  #passes(chunk: Uint8Array): boolean {
    const found = this.#inspect?.(chunk) ?? "more";
    if (found === "more") return true;
    this.#inspect = undefined;
    if (found === "enough") return true;
    // Whoever said it may have hung up meanwhile, and this is why.
    this.#ended = { error: found };
    this.#wake?.();
    return false;
  }

  /** What the iteration ends by, as far as it has failed. */
  get failure(): unknown {
    return this.#ended?.error;
  }

  /** This side closed: the iteration ends. Only the first of `end` and `fail` counts. */
  end(): void {
    this.#ended ??= {};
    this.#wake?.();
  }

  /** The other side went away: the iteration throws `error`. */
  fail(error: unknown): void {
    this.#ended ??= { error };
    this.#wake?.();
  }

  /**
   * In place of an iteration, whose steps take several turns for each message. Never before this call has returned, nor
   * inside of a push.
   */
  listen(listener: ChunkListener): void {
    let isDue = false;
    const hand = () => {
      isDue = false;
      try {
        for (const chunk of this.#take()) listener.chunk(chunk);
      } catch (error) {
        this.#ended = { error };
        this.#chunks = [];
      }
      if (!this.#ended || this.#chunks.length > 0) return;
      this.#wake = undefined;
      listener.ended(this.#ended.error);
    };
    this.#wake = () => {
      if (isDue) return;
      isDue = true;
      void SOON.then(hand);
    };
    this.#wake();
  }

  /** No generator: each of its steps takes several turns, and every message comes through here. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, void, void> {
    let taken: Uint8Array[] = [];
    let at = 0;
    let isOver = false;
    const next = async (): Promise<IteratorResult<Uint8Array, void>> => {
      while (!isOver) {
        if (at < taken.length) return { done: false, value: taken[at++]! };
        at = 0;
        taken = this.#take();
        if (taken.length > 0) continue;
        if (!this.#ended)
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        else {
          isOver = true;
          if ("error" in this.#ended) throw this.#ended.error;
        }
      }
      return { done: true, value: undefined };
    };
    const end = async (): Promise<IteratorResult<Uint8Array, void>> => {
      isOver = true;
      return { done: true, value: undefined };
    };
    return { next, return: end };
  }

  #take(): Uint8Array[] {
    const taken = this.#chunks;
    this.#chunks = [];
    this.#unread = 0;
    if (this.#paused) {
      this.#paused = false;
      if (!this.#ended) this.#throttle.resume?.();
    }
    return taken;
  }
}
