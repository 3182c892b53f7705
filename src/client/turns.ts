import { untilAborted } from "./until-aborted.js";

/**
 * Who may use the link. An ordinary request has it alone; requests of one transfer share it. First come, first served, so
 * a long transfer cannot keep an ordinary request waiting for ever.
 */
export class Turns {
  #alone: Promise<void> = Promise.resolve();
  readonly #sharing = new Set<Promise<void>>();

  /** Waits until everybody before is done. Call what it returns when done. Abort throws the signal's reason. */
  async alone(signal: AbortSignal | undefined): Promise<() => void> {
    const before = Promise.all([this.#alone, ...this.#sharing]).then(() => {});
    const mine = open();
    this.#alone = before.then(() => mine.closed);
    return this.#entered(before, mine, signal);
  }

  /** Waits until nobody has the link alone. */
  async shared(signal: AbortSignal | undefined): Promise<() => void> {
    const mine = open();
    this.#sharing.add(mine.closed);
    void mine.closed.then(() => this.#sharing.delete(mine.closed));
    return this.#entered(this.#alone, mine, signal);
  }

  async #entered(
    before: Promise<void>,
    mine: { close(): void },
    signal: AbortSignal | undefined,
  ): Promise<() => void> {
    try {
      await untilAborted(before, signal);
      return mine.close;
    } catch (error) {
      mine.close();
      throw error;
    }
  }
}

function open(): { closed: Promise<void>; close(): void } {
  let close = () => {};
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  return { closed, close };
}
