/** Something that is waited for until a moment. */
export interface Deadline {
  /** By `performance.now()`, milliseconds. */
  readonly dueAt: number;
  /** It did not come in time. */
  due(): void;
}

/** The longest that a timer can be set to, milliseconds. */
const LONGEST_MS = 2 ** 31 - 1;
/** Two reckonings of one moment may differ by so much, milliseconds. */
const ROUNDING_MS = 0.001;

/**
 * Any number of deadlines and one timer. It is not set anew when what it was set for has come: of a transfer's messages
 * hardly one is late, and a timer for each cost as much as its encoding.
 */
export class Deadlines {
  readonly #open = new Set<Deadline>();
  #timer: NodeJS.Timeout | undefined;
  #ringsAt = Number.POSITIVE_INFINITY;

  add(deadline: Deadline): void {
    this.#open.add(deadline);
    if (deadline.dueAt < this.#ringsAt) this.#set(deadline.dueAt);
  }

  /** It came, or nobody waits for it any more. False: it was not open. */
  delete(deadline: Deadline): boolean {
    if (!this.#open.delete(deadline)) return false;
    if (this.#open.size === 0) this.#unset();
    return true;
  }

  #set(at: number): void {
    clearTimeout(this.#timer);
    this.#ringsAt = at;
    this.#timer = setTimeout(() => this.#ring(), Math.min(Math.max(0, at - performance.now()), LONGEST_MS));
  }

  /** Nothing is waited for, and a timer would keep the program alive. */
  #unset(): void {
    clearTimeout(this.#timer);
    this.#ringsAt = Number.POSITIVE_INFINITY;
  }

  #ring(): void {
    const now = performance.now() + ROUNDING_MS;
    let next = Number.POSITIVE_INFINITY;
    for (const deadline of this.#open) {
      if (deadline.dueAt > now) next = Math.min(next, deadline.dueAt);
      // After a time in which this process had no processor it may have come already: what has come is read first.
      else setImmediate(() => this.delete(deadline) && deadline.due());
    }
    if (next < Number.POSITIVE_INFINITY) this.#set(next);
    else this.#ringsAt = Number.POSITIVE_INFINITY;
  }
}
