/**
 * What a bench station does with a board. `together` is a flash of several boards that all keep the image, or none. `look` reads
 * what a board runs; `follow` shows its console until it is stopped. These two change nothing and leave no record.
 */
export const JOB_KINDS = [
  "flash",
  "together",
  "prove-quick",
  "prove-full",
  "recover",
  "look",
  "follow",
] as const;

export type JobKind = (typeof JOB_KINDS)[number];

/** Whether jobs of that kind send an update file. */
export const isWithUpdate = (kind: JobKind): boolean => ["flash", "together", "recover"].includes(kind);

/** An update file that jobs may send. */
export interface UpdateName {
  readonly name: string;
  /** Of the whole file, hex. */
  readonly sha256: string;
  readonly version?: string;
}

/** What a board was when somebody asked for a job on it. What it did not report is absent. */
export type ExpectedBoard = Pick<TileFacts, "id" | "hash" | "version">;

/** What somebody asked for, on one board. */
export interface Job {
  readonly id: string;
  readonly board: string;
  readonly kind: JobKind;
  readonly update?: UpdateName;
  /** With `recover`: write over a board that is alive, and past MCUboot. */
  readonly agreed?: boolean;
  /** Of the kind `together`: which jobs are one, and on which boards, this one among them. */
  readonly group?: { readonly id: string; readonly boards: readonly string[] };
  /** The board that was meant; absent when nobody knew. Another one is not written to. */
  readonly expected?: ExpectedBoard;
  /** Words of the person who asked: a ticket, a serial number from a scanner. */
  readonly label?: string;
  /** ISO 8601. */
  readonly queuedAt: string;
  /** How often it was begun before: a station that was killed begins its jobs again. */
  readonly begunBefore: number;
}

/** `unfinished`: the station was killed meanwhile and the job was not begun again. */
export type JobVerdict = "pass" | "fail" | "stopped" | "unfinished";

/** What a board runs, as it said itself. What it does not report is absent. */
export interface TileFacts {
  /** What the board itself is known by. */
  readonly id?: string;
  readonly server: "application" | "recovery" | "unknown";
  readonly version?: string;
  /** Image hash, hex. */
  readonly hash?: string;
  readonly confirmed?: boolean;
  /** The security counter that the board has stored. */
  readonly counter?: number;
  readonly mode?: string;
  /** ISO 8601. */
  readonly readAt: string;
}

/** What came of a job. */
export interface JobEnding {
  readonly verdict: JobVerdict;
  /** The verb's own word: `confirmed`, `not-running`, the code of an error. */
  readonly outcome: string;
  /** What the verb would have ended with on the command line. */
  readonly exitStatus: number;
  readonly message: string;
  readonly hint?: string;
  /** What the board runs afterwards, asked anew; absent when it does not answer. */
  readonly runs?: TileFacts;
  /** Links that were lost and found again, uploads that were begun again. */
  readonly retries: number;
  /** There is a page of evidence. */
  readonly evidence?: boolean;
}

/** One job in the history. */
export interface JobRecord extends Job, JobEnding {
  /** The port, address or flash file that the board was reached by. */
  readonly where: string;
  readonly startedAt: string;
  readonly endedAt: string;
}

/** What the journal of a station keeps, one entry a line. */
export type JournalEntry =
  | { readonly at: string; readonly kind: "queued"; readonly job: Job }
  | { readonly at: string; readonly kind: "started"; readonly id: string }
  /** Taken back before it began. */
  | { readonly at: string; readonly kind: "withdrawn"; readonly id: string }
  | { readonly at: string; readonly kind: "ended"; readonly record: JobRecord }
  /** Jobs that are one end in one line: a station that is killed never finds half of them ended. */
  | { readonly at: string; readonly kind: "ended-together"; readonly records: readonly JobRecord[] };

/** What a journal says of the time before this start. */
export interface Replayed {
  readonly records: readonly JobRecord[];
  /** Queued and never begun, in their order. */
  readonly waiting: readonly Job[];
  /** Begun and not ended: the station was killed meanwhile. */
  readonly underWay: readonly Job[];
}

/** The outcome of a job that found another board than the one that was meant. */
export const OTHER_BOARD = "other-board";

/**
 * What a board is known by that ran this.
 *
 * @param facts - as last read
 * @returns undefined when they tell nothing that differs from board to board
 */
export function expectedOf(facts: TileFacts | undefined): ExpectedBoard | undefined {
  const { id, hash, version } = facts ?? {};
  if (id === undefined && hash === undefined) return undefined;
  return {
    ...(id !== undefined && { id }),
    ...(hash !== undefined && { hash }),
    ...(version !== undefined && { version }),
  };
}

/**
 * A job that waits behind another one expects what that one left. A job that found another board leaves its followers as they are:
 * they were meant for the board of before as well.
 *
 * @param job - it waits, on the same board
 * @param ending - of the one before it
 * @returns the job with what it expects now
 */
export function expectingAfter(job: Job, { outcome, runs }: Pick<JobEnding, "outcome" | "runs">): Job {
  if (outcome === OTHER_BOARD || !isRecorded(job.kind)) return job;
  const { expected: before, ...rest } = job;
  // Nobody knows what it runs now; who it is does not change.
  const known = expectedOf(runs) ?? (before?.id === undefined ? undefined : { id: before.id });
  return known ? { ...rest, expected: known } : rest;
}

/** Jobs that change a board, and therefore are journaled. */
export const isRecorded = (kind: JobKind): boolean => kind !== "look" && kind !== "follow";

/**
 * Reads a journal from its beginning.
 *
 * @param entries - in the order in which they were written
 * @returns ended jobs, and those that wait or were under way
 */
export function replay(entries: Iterable<JournalEntry>): Replayed {
  const records: JobRecord[] = [];
  // A job that is queued again keeps its place.
  const open = new Map<string, { readonly job: Job; readonly isUnderWay: boolean }>();
  const end = (record: JobRecord) => {
    records.push(record);
    open.delete(record.id);
    for (const [id, { job, ...rest }] of open)
      if (job.board === record.board) open.set(id, { ...rest, job: expectingAfter(job, record) });
  };
  for (const entry of entries)
    switch (entry.kind) {
      case "queued":
        open.set(entry.job.id, { job: entry.job, isUnderWay: false });
        break;
      case "started": {
        const one = open.get(entry.id);
        if (one) open.set(entry.id, { job: one.job, isUnderWay: true });
        break;
      }
      case "withdrawn":
        open.delete(entry.id);
        break;
      case "ended":
        end(entry.record);
        break;
      case "ended-together":
        entry.records.forEach(end);
    }
  const those = (under: boolean) =>
    [...open.values()].flatMap(({ job, isUnderWay }) => (isUnderWay === under ? [job] : []));
  return { records, waiting: those(false), underWay: those(true) };
}
