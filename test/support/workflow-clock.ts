import { syncBuiltinESMExports } from "node:module";
import timersPromises from "node:timers/promises";

/**
 * Time that passes only when nobody has anything to do: client, workflow and the wasm board wait by the same clock, so a
 * minute of waiting costs nothing and a busy machine makes no board late. Work that leaves this process (QEMU, sockets)
 * must not run in it.
 */
export async function inVirtualTime<T>(
  work: () => Promise<T>,
  /** The shortest a timer takes: a millisecond, as Node's do; less to measure finer than Node can wait. */
  leastMs = 1,
): Promise<T> {
  const clock = new Clock(leastMs);
  const restore = install(clock);
  try {
    return await clock.drive(work());
  } finally {
    clock.stop();
    restore();
  }
}

/**
 * One of many parts of a test, with a limit of its own in real time: the limit of a test that has a hundred parts says how
 * busy the machine is, not which part hangs.
 */
export async function withinRealTime<T>(ms: number, part: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = real.setTimeout(() => reject(new Error(`${part} has not ended within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    real.clearTimeout(timer);
  }
}

/** What `setTimeout` and `setImmediate` give here. When time is real again, Node's own clear functions must pass it by. */
interface Handle {
  readonly _destroyed: true;
}

interface Timer extends Handle {
  at: number;
  order: number;
  fire: () => void;
}

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
  now: performance.now.bind(performance),
  delay: timersPromises.setTimeout,
};

/** Rounds of the event loop without a sign of work before time moves on: promise chains take some. */
const QUIET_ROUNDS = 3;

class Clock {
  now = real.now();
  readonly #leastMs: number;
  #timers: Timer[] = [];
  #order = 0;
  #immediates = new Map<Handle, NodeJS.Immediate>();
  #busy = false;

  constructor(leastMs: number) {
    this.#leastMs = leastMs;
  }

  async drive<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const end = () => {
      settled = true;
    };
    work.then(end, end);
    let quiet = 0;
    while (!settled) {
      this.#busy = false;
      await new Promise<void>((resolve) => real.setImmediate(resolve));
      quiet = this.#busy || this.#immediates.size > 0 ? 0 : quiet + 1;
      if (quiet >= QUIET_ROUNDS && this.#advance()) quiet = 0;
    }
    return work;
  }

  after(ms: number, fire: () => void): Timer {
    this.#busy = true;
    const timer = {
      at: this.now + Math.max(this.#leastMs, ms || 0),
      order: this.#order++,
      fire,
      _destroyed: true as const,
    };
    this.#timers.push(timer);
    return timer;
  }

  cancel(timer: Timer): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }

  soon(fire: () => void): Handle {
    this.#busy = true;
    const handle = { _destroyed: true as const };
    this.#immediates.set(
      handle,
      real.setImmediate(() => {
        this.#immediates.delete(handle);
        this.#busy = true;
        fire();
      }),
    );
    return handle;
  }

  /** What is left to be done is never done: its timers do not fire any more either. */
  stop(): void {
    for (const immediate of this.#immediates.values()) real.clearImmediate(immediate);
    this.#immediates.clear();
  }

  cancelSoon(handle: Handle): void {
    const immediate = this.#immediates.get(handle);
    if (immediate) real.clearImmediate(immediate);
    this.#immediates.delete(handle);
  }

  /** To the next timer; false when there is none, and something outside is waited for. */
  #advance(): boolean {
    const next = this.#timers.reduce<Timer | undefined>(
      (first, timer) =>
        !first || timer.at < first.at || (timer.at === first.at && timer.order < first.order) ? timer : first,
      undefined,
    );
    if (!next) return false;
    this.cancel(next);
    this.now = Math.max(this.now, next.at);
    next.fire();
    return true;
  }
}

function install(clock: Clock): () => void {
  Object.assign(globalThis, {
    setTimeout: (fire: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) =>
      clock.after(ms ?? 0, () => fire(...args)),
    // The board clears what it waits for with both.
    clearTimeout: (timer: Timer | Handle | undefined) => timer && "fire" in timer && clock.cancel(timer),
    setImmediate: (fire: (...args: unknown[]) => void, ...args: unknown[]) => clock.soon(() => fire(...args)),
    clearImmediate: (handle: Handle | undefined) => handle && clock.cancelSoon(handle),
  });
  performance.now = () => clock.now;
  timersPromises.setTimeout = delayOn(clock) as typeof timersPromises.setTimeout;
  syncBuiltinESMExports();
  return () => {
    const { setTimeout, clearTimeout, setImmediate, clearImmediate } = real;
    Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate, clearImmediate });
    performance.now = real.now;
    timersPromises.setTimeout = real.delay;
    syncBuiltinESMExports();
  };
}

/** As `setTimeout` of node:timers/promises, which on abort throws an error of its own around the reason. */
function delayOn(clock: Clock) {
  return (ms: number, value: unknown, { signal }: { signal?: AbortSignal } = {}) =>
    new Promise((resolve, reject) => {
      const abort = () => {
        clock.cancel(timer);
        reject(Object.assign(new Error("aborted", { cause: signal?.reason }), { name: "AbortError" }));
      };
      const timer = clock.after(ms, () => {
        signal?.removeEventListener("abort", abort);
        resolve(value);
      });
      if (signal?.aborted) abort();
      else signal?.addEventListener("abort", abort, { once: true });
    });
}
