import { untilAborted } from "./until-aborted.js";

/**
 * Who may use the link. An ordinary request has it alone; requests of one transfer share it. First come, first served, so
 * a long transfer cannot keep an ordinary request waiting for ever.
 */
export class LinkLock {
  #alone: Promise<void> = Promise.resolve();
  /** How many have it alone, or wait for that. */
  #aloneOnes = 0;
  /** Who shares it since somebody had it alone last; closed when all are done. */
  #sharing: { count: number; readonly closed: Promise<void>; close(): void } | undefined;

  /** Waits until everybody before is done. Call what it returns when done. Abort throws the signal's reason. */
  async alone(signal: AbortSignal | undefined): Promise<() => void> {
    const before = this.#sharing
      ? Promise.all([this.#alone, this.#sharing.closed]).then(() => {})
      : this.#alone;
    // Whoever comes from here on waits behind this one.
    this.#sharing = undefined;
    const mine = open();
    this.#aloneOnes++;
    this.#alone = before.then(() => mine.closed).finally(() => void this.#aloneOnes--);
    return this.#entered(before, mine, signal);
  }

  /** Waits until nobody has the link alone. */
  shared(signal: AbortSignal | undefined): (() => void) | Promise<() => void> {
    this.#sharing ??= { count: 0, ...open() };
    const sharing = this.#sharing;
    sharing.count++;
    const close = () => {
      if (--sharing.count > 0) return;
      if (this.#sharing === sharing) this.#sharing = undefined;
      sharing.close();
    };
    // Nearly always nobody has it alone, and a transfer asks for each of its messages.
    return this.#aloneOnes === 0 ? close : this.#entered(this.#alone, { close }, signal);
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
