/** Unread bytes above which the source is asked to pause, so that a talkative device cannot fill the memory. */
const HIGH_WATER = 256 * 1024;

/** How the queue slows its source down. A source that cannot be slowed leaves both out. */
export interface Throttle {
  pause?(): void;
  resume?(): void;
}

/**
 * The receiving half of a pipe: events push chunks in, one consumer iterates them out. Chunks that arrived before the
 * end or the failure are still delivered, in order.
 */
export class ChunkQueue implements AsyncIterable<Uint8Array> {
  readonly #throttle: Throttle;
  #chunks: Uint8Array[] = [];
  #unread = 0;
  #paused = false;
  #ended: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(throttle: Throttle = {}) {
    this.#throttle = throttle;
  }

  push(chunk: Uint8Array): void {
    if (this.#ended || chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#unread += chunk.length;
    if (!this.#paused && this.#unread > HIGH_WATER) {
      this.#paused = true;
      this.#throttle.pause?.();
    }
    this.#wake?.();
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
