import {
  expectedOf,
  expectingAfter,
  isRecorded,
  type Job,
  type JobEnding,
  type JobKind,
  type JobRecord,
  type JournalEntry,
  type Replayed,
  type UpdateName,
} from "./job.js";
import type { JobProgress, StationBoard, StationWork } from "./station-work.js";
import { newPlace, type Place, type Running, shownOf, type Tile, tileOf } from "./tile.js";

export interface StationView {
  readonly tiles: readonly Tile[];
  /** Why the journal cannot be written; absent when it can. No job begins meanwhile. */
  readonly journalProblem?: string;
}

/** What somebody asks of some boards at once. */
export interface JobRequest {
  readonly kind: JobKind;
  readonly boards: readonly string[];
  readonly update?: UpdateName | undefined;
  readonly agreed?: boolean | undefined;
  readonly label?: string | undefined;
}

const CONSOLE_LINES = 500;
const LONGEST_LINE = 400;

type Group = NonNullable<Job["group"]>;

const isReadyFor = ({ id }: Group, place: Place | undefined): boolean =>
  place !== undefined && !place.running && !place.isAway && place.queue[0]?.group?.id === id;

/** Why a running job is aborted: a person asked, or the station itself ends. */
class Stopped extends Error {
  override readonly message = "It was stopped by a user.";
}
class Leaving extends Error {
  override readonly message = "The station was stopped in the meantime.";
}

/**
 * A bench: a tile and a queue for each board, a journal of all jobs. Boards work side by side, one job at a time each. What
 * jobs do and where the journal lies is given as {@link StationWork}; this knows neither ports nor files nor HTTP.
 */
export class Station {
  readonly #work: StationWork;
  readonly #places = new Map<string, Place>();
  readonly #records: JobRecord[];
  readonly #unwritten: JournalEntry[] = [];
  readonly #listeners = new Set<(board: string | undefined) => void>();
  readonly #working = new Set<Promise<void>>();
  #journalProblem: string | undefined;
  #isLeaving = false;
  #ids = 0;

  constructor(work: StationWork, boards: readonly StationBoard[], before: Replayed) {
    this.#work = work;
    this.#records = [...before.records];
    for (const board of boards) this.#places.set(board.name, newPlace(board));
    for (const record of before.records) this.#showLast(record);
  }

  /** Goes on where an earlier station stopped: jobs that were under way first, then what was queued. */
  resume({ waiting, underWay }: Pick<Replayed, "waiting" | "underWay">): void {
    const open = [...underWay, ...waiting];
    const has = (job: Job) => this.#places.has(job.board);
    // A group of which a board is gone, or that was never queued as a whole, cannot be done.
    const isWhole = (job: Job) =>
      (job.group?.boards ?? []).every((board) =>
        open.some((other) => other.board === board && other.group?.id === job.group?.id && has(other)),
      );
    for (const job of underWay) {
      const again = { ...job, begunBefore: job.begunBefore + 1 };
      if (has(job) && isWhole(job)) this.#enqueue(again);
      else if (has(job)) this.#endWithout(job, "This station no longer has all boards of the group.");
      else this.#endWithout(job, "This station no longer has a board of that name.");
    }
    for (const job of waiting)
      if (has(job) && isWhole(job)) this.#places.get(job.board)!.queue.push(job);
      else this.#note({ at: now(), kind: "withdrawn", id: job.id });
    this.#startWhatCan();
  }

  get records(): readonly JobRecord[] {
    return this.#records;
  }

