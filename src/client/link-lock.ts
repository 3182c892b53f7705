import { untilAborted } from "./until-aborted.js";

/** Somebody's use of the link. */
export interface Turn {
  close(): void;
}

/**
 * Who may use the link. An ordinary request has it alone; requests of one transfer share it. First come, first served, so
 * a long transfer cannot keep an ordinary request waiting for ever.
 */
export class LinkLock {
  #alone: Promise<void> = Promise.resolve();
  /** How many have it alone, or wait for that. */
  #aloneOnes = 0;
  /** Who shares it since somebody had it alone last. */
  #sharing = new Sharing();

  /** Waits until everybody before is done. Call what it returns when done. Abort throws the signal's reason. */
  async alone(signal: AbortSignal | undefined): Promise<() => void> {
    const before = this.#sharing.isEmpty
      ? this.#alone
      : Promise.all([this.#alone, this.#sharing.emptied()]).then(() => {});
    // Whoever comes from here on waits behind this one.
    if (!this.#sharing.isEmpty) this.#sharing = new Sharing();
    const mine = open();
    this.#aloneOnes++;
    this.#alone = before.then(() => mine.closed).finally(() => void this.#aloneOnes--);
    return this.#entered(before, mine, signal);
  }

  /** Waits until nobody has the link alone. Close what it returns when done. */
  shared(signal: AbortSignal | undefined): Turn | Promise<Turn> {
    const sharing = this.#sharing;
    sharing.enter();
    // Nearly always nobody has it alone, and a transfer asks for each of its messages.
    if (this.#aloneOnes === 0) return sharing;
    return this.#entered(this.#alone, sharing, signal).then(() => sharing);
  }

  async #entered(
    before: Promise<void>,
    mine: { close(): void },
    signal: AbortSignal | undefined,
  ): Promise<() => void> {
    try {
      await untilAborted(before, signal);
      return () => mine.close();
    } catch (error) {
      mine.close();
      throw error;
    }
  }
}

/** Whoever shares the link at one time. */
class Sharing implements Turn {
  #count = 0;
  #emptied: { closed: Promise<void>; close(): void } | undefined;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  enter(): void {
    this.#count++;
  }

  close(): void {
    if (--this.#count === 0) this.#emptied?.close();
  }

  emptied(): Promise<void> {
    this.#emptied ??= open();
    return this.#emptied.closed;
  }
}

function open(): { closed: Promise<void>; close(): void } {
  let close = () => {};
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  return { closed, close };
}
