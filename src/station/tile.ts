import type { Job, JobRecord, TileFacts } from "./job.js";
import type { StationBoard } from "./station-work.js";

export interface RunningJob {
  readonly job: Job;
  readonly startedAt: string;
  readonly step: string;
  readonly progress?: { readonly done: number; readonly total: number };
  /** Bytes (or what is counted) a second since the step began; absent at its start. */
  readonly rate?: number;
  readonly isStopping: boolean;
}

/** How the last job of a board ended, in what a tile has room for. */
export type LastVerdict = Pick<
  JobRecord,
  "id" | "kind" | "verdict" | "outcome" | "message" | "hint" | "endedAt" | "exitStatus" | "label"
>;

/** `away`: what is plugged in is not there now. `failing`: the last look could not open or ask it. */
export type TileState = "unknown" | "idle" | "busy" | "failing" | "away";

export interface Tile extends StationBoard {
  readonly state: TileState;
  /** Why it fails: who has its port, what could not be opened. */
  readonly message?: string;
  readonly facts?: TileFacts;
  readonly running?: RunningJob;
  readonly queue: readonly Job[];
  /** Boards without which its next job does not begin; absent when it waits for none. */
  readonly waitsFor?: readonly string[];
  readonly last?: LastVerdict;
}

export interface Place {
  board: StationBoard;
  isAway: boolean;
  failing: string | undefined;
  facts: TileFacts | undefined;
  running: Running | undefined;
  readonly queue: Job[];
  last: LastVerdict | undefined;
  readonly console: string[];
}

export interface Running {
  readonly job: Job;
  readonly startedAt: string;
  /** A person stops it, or the station ends. */
  readonly abort: AbortController;
  /** Of a group: the station ends. A person who stops it waits until its boards are taken back. */
  readonly leave?: AbortController;
  step: string;
  progress: { done: number; total: number } | undefined;
  stepBegan: { at: number; done: number };
  retries: number;
}

export function newPlace(board: StationBoard): Place {
  return {
    board: shownOf(board),
    isAway: false,
    failing: undefined,
    facts: undefined,
    running: undefined,
    queue: [],
    last: undefined,
    console: [],
  };
}

/** No more of it than a page may show: an address may hold a token, a power switch a command line. */
export function shownOf({ name, tags, where }: StationBoard): StationBoard {
  return { name, tags, where };
}

export function tileOf({ board, isAway, failing, facts, running, queue, last }: Place): Tile {
  return {
    ...board,
    state: running
      ? "busy"
      : isAway
        ? "away"
        : failing !== undefined
          ? "failing"
          : facts
            ? "idle"
            : "unknown",
    ...(failing !== undefined && { message: failing }),
    ...(facts && { facts }),
    ...(running && { running: runningOf(running) }),
    queue: [...queue],
    ...(last && { last }),
  };
}

function runningOf({ job, startedAt, step, progress, stepBegan, abort }: Running): RunningJob {
  const seconds = (performance.now() - stepBegan.at) / 1000;
  const moved = progress && progress.done - stepBegan.done;
  return {
    job,
    startedAt,
    step,
    ...(progress && { progress }),
    ...(moved && moved > 0 && seconds > 0.5 && { rate: Math.round(moved / seconds) }),
    isStopping: abort.signal.aborted,
  };
}
