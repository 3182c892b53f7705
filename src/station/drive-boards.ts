import { setMaxListeners } from "node:events";
import { run } from "../session/run.js";

/** What one board has to do, under the name that tells it from the others. */
export interface BoardTask<Event, Result> {
  readonly name: string;
  /** Opens what it needs, tells what happens, and puts everything away again. `signal` ends it early. */
  start(signal: AbortSignal): AsyncGenerator<Event, Result, void>;
}

/** How a task ended: with its result, or with the error that stopped it. */
export type TaskEnding<Result> =
  | { readonly board: string; readonly kind: "done"; readonly result: Result }
  | { readonly board: string; readonly kind: "failed"; readonly error: unknown };

export type StationEvent<Event, Result> =
  | { readonly board: string; readonly kind: "event"; readonly event: Event }
  | TaskEnding<Result>;

/**
 * Drives several boards at once in this process. The events of all boards come out in the order in which they happen. A
 * board that fails is told as `failed`; the others go on. Leaving the loop early, or aborting `signal`, ends every task and
 * waits until each has put its things away.
 *
 * @param tasks - one for each board, with different names
 * @param options - `signal` ends every task
 * @returns how each task ended, in the order of `tasks`
 */
export async function* driveBoards<Event, Result>(
  tasks: readonly BoardTask<Event, Result>[],
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<StationEvent<Event, Result>, TaskEnding<Result>[], void> {
  const leaving = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, leaving.signal]) : leaving.signal;
  // Every board listens to it: many listeners are no leak here.
  setMaxListeners(0, signal);
  const events: StationEvent<Event, Result>[] = [];
  let wake = () => {};
  const tell = (event: StationEvent<Event, Result>) => {
    events.push(event);
    wake();
  };
  const running = tasks.map(async ({ name, start }) => {
    const ending = await ended(name, () =>
      run(start(signal), (event) => tell({ board: name, kind: "event", event })),
    );
    tell(ending);
    return ending;
  });
  try {
    for (let under = tasks.length; under > 0; ) {
      const event = events.shift();
      if (event === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if (event.kind !== "event") under--;
      yield event;
    }
    return await Promise.all(running);
  } finally {
    leaving.abort();
    await Promise.all(running);
  }
}

async function ended<Result>(board: string, work: () => Promise<Result>): Promise<TaskEnding<Result>> {
  try {
    return { board, kind: "done", result: await work() };
  } catch (error) {
    return { board, kind: "failed", error };
  }
}
