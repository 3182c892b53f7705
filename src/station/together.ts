import { readFacts, runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { restart } from "../session/restart.js";
import { type KnownByImage, knownByImage, runningNow } from "../session/same-board.js";
import type { Session } from "../session/session.js";
import type { FlashEvent, FlashOptions, FlashResult } from "../update/flash.js";
import { overLosses, readFactsOnceBack } from "../update/observe.js";
import { revertsUnconfirmed } from "../update/revert-checks.js";
import { stageOf, type Target } from "../update/stage.js";
import { type BoardTask, driveBoards, type StationEvent, type TaskEnding } from "./drive-boards.js";

/** A board of a joint update, while it is open. */
export interface JointBoard {
  readonly session: Session;
  /** The update of this board; `change` goes before its own options. */
  update(change: FlashOptions): AsyncGenerator<FlashEvent, FlashResult, void>;
  close(): Promise<void>;
}

export interface JointTask {
  readonly name: string;
  /** Hash of the image that this board gets, and for which pair of slots, where that is not the same for all. */
  readonly hash?: Uint8Array | undefined;
  readonly imageNumber?: number | undefined;
  /** The others may go on without it when it does not pass. Default: one that does not pass stops all. */
  readonly mayStayBehind?: boolean | undefined;
  open(signal: AbortSignal): Promise<JointBoard>;
}

export interface TogetherOptions {
  /** Hash of the image that a board gets whose task names none. */
  readonly hash?: Uint8Array | undefined;
  readonly imageNumber?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Before the first confirmation: takes all boards back, as when one does not pass. After it nothing is given up. */
  readonly giveUp?: AbortSignal | undefined;
  /** How long a board may stay away, milliseconds. Default 60000. */
  readonly withinMs?: number | undefined;
}

/**
 * `check`: preflights, nothing is written. `try`: upload, test boot, health checks. `look`: every board still runs the image on
 * trial. `commit`: confirm one board, then the others. `revert`: back to the old image. `report`: read what each board runs.
 */
export type TogetherPhase = "check" | "try" | "look" | "commit" | "revert" | "report";

export type TogetherEvent =
  | { readonly kind: "phase"; readonly phase: TogetherPhase }
  | Extract<StationEvent<FlashEvent, unknown>, { kind: "event" }>;

export type TogetherOutcome =
  /** All boards run the new image, confirmed. */
  | "committed"
  /** All boards run the new image, confirmed, but those that may stay behind and did not pass. */
  | "isolated"
  /** A board failed before anything was sent to any. */
  | "refused"
  /** A board did not pass; every board was read afterwards and runs its old image, confirmed. */
  | "reverted"
  /** A board did not pass, and of at least one board it is not proven that it runs its old image. */
  | "not-reverted"
  /** The image is confirmed, or may be, on some boards and not on others: only forward is left. Repeat the update. */
  | "partly-committed";

/** What a board runs at the end, as it says itself; `unknown`: it does not answer, or its bootloader does. */
export type JointState = "confirmed" | "on-trial" | "marked" | "old-image" | "unknown";

export interface JointEnding {
  readonly board: string;
  readonly state: JointState;
  /** Version and hash of what runs; absent when the board does not say. */
  readonly version?: string;
  readonly hash?: Uint8Array;
  /** Why the board did not pass, or could not be read; absent when nothing went wrong on it. */
  readonly failure?: string;
  /** It ran the image before, confirmed, and nothing was sent; why the image would not have been sent to it now. */
  readonly notTaken?: string;
  /** The others went on without it. */
  readonly isIsolated?: boolean;
}

export interface TogetherResult {
  readonly outcome: TogetherOutcome;
  readonly boards: readonly JointEnding[];
}

/**
 * Updates several boards so that all or none keep the image: all are tried first, and only when each has passed its health checks
 * the first is confirmed, then the others. If one does not pass, all are reset until they run their old image, and that is read
 * back. From the first confirmation on the only way is forward. Nothing is remembered on this host: the boards' own states say how
 * far an earlier run came, so repeating the update finishes it.
 *
 * A board that may stay behind and fails before the first confirmation is left out, as long as another one goes on; it is
 * taken back to its old image at the end.
 *
 * @param tasks - a board, its image and its health check each
 * @param options - as of `flash`; times in milliseconds
 * @returns the outcome for all, and how each board's update ended
 * @throws only what aborts it; failures of boards are results
 */
export async function* flashTogether(
  tasks: readonly JointTask[],
  options: TogetherOptions,
): AsyncGenerator<TogetherEvent, TogetherResult, void> {
  const job = new JointJob(tasks, options);
  try {
    return yield* job.run();
  } finally {
    await job.close();
  }
}

/** A step with one board. What it throws, or a text that it returns, is why the board failed. */
type BoardStep = (at: StepPlace) => AsyncGenerator<FlashEvent, string | undefined, void>;

interface StepPlace {
  readonly board: JointBoard;
  readonly name: string;
  /** Ends the step early. */
  readonly signal: AbortSignal;
}

class JointJob {
  readonly #tasks: readonly JointTask[];
  readonly #options: TogetherOptions;
  readonly #open = new Map<string, JointBoard>();
  readonly #failures = new Map<string, string>();
  readonly #committed = new Set<string>();
  readonly #known = new Map<string, KnownByImage>();
  /** Left out, and why: they may stay behind. */
  readonly #isolated = new Map<string, string>();
  #hasWritten = false;
  #hasBegunToCommit = false;

  constructor(tasks: readonly JointTask[], options: TogetherOptions) {
    this.#tasks = tasks;
    this.#options = options;
  }

  #targetOf(name: string): Target {
    const task = this.#task(name);
    const hash = task.hash ?? this.#options.hash;
    if (hash === undefined) throw new TypeError(`No image is named for ${name}.`);
    return { hash, imageNumber: task.imageNumber ?? this.#options.imageNumber ?? 0 };
  }

  #task(name: string): JointTask {
    return this.#tasks.find((task) => task.name === name)!;
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#open.values()].map((board) => board.close()));
  }

  async *run(): AsyncGenerator<TogetherEvent, TogetherResult, void> {
    yield* this.#phase("check", this.#names(), (at) => this.#check(at));
    if (this.#mayGoOn()) {
      this.#hasWritten = true;
      yield* this.#phase("try", this.#passed(), (at) => this.#try(at));
    }
    if (this.#mayGoOn()) yield* this.#phase("look", this.#passed(), (at) => this.#look(at));
    if (this.#mayGoOn()) yield* this.#commit();
    if (this.#committed.size === 0 && this.#failures.size > 0 && !this.#isUndecided)
      yield* this.#revert(this.#names());
    else if (this.#isolated.size > 0 && this.#hasWritten) yield* this.#revert([...this.#isolated.keys()]);
    return yield* this.#report();
  }

  #isUndecided = false;

  #names = () => this.#tasks.map(({ name }) => name);
  /** Boards that have not failed and do not keep the image yet. */
  #passed = () =>
    this.#names().filter(
      (name) => !this.#failures.has(name) && !this.#isolated.has(name) && !this.#committed.has(name),
    );
  /** All have passed so far; or one keeps the image already, and those that pass follow it. */
  #mayGoOn = () => this.#failures.size === 0 || this.#committed.size > 0;

  /** The same step with some boards at once; a board that fails is noted and stops no other. */
  async *#phase(
    phase: TogetherPhase,
    names: readonly string[],
    step: BoardStep,
  ): AsyncGenerator<TogetherEvent, TaskEnding<string | undefined>[], void> {
    yield { kind: "phase", phase };
    const { signal, giveUp } = this.#options;
    const mayGiveUp = GIVEN_UP_IN.includes(phase) ? giveUp : undefined;
    const stops = [signal, mayGiveUp].filter((stop) => stop !== undefined);
    const tasks = names.map((name): BoardTask<FlashEvent, string | undefined> => {
      const start = (stop: AbortSignal) => this.#onBoard(name, step, stop);
      return { name, start };
    });
    const workflow = driveBoards(tasks, { signal: stops.length > 0 ? AbortSignal.any(stops) : undefined });
    let endings: TaskEnding<string | undefined>[] = [];
    try {
      for (let next = await workflow.next(); ; next = await workflow.next()) {
        if (next.done) {
          endings = next.value;
          break;
        }
        if (next.value.kind === "event") yield next.value;
      }
    } finally {
      await workflow.return([]);
    }
    signal?.throwIfAborted();
    if (mayGiveUp?.aborted) {
      for (const name of this.#passed()) this.#failures.set(name, wordsOf(mayGiveUp.reason));
      return endings;
    }
    for (const ending of endings) {
      const failure = ending.kind === "done" ? ending.result : wordsOf(ending.error);
      if (failure === undefined || this.#failures.has(ending.board) || this.#isolated.has(ending.board))
        continue;
      const isLeftOut = this.#task(ending.board).mayStayBehind && !this.#hasBegunToCommit;
      (isLeftOut ? this.#isolated : this.#failures).set(ending.board, failure);
    }
    // Somebody has to go on.
    if (this.#isolated.size === this.#names().length)
      for (const [name, failure] of this.#isolated) {
        this.#failures.set(name, failure);
        this.#isolated.delete(name);
      }
    return endings;
  }

  async *#onBoard(
    name: string,
    step: BoardStep,
    signal: AbortSignal,
  ): AsyncGenerator<FlashEvent, string | undefined, void> {
    let board = this.#open.get(name);
    if (board === undefined) {
      board = await this.#task(name).open(signal);
      this.#open.set(name, board);
    }
    return yield* step({ board, name, signal });
  }

  async *#check({ board, name, signal }: StepPlace): ReturnType<BoardStep> {
    const { outcome, message, before } = yield* board.update({ signal, dryRun: true });
    // The phases that follow ask one board and no other that took its port meanwhile.
    const known = knownByImage(before);
    board.session.expect(known.recognise);
    this.#known.set(name, known);
    if (["marked", "on-trial"].includes(stageOf(before, this.#targetOf(name)))) this.#hasWritten = true;
    if (outcome === "already-running") this.#committed.add(name);
    else if (outcome !== "dry-run") return message;
    else if (before.server !== "application" || !revertsUnconfirmed(before))
      return "This board has no trial boot, so it could not be reverted if another board failed.";
    return undefined;
  }

  async *#try({ board, name, signal }: StepPlace): ReturnType<BoardStep> {
    const { session } = board;
    // A link that was lost since the check is found now, when the board cannot run the image yet.
    yield* overLosses(session, { ...this.#options, signal }, () => runningNow(session.client, signal));
    this.#known.get(name)?.allow([this.#targetOf(name).hash]);
    const { outcome, message } = yield* board.update({ signal, confirm: false });
    if (outcome === "confirmed" || outcome === "already-running") this.#committed.add(name);
    else if (outcome !== "on-trial") return message;
    return undefined;
  }

  /** A board may have restarted, and thereby gone back, while others were tried. */
  async *#look({ board, name, signal }: StepPlace): ReturnType<BoardStep> {
    const { withinMs } = this.#options;
    const facts = yield* readFactsOnceBack(board.session, { signal, withinMs });
    const stage = stageOf(facts, this.#targetOf(name));
    if (stage === "confirmed") this.#committed.add(name);
    else if (stage !== "on-trial") return "The board reverted to its old image while others were tried.";
    return undefined;
  }

  /** One board first: as long as that is not confirmed, all can still go back. */
  async *#commit(): AsyncGenerator<TogetherEvent, void, void> {
    this.#hasBegunToCommit = true;
    const waiting = this.#passed();
    const confirm: BoardStep = (at) => this.#confirm(at);
    if (this.#committed.size === 0 && waiting.length > 0) {
      const first = waiting.splice(0, 1);
      yield* this.#phase("commit", first, confirm);
      if (this.#failures.size > 0) {
        await this.#settleDoubt(first[0]!);
        if (this.#committed.size === 0) return;
      }
    }
    if (waiting.length > 0) yield* this.#phase("commit", waiting, confirm);
  }

  async *#confirm({ board, name, signal }: StepPlace): ReturnType<BoardStep> {
    const { outcome, message } = yield* board.update({ signal, confirm: true, soakMs: 0, health: [] });
    if (!["confirmed", "already-running", "running"].includes(outcome)) return message;
    this.#committed.add(name);
    return undefined;
  }

  /** A confirmation that failed may have reached the board all the same. */
  async #settleDoubt(name: string): Promise<void> {
    try {
      const facts = await readFacts(this.#open.get(name)!.session, this.#options);
      const state = this.#stateOf(name, facts);
      if (state === "confirmed") this.#committed.add(name);
      else if (state === "unknown") this.#isUndecided = true;
    } catch {
      this.#options.signal?.throwIfAborted();
      // The board cannot be asked: whether the others may go back is not known.
      this.#isUndecided = true;
    }
  }

  /** Restarts a board until it runs its old image: a marked one first starts the new one. */
  async *#revert(names: readonly string[]): AsyncGenerator<TogetherEvent, void, void> {
    const openable = names.filter((name) => this.#open.has(name));
    const { withinMs } = this.#options;
    const step: BoardStep = async function* (this: JointJob, { board, name, signal }: StepPlace) {
      for (let restarts = 0; ; restarts++) {
        const facts = yield* readFactsOnceBack(board.session, { signal, withinMs });
        const stage = stageOf(facts, this.#targetOf(name));
        if (stage === "absent" || stage === "confirmed" || restarts === MOST_RESTARTS) return undefined;
        yield* restart(board.session, { signal, withinMs });
      }
    }.bind(this);
    yield* this.#phase("revert", openable, step);
  }

  async *#report(): AsyncGenerator<TogetherEvent, TogetherResult, void> {
    const withinMs = Math.min(this.#options.withinMs ?? REPORT_MS, REPORT_MS);
    const endings = new Map<string, Omit<JointEnding, "board" | "failure">>();
    const step: BoardStep = async function* (this: JointJob, { board, name, signal }: StepPlace) {
      const facts = yield* readFactsOnceBack(board.session, { signal, withinMs });
      const running = runningSlot(facts, this.#targetOf(name).imageNumber)?.content;
      endings.set(name, {
        state: this.#stateOf(name, facts),
        ...(running && { version: running.version }),
        ...(running?.hash && { hash: running.hash }),
      });
      return undefined;
    }.bind(this);
    yield* this.#phase("report", [...this.#open.keys()], step);
    const boards = this.#names().map((board): JointEnding => {
      const ending = endings.get(board) ?? { state: "unknown" };
      // A board that failed for a while and keeps the image after all has not failed.
      const isIsolated = this.#isolated.has(board) && ending.state !== "confirmed";
      const why = this.#failures.get(board) ?? this.#isolated.get(board);
      const failure = ending.state === "confirmed" ? undefined : why;
      return {
        board,
        ...ending,
        ...(failure === undefined ? {} : { failure }),
        ...(ending.state === "confirmed" && why !== undefined && !this.#hasWritten && { notTaken: why }),
        ...(isIsolated && { isIsolated }),
      };
    });
    return { outcome: this.#outcomeOf(boards), boards };
  }

  #outcomeOf(boards: readonly JointEnding[]): TogetherOutcome {
    const count = (state: JointState) => boards.filter((board) => board.state === state).length;
    if (count("confirmed") === boards.length) return "committed";
    if (boards.every(({ state, isIsolated }) => state === "confirmed" || isIsolated)) return "isolated";
    if (count("confirmed") > 0 || this.#committed.size > 0) return "partly-committed";
    if (this.#hasBegunToCommit && this.#isUndecided) return "partly-committed";
    if (!this.#hasWritten) return "refused";
    return count("old-image") === boards.length ? "reverted" : "not-reverted";
  }

  #stateOf(name: string, facts: BoardFacts): JointState {
    const target = this.#targetOf(name);
    if (facts.server === "recovery") return "unknown";
    const stage = stageOf(facts, target);
    if (stage !== "absent") return stage;
    const running = runningSlot(facts, target.imageNumber)?.content;
    // An old image that is itself on trial would not stay.
    return running?.active && running.confirmed ? "old-image" : "unknown";
  }
}

/** As long as nothing is confirmed all can still go back. */
const GIVEN_UP_IN: readonly TogetherPhase[] = ["check", "try", "look"];

/** A board that does not answer is only waited for this long at the end: what went wrong is known by then. */
const REPORT_MS = 5000;

/** A marked image starts at the first restart and is reverted at the second. */
const MOST_RESTARTS = 3;

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
