import type { Job, JobEnding, JournalEntry, TileFacts } from "./job.js";

/** A board that the station has a tile for. */
export interface StationBoard {
  readonly name: string;
  readonly tags: readonly string[];
  /** The port, address or flash file by which it is reached. */
  readonly where: string;
}

/** What a job tells while it runs. */
export interface JobProgress {
  /** What the board does now, in a word or two. */
  readonly step?: string;
  readonly progress?: { readonly done: number; readonly total: number };
  /** Sentences that somebody should read. */
  readonly notes?: readonly string[];
  /** Lines of the board's console. */
  readonly console?: readonly string[];
  readonly facts?: TileFacts;
  /** A link was lost, or an upload had to begin again. */
  readonly isRetry?: boolean;
}

/** What a job is given while it runs. */
export interface JobControl {
  /** Aborted when a person stops the job, or the station ends. */
  readonly signal: AbortSignal;
  tell(progress: JobProgress): void;
}

/** What a job on several boards is given while it runs. */
export interface GroupControl {
  /** Aborted when the station ends: nothing more is done. */
  readonly signal: AbortSignal;
  /** Aborted when a person stops the job: boards are taken back as long as that is possible. */
  readonly giveUp: AbortSignal;
  tell(board: string, progress: JobProgress): void;
}

/** What a station cannot do by itself. */
export interface StationWork {
  /** Does a job on a board. Aborting `signal` ends it; it puts away what it opened. */
  run(job: Job, board: StationBoard, how: JobControl): Promise<JobEnding>;
  /** Does the jobs of one group, on all of its boards at once. Returns how it ended on each board. */
  runGroup(jobs: readonly Job[], how: GroupControl): Promise<ReadonlyMap<string, JobEnding>>;
  /** Writes an entry to the journal, and returns once it is on the disk. Throws when it cannot. */
  note(entry: JournalEntry): void;
}