  view(): StationView {
    const tiles = [...this.#places.values()].map((place) => this.#tileOf(place));
    return { tiles, ...(this.#journalProblem !== undefined && { journalProblem: this.#journalProblem }) };
  }

  tile(board: string): Tile | undefined {
    const place = this.#places.get(board);
    return place && this.#tileOf(place);
  }

  #tileOf(place: Place): Tile {
    const group = place.running ? undefined : place.queue[0]?.group;
    const others = group?.boards.filter((board) => !isReadyFor(group, this.#places.get(board))) ?? [];
    const waitsFor = others.filter((board) => board !== place.board.name);
    return { ...tileOf(place), ...(waitsFor.length > 0 && { waitsFor }) };
  }

  /** The last lines of a board's console, as jobs heard them. */
  consoleOf(board: string): readonly string[] | undefined {
    return this.#places.get(board)?.console;
  }

  /** Called with the board whose tile changed; without one when it is about the station. Returns how to end it. */
  onChange(listener: (board: string | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Adds a board that was plugged in, or that is back, perhaps elsewhere. */
  arrived(board: StationBoard): void {
    const place = this.#places.get(board.name);
    if (place) {
      place.board = shownOf(board);
      place.isAway = false;
    } else this.#places.set(board.name, newPlace(board));
    this.#tell(board.name);
    this.#startWhatCan();
  }

  left(board: string): void {
    const place = this.#places.get(board);
    if (!place) return;
    place.isAway = true;
    place.facts = undefined;
    this.#tell(board);
  }

  /** Queues a job on each board. Nothing is queued when one of the boards does not exist. Returns the jobs. */
  submit(request: JobRequest): Job[] {
    const jobs = this.#newJobs(request);
    for (const job of jobs) this.#enqueue(job);
    this.#startWhatCan();
    return jobs;
  }

  #newJobs({ kind, boards, update, agreed, label }: JobRequest): Job[] {
    const queuedAt = now();
    const newId = () => `${queuedAt.replace(/[-:.]/g, "")}-${++this.#ids}`;
    const group = kind === "together" ? { id: newId(), boards: [...boards] } : undefined;
    return boards.map((board): Job => {
      const expected = isRecorded(kind) ? expectedOf(this.#places.get(board)?.facts) : undefined;
      return {
        id: newId(),
        board,
        kind,
        queuedAt,
        begunBefore: 0,
        ...(expected && { expected }),
        ...(update && { update }),
        ...(group && { group }),
        ...(agreed && { agreed }),
        ...(label && { label }),
      };
    });
  }

  /** Takes a job from its queue, or stops it; with it the others of its group. False when there is none of that id. */
  stop(id: string): boolean {
    const all = [...this.#places.values()].flatMap(({ running, queue }) => [
      ...(running ? [running.job] : []),
      ...queue,
    ]);
    const job = all.find((one) => one.id === id);
    if (!job) return false;
    for (const one of all)
      if (one === job || (job.group && one.group?.id === job.group.id)) this.#stopOne(one);
    this.#startWhatCan();
    return true;
  }

  #stopOne(job: Job): void {
    const { queue, running } = this.#places.get(job.board)!;
    if (running?.job === job) running.abort.abort(new Stopped());
    else {
      queue.splice(queue.indexOf(job), 1);
      if (isRecorded(job.kind)) this.#note({ at: now(), kind: "withdrawn", id: job.id });
    }
    this.#tell(job.board);
  }

  /**
   * Ends the station: running jobs are aborted and stay in the journal as under way, so that the next start finishes them;
   * those that put their board back by themselves end as stopped.
   */
  async close(): Promise<void> {
    this.#isLeaving = true;
    for (const { running } of this.#places.values()) (running?.leave ?? running?.abort)?.abort(new Leaving());
    await Promise.all(this.#working);
  }

  #enqueue(job: Job): void {
    if (isRecorded(job.kind)) this.#note({ at: now(), kind: "queued", job });
    const { queue } = this.#places.get(job.board)!;
    queue.push(job);
    this.#tell(job.board);
  }

  #startWhatCan(): void {
    if (this.#isLeaving) return;
    this.#writeUnwritten();
    for (const place of this.#places.values()) {
      if (place.running || place.isAway) continue;
      const [next] = place.queue;
      // A job that could not be found in the journal afterwards is not begun.
      if (next === undefined || (isRecorded(next.kind) && this.#journalProblem !== undefined)) continue;
      const places = next.group ? this.#placesReady(next.group) : [place];
      if (!places) continue;
      const jobs = places.map(({ queue }) => queue.shift()!);
      const work = next.group ? this.#runGroup(places, jobs) : this.#run(place, next);
      this.#working.add(work);
      void work.finally(() => this.#working.delete(work));
    }
  }

  /** The places of a group once it is next on each of them; undefined until then. */
  #placesReady(group: Group): Place[] | undefined {
    const places = group.boards.map((board) => this.#places.get(board)!);
    return places.every((place) => isReadyFor(group, place)) ? places : undefined;
  }

  #begin(place: Place, job: Job, stops: Pick<Running, "abort" | "leave">): Running {
    const running: Running = {
      job,
      startedAt: now(),
      ...stops,
      step: "starting",
      progress: undefined,
      stepBegan: { at: performance.now(), done: 0 },
      retries: 0,
    };
    place.running = running;
    if (isRecorded(job.kind)) this.#note({ at: running.startedAt, kind: "started", id: job.id });
    this.#tell(job.board);
    return running;
  }

  async #run(place: Place, job: Job): Promise<void> {
    const running = this.#begin(place, job, { abort: new AbortController() });
    const ending = await this.#drive(place, running);
    place.running = undefined;
    const { reason } = running.abort.signal;
    // A board that is put back by its own job is done with; all others are finished at the next start.
    const goesOn = reason instanceof Leaving && ending.verdict === "stopped" && !job.kind.startsWith("prove");
    if (!goesOn) {
      const record = this.#ended(place, running, ending);
      if (record) this.#note({ at: record.endedAt, kind: "ended", record });
    }
    this.#tell(job.board);
    this.#startWhatCan();
  }

  async #runGroup(places: readonly Place[], jobs: readonly Job[]): Promise<void> {
    const stops = { abort: new AbortController(), leave: new AbortController() };
    const runs = new Map(places.map((place, at) => [place, this.#begin(place, jobs[at]!, stops)]));
    const endings = await this.#driveGroup(runs, stops);
    for (const place of places) place.running = undefined;
    if (endings) {
      const records = [...runs].flatMap(([place, running]) => {
        const ending = endings.get(running.job.board)!;
        return this.#ended(place, running, { ...ending, retries: ending.retries + running.retries }) ?? [];
      });
      this.#note({ at: now(), kind: "ended-together", records });
    }
    for (const { board } of places) this.#tell(board.name);
    this.#startWhatCan();
  }

  /** Undefined when the station ends meanwhile: the group is finished at the next start. */
  async #driveGroup(
    runs: ReadonlyMap<Place, Running>,
    { abort, leave }: { abort: AbortController; leave: AbortController },
  ): Promise<ReadonlyMap<string, JobEnding> | undefined> {
    const byName = new Map([...runs].map((one) => [one[1].job.board, one]));
    const jobs = [...runs.values()].map(({ job }) => job);
    const tell = (board: string, progress: JobProgress) => {
      const [place, running] = byName.get(board)!;
      this.#take(place, running, progress);
    };
    try {
      return await this.#work.runGroup(jobs, { signal: leave.signal, giveUp: abort.signal, tell });
    } catch (error) {
      if (leave.signal.aborted) return undefined;
      const message = error instanceof Error ? error.message : String(error);
      const ending = { verdict: "fail", outcome: "fault", exitStatus: 1, message, retries: 0 } as const;
      return new Map(jobs.map(({ board }) => [board, ending]));
    }
  }

  async #drive(place: Place, running: Running): Promise<JobEnding> {
    const { signal } = running.abort;
    const { job } = running;
    const { board } = place;
    try {
      const tell = (progress: JobProgress) => this.#take(place, running, progress);
      const ending = await this.#work.run(job, board, { signal, tell });
      return { ...ending, retries: ending.retries + running.retries };
    } catch (error) {
      // The work itself turns errors into endings: this is a fault, or an abort that it passed on.
      if (signal.aborted) return stoppedBy(signal.reason, running.retries);
      const message = error instanceof Error ? error.message : String(error);
      return { verdict: "fail", outcome: "fault", exitStatus: 1, message, retries: running.retries };
    }
  }

  #take(place: Place, running: Running, report: JobProgress): void {
    const { step, progress, notes = [], console: lines = [], facts, isRetry } = report;
    if (step !== undefined && step !== running.step) {
      running.step = step;
      running.progress = undefined;
      running.stepBegan = { at: performance.now(), done: progress?.done ?? 0 };
    }
    if (progress) running.progress = { ...progress };
    if (isRetry) running.retries++;
    if (facts) {
      place.facts = facts;
      place.failing = undefined;
    }
    for (const line of [...notes.map((note) => `-- ${note}`), ...lines])
      place.console.push(line.slice(0, LONGEST_LINE));
    place.console.splice(0, place.console.length - CONSOLE_LINES);
    this.#tell(place.board.name);
  }

  /** The record of what ended, for the journal; undefined when none is kept of such jobs. */
  #ended(place: Place, { job, startedAt }: Running, ending: JobEnding): JobRecord | undefined {
    if (ending.runs) place.facts = ending.runs;
    else if (ending.verdict === "fail") place.facts = undefined;
    this.#expectAfter(place, job, ending);
    const isDark = ending.verdict === "fail" && ending.runs === undefined;
    place.failing = isDark ? ending.message : undefined;
    if (!isRecorded(job.kind)) return undefined;
    const record = { ...job, ...ending, where: place.board.where, startedAt, endedAt: now() };
    this.#records.push(record);
    this.#showLast(record);
    if (ending.verdict === "stopped" && !ending.runs) this.#lookAgain(place);
    return record;
  }

  /** Jobs that wait expect what the one before them left; a look changes nothing, and only tells who was not known. */
  #expectAfter({ queue }: Place, { kind }: Job, ending: JobEnding): void {
    for (const [at, job] of queue.entries())
      if (isRecorded(kind) || (ending.runs && job.expected === undefined))
        queue[at] = expectingAfter(job, ending);
  }

  /** Nobody knows what a board runs whose job was stopped: it is asked before anything else is done with it. */
  #lookAgain(place: Place): void {
    place.facts = undefined;
    if (!this.#isLeaving)
      place.queue.unshift(this.#newJobs({ kind: "look", boards: [place.board.name] })[0]!);
  }

  /** A job of a board that is no longer there. */
  #endWithout(job: Job, message: string): void {
    const at = now();
    const ending = {
      verdict: "unfinished",
      outcome: "no-board",
      exitStatus: 10,
      message,
      retries: 0,
    } as const;
    const record: JobRecord = { ...job, ...ending, where: "-", startedAt: at, endedAt: at };
    this.#records.push(record);
    this.#note({ at, kind: "ended", record });
  }

  #showLast({
    id,
    board,
    kind,
    verdict,
    outcome,
    message,
    hint,
    endedAt,
    exitStatus,
    label,
  }: JobRecord): void {
    const place = this.#places.get(board);
    if (!place) return;
    place.last = {
      id,
      kind,
      verdict,
      outcome,
      message,
      endedAt,
      exitStatus,
      ...(hint !== undefined && { hint }),
      ...(label !== undefined && { label }),
    };
  }

  /** Entries that cannot be written are kept, in their order, until they can. */
  #note(entry: JournalEntry): void {
    this.#unwritten.push(entry);
    this.#writeUnwritten();
  }

  #writeUnwritten(): void {
    const before = this.#journalProblem;
    try {
      while (this.#unwritten.length > 0) {
        this.#work.note(this.#unwritten[0]!);
        this.#unwritten.shift();
      }
      this.#journalProblem = undefined;
    } catch (error) {
      this.#journalProblem = error instanceof Error ? error.message : String(error);
    }
    if (before !== this.#journalProblem) this.#tell(undefined);
  }

  /** Tries again to write what could not be written, and begins what waited for it. */
  retryJournal(): void {
    if (this.#journalProblem === undefined) return;
    this.#writeUnwritten();
    this.#startWhatCan();
  }

  #tell(board: string | undefined): void {
    for (const listener of this.#listeners) listener(board);
  }
}

function stoppedBy({ message }: Error, retries: number): JobEnding {
  return { verdict: "stopped", outcome: "stopped", exitStatus: 130, message, retries };
}

function now(): string {
  return new Date().toISOString();
}
