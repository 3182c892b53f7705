import { readdirSync, readFileSync } from "node:fs";

/** However busy the host is: so many times as long as on an idle one, and no longer. */
const MOST_TIMES = 12;

/**
 * How long to wait for a board that may be silent for good. What counts is the time in which the board could run: a host that
 * is busy withholds its processors from this process and its emulators, and that says nothing about the board.
 */
export class Patience {
  readonly #start = performance.now();
  readonly #ms: number;
  #looked: Look | undefined;
  #counted = 0;

  /** `ms`: on an idle host. */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** To be asked now and then while the board is silent; the first time takes the time until then as it is. */
  get isOver(): boolean {
    const look: Look = { at: performance.now(), withheld: withheldOf(familyTasks()) };
    const before = this.#looked;
    this.#looked = look;
    this.#counted += before ? timeLeft(before, look) : look.at - this.#start;
    return this.#counted >= this.#ms || look.at - this.#start >= this.#ms * MOST_TIMES;
  }
}

/** A moment, and how long each thread had waited for a processor until then; both in milliseconds. */
export interface Look {
  readonly at: number;
  readonly withheld: ReadonlyMap<string, number>;
}

/** Of the time between two looks, what the thread that waited longest for a processor had left. */
export function timeLeft(before: Look, now: Look): number {
  const waits = [...now.withheld].map(([task, ms]) => ms - (before.withheld.get(task) ?? ms));
  const elapsed = now.at - before.at;
  return Math.max(0, elapsed - Math.max(0, ...waits));
}

/** Milliseconds that each thread has waited for a processor, ready to run, since it began (Linux, CONFIG_SCHED_INFO). */
function withheldOf(tasks: readonly string[]): Map<string, number> {
  const all = new Map<string, number>();
  for (const task of tasks) {
    const ns = Number(textOf(`${task}/schedstat`)?.split(" ")[1]);
    if (Number.isFinite(ns)) all.set(task, ns / 1e6);
  }
  return all;
}

/** The threads of this process and of those that it started. Elsewhere than on Linux none: then the clock alone counts. */
function familyTasks(): string[] {
  return ["self", ...childrenOf(process.pid)].flatMap(tasksOf);
}

function childrenOf(parent: number): string[] {
  const processes = namesIn("/proc").filter((name) => /^\d+$/.test(name));
  // proc(5): "pid (name) state ppid ...", and the name may contain anything.
  return processes.filter(
    (pid) => Number(/.*\) \S (\d+)/s.exec(textOf(`/proc/${pid}/stat`) ?? "")?.[1]) === parent,
  );
}

function tasksOf(pid: string): string[] {
  return namesIn(`/proc/${pid}/task`).map((tid) => `/proc/${pid}/task/${tid}`);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // No Linux, or the process has just ended.
    return [];
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // The thread has just ended.
    return undefined;
  }
}
