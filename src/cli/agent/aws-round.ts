import { createHash } from "node:crypto";
import { AwsError } from "../../agents/aws-error.js";
import { type AwsJob, readAwsJob } from "../../agents/aws-job.js";
import { fetchStream } from "../../agents/aws-stream.js";
import type { AwsThing, JobExecution, ReportedStatus } from "../../agents/aws-thing.js";
import { type CodeSigner, checkCodeSignature } from "../../agents/code-signature.js";
import { deploy } from "../../agents/deployment.js";
import type { Key } from "../../crypto/keys.js";
import { BootproofError } from "../../errors.js";
import { parseImage } from "../../mcuboot/image.js";
import { formatVersion, type Version } from "../../mcuboot/version.js";
import { readFacts, runningSlot } from "../../session/board-facts.js";
import { run } from "../../session/run.js";
import { fetchFile } from "../../sources/http.js";
import { SourceError } from "../../sources/source.js";
import type { FlashOptions } from "../../update/flash.js";
import { describeImage, recordFlash, recordFlashResult } from "../audit/flash-events.js";
import { ratchetOf } from "../audit/ratchet-memory.js";
import { recorder } from "../audit/recorder.js";
import type { BoardOptions } from "../board-options.js";
import type { Context } from "../context.js";
import { readInput } from "../files.js";
import type { ChosenBoard } from "../many-boards/choose-boards.js";
import { type OpenBoard, openBoard } from "../open-board.js";
import { partialDownload } from "../partial-download.js";
import { confirmationOf, policyHook } from "../policy/policy-judge.js";
import type { ChosenPolicy } from "../policy/policy-options.js";
import { UsageError } from "../usage-error.js";
import type { AwsState, AwsStateFolder } from "./aws-state.js";

/** What one look at the service came to for one thing. */
export interface AwsRoundResult {
  readonly thing: string;
  /** `pending`: the next look goes on with the job. `left`: the job is some other program's. */
  readonly outcome: "nothing" | "left" | "succeeded" | "failed" | "rejected" | "ended" | "pending";
  readonly message: string;
  readonly job?: string;
}

export interface AwsAgentOptions extends Omit<BoardOptions, "device"> {
  readonly endpoint: string;
  readonly idByName?: boolean;
  readonly image?: number;
  readonly wait?: number;
  readonly blockSize: number;
  /** Minutes. */
  readonly stepTimeout?: number;
  readonly urlCa?: string[];
}

export interface AwsSetup {
  readonly options: AwsAgentOptions;
  readonly keys: readonly Key[];
  readonly signers: readonly CodeSigner[];
  readonly policy: ChosenPolicy | undefined;
  readonly flash: Pick<FlashOptions, "health" | "soakMs">;
}

/** A board that cannot be reached is tried so often before the job has failed. */
const MOST_TRIES = 5;
/** Progress is told every so many blocks, as Amazon's own agent does. */
const TELL_EVERY = 64;
/** Bytes a second that even a line of 9600 baud carries. */
const SLOWEST_LINE = 500;
/** Restarts of a board in one step, at most. */
const STARTS = 4;
/** Minutes; the service takes no longer timer. */
const LONGEST_STEP = 10_080;
/** The service takes no longer text. */
const LONGEST_REASON = 1024;

/** Looks once whether the service has a job for a thing, and carries it out. */
export class AwsRound {
  readonly #thing: AwsThing;
  readonly #board: ChosenBoard;
  readonly #folder: AwsStateFolder;
  readonly #setup: AwsSetup;
  readonly #context: Context;
  #state: AwsState;
  #execution: JobExecution | undefined;
  #minutes: number | undefined;
  #waitsFor = "The board cannot be reached.";

  constructor(
    thing: AwsThing,
    board: ChosenBoard,
    folder: AwsStateFolder,
    setup: AwsSetup,
    context: Context,
  ) {
    this.#thing = thing;
    this.#board = board;
    this.#folder = folder;
    this.#setup = setup;
    this.#context = context;
    this.#state = folder.read();
  }

  async run(): Promise<AwsRoundResult> {
    const next = await this.#thing.next();
    if (next === undefined) {
      // A job that was under way has ended without us.
      if (this.#state.job) this.#forget();
      return this.#ended("nothing", "The service has no job.");
    }
    let job: AwsJob | undefined;
    let rejection: unknown;
    try {
      job = readAwsJob(next.jobDocument);
    } catch (error) {
      rejection = error;
    }
    if (job === undefined && rejection === undefined)
      return this.#ended("left", `Job ${next.jobId} is not for this agent; it is left alone.`, next.jobId);
    this.#execution = next.status === "QUEUED" ? await this.#thing.start(this.#minutesFor(job)) : next;
    if (this.#execution?.jobId !== next.jobId)
      return this.#ended("pending", "Another job is first in the queue.", next.jobId);
    this.#take(this.#execution);
    try {
      if (this.#job.outcome === undefined)
        await (rejection ? this.#failed(rejection, "") : this.#carryOut(job!));
      return this.#job.outcome ? await this.#report() : this.#ended("pending", this.#waitsFor, next.jobId);
    } catch (error) {
      this.#context.signal.throwIfAborted();
      if (!(error instanceof AwsError)) throw error;
      if (error.code === "job-ended") {
        this.#forget();
        return this.#ended("ended", error.message, next.jobId);
      }
      return this.#ended("pending", error.message, next.jobId);
    }
  }

  get #job(): NonNullable<AwsState["job"]> {
    return this.#state.job!;
  }

  /** Goes on with the job that this host knows, or begins another. */
  #take({ jobId, executionNumber = 1 }: JobExecution): void {
    if (this.#state.job?.id === jobId && this.#state.job.execution === executionNumber) return;
    this.#folder.forgetFile();
    this.#change({ job: { id: jobId, execution: executionNumber, tries: 0 } });
  }

  #change(change: AwsState): void {
    this.#state = { ...this.#state, ...change };
    this.#folder.write(this.#state);
  }

  #update(change: Partial<NonNullable<AwsState["job"]>>): void {
    this.#change({ job: { ...this.#job, ...change } });
  }

  #forget(): void {
    const { job: _done, ...state } = this.#state;
    this.#state = state;
    this.#folder.write(state);
    this.#folder.forgetFile();
  }

  #ended(outcome: AwsRoundResult["outcome"], message: string, job?: string): AwsRoundResult {
    return { thing: this.#thing.name, outcome, message, ...(job === undefined ? {} : { job }) };
  }

  /** Tells the service, and keeps the version that it expects next. */
  async #tell(status: ReportedStatus, details: Readonly<Record<string, string>>): Promise<void> {
    const execution = this.#execution!;
    const minutes = status === "IN_PROGRESS" ? this.#minutes : undefined;
    const versionNumber = await this.#thing.update(execution, status, details, minutes);
    this.#execution = { ...execution, versionNumber };
  }

  /** How long a step may take: a whole upload over a slow line, and what comes around it. */
  #minutesFor(job: AwsJob | undefined): number {
    const { stepTimeout, wait = 60_000 } = this.#setup.options;
    const upload = (job?.size ?? 0) / SLOWEST_LINE;
    const around = (STARTS * wait + (this.#setup.flash.soakMs ?? 0)) / 1000;
    this.#minutes = stepTimeout ?? Math.min(Math.ceil((upload + around) / 60) + 10, LONGEST_STEP);
    return this.#minutes;
  }

  async #carryOut(job: AwsJob): Promise<void> {
    let file: Uint8Array;
    try {
      file = await this.#download(job);
      if (job.signature) checkCodeSignature(file, job.signature, this.#setup.signers);
      if (job.sha256 !== undefined && createHash("sha256").update(file).digest("hex") !== job.sha256)
        throw new AwsError("job-rejected", "The file's SHA-256 is not the one that the job states.");
      parseImage(file);
    } catch (error) {
      return this.#failed(error, "");
    }
    const { options } = this.#setup;
    const open = await openBoard(this.#board.address, options, this.#context, { withinMs: options.wait });
    try {
      this.#mustBeTheThing(open);
      await this.#install(open, file, job);
    } finally {
      await open.close();
    }
  }

  /** A name is bound to the first board that it meant. */
  #mustBeTheThing({ identity }: OpenBoard): void {
    const { idByName } = this.#setup.options;
    const id = identity.id ?? (idByName ? `name ${this.#board.name}` : undefined);
    if (id === undefined)
      throw new UsageError(
        `${this.#board.name} cannot be told apart from others: ${identity.id === undefined ? identity.reason : ""}`,
        "Use --id-by-name to identify the board by its name; the cabling must then never change.",
      );
    const { board } = this.#state;
    if (board === undefined) this.#change({ board: id });
    if (board === undefined || board === id) return;
    throw new UsageError(
      `The board behind ${this.#board.name} is ${id}; the thing ${this.#thing.name} is ${board}.`,
      `Plug in the right board. If it was replaced, remove ${this.#folder.folder}.`,
    );
  }

  async #download(job: AwsJob): Promise<Uint8Array> {
    const { options } = this.#setup;
    const blocks = this.#folder.blocks(job.size, options.blockSize);
    if (blocks.missing > 0 && job.stream) {
      const receive = () => ({ receive: `${blocks.count - blocks.missing}/${blocks.count}` });
      let reported = blocks.missing;
      const onBlock = async ({ index, bytes }: { index: number; bytes: Uint8Array }) => {
        this.#folder.keep(blocks, index, bytes);
        if (reported - blocks.missing < TELL_EVERY) return;
        reported = blocks.missing;
        await this.#tell("IN_PROGRESS", receive());
      };
      await fetchStream(this.#thing, job.stream, blocks, onBlock, {
        signal: this.#context.signal,
        expected: this.#job.streamVersion,
        onVersion: (streamVersion) => this.#update({ streamVersion }),
      });
    } else if (blocks.missing > 0) {
      const ca = (options.urlCa ?? []).map((one) => new TextDecoder().decode(readInput(one)));
      const { bytes } = await fetchFile(job.url!, {
        signal: this.#context.signal,
        ca,
        maxBytes: job.size,
        // A job's link is another one each time that it is asked for.
        partial: partialDownload(`${options.endpoint} ${this.#thing.name} ${this.#job.id}`),
      });
      if (bytes.length !== job.size)
        throw new AwsError("job-rejected", `The file has ${bytes.length} bytes; the job states ${job.size}.`);
      this.#folder.keepWhole(blocks, bytes);
      return bytes;
    }
    return readInput(this.#folder.file);
  }

  async #install({ session, identity, audit }: OpenBoard, file: Uint8Array, job: AwsJob): Promise<void> {
    const { options, keys, policy, flash } = this.#setup;
    const imageNumber = options.image ?? job.image;
    const about = describeImage(parseImage(file), imageNumber);
    const record = recordFlash(audit, [], about);
    const facts = await readFacts(session, { signal: this.#context.signal });
    const updatedBy = numberOf(runningSlot(facts, imageNumber ?? 0)?.content?.version);
    const how: FlashOptions = {
      ...flash,
      keys,
      imageNumber,
      withinMs: options.wait,
      signal: this.#context.signal,
      ratchet: ratchetOf(identity),
      policy: policyHook(policy, "flash", {
        file,
        identity,
        audit,
        imageNumber,
        confirmation: confirmationOf(flash),
      }),
    };
    const details = (self_test: string) => ({ self_test, ...(updatedBy !== undefined && { updatedBy }) });
    const ending = await run(
      deploy(session, file, how, {
        onPhase: async (phase) => {
          // Once the image may be confirmed, only the board says how it ends.
          if (this.#job.committing) return;
          if (phase === "installing") await this.#mustStand();
          else await this.#tell("IN_PROGRESS", details(phase === "rebooting" ? "ready" : "active"));
          if (phase === "committing") this.#update({ committing: true });
        },
      }),
      (event) => {
        record(event);
        if (event.step === "judged") this.#context.out.note(`${this.#thing.name}: ${event.message}`);
      },
    );
    if ("result" in ending) {
      recordFlashResult(audit, ending.result, about.counter);
      const reason = `accepted v${formatVersion(parseImage(file).version)}`;
      return this.#update({ outcome: { status: "SUCCEEDED", reason } });
    }
    if (ending.reverted) return this.#failed(ending.error, " The old image runs.");
    this.#update({ tries: this.#job.tries + 1 });
    if (this.#job.tries >= MOST_TRIES)
      this.#update({
        outcome: {
          status: "FAILED",
          reason: `aborted: ${wordsOf(ending.error)} ${wordsOf(ending.revertError)}`,
        },
      });
  }

  /** A job that was cancelled meanwhile is not begun on the board. */
  async #mustStand(): Promise<void> {
    const now = await this.#thing.next();
    if (now?.jobId === this.#job.id) return;
    throw new AwsError(
      "job-ended",
      `Job ${this.#job.id} was cancelled before anything was sent to the board.`,
    );
  }

  /** What has ended a job of which nothing is left on the board. */
  async #failed(error: unknown, state: string): Promise<void> {
    this.#context.signal.throwIfAborted();
    if (error instanceof AwsError && error.code !== "job-rejected") throw error;
    if (!(error instanceof BootproofError)) throw error;
    if (error instanceof SourceError && error.code === "not-fetched") {
      // The network's fault and not the job's: what came is kept, and the next look goes on.
      this.#update({ tries: this.#job.tries + 1 });
      this.#waitsFor = error.message;
      if (this.#job.tries < MOST_TRIES) return;
      return this.#update({ outcome: { status: "FAILED", reason: `aborted: ${error.message}` } });
    }
    const isRejected = state === "" || error.code === "stage-refused";
    const status = isRejected ? "REJECTED" : "FAILED";
    // What the board's preflight refuses is in the log by its check.
    if (state === "")
      recorder()?.record({
        type: "refusal",
        rule: `source/${error.code}`,
        result: "refused",
        detail: { thing: this.#thing.name, job: this.#job.id, message: error.message },
      });
    this.#update({
      outcome: { status, reason: `${isRejected ? "rejected" : "aborted"}: ${wordsOf(error)}${state}` },
    });
  }

  async #report(): Promise<AwsRoundResult> {
    const { id, outcome } = this.#job;
    const { status, reason } = outcome!;
    try {
      await this.#tell(status, { reason: reason.slice(0, LONGEST_REASON) });
    } catch (error) {
      if (!(error instanceof AwsError && error.code === "job-ended")) throw error;
      this.#context.out.note(`${this.#thing.name}: the job had ended; the board keeps what it runs.`);
    }
    this.#forget();
    const outcomes = { SUCCEEDED: "succeeded", FAILED: "failed", REJECTED: "rejected" } as const;
    return this.#ended(outcomes[status], reason, id);
  }
}

/** A version as Amazon's agent writes it: 8, 8 and 16 bits in hexadecimal. */
function numberOf(version: string | undefined): string | undefined {
  const parts = /^(\d+)\.(\d+)\.(\d+)/
    .exec(version ?? "")
    ?.slice(1)
    .map(Number);
  if (parts === undefined) return undefined;
  const { major, minor, revision } = {
    major: parts[0]!,
    minor: parts[1]!,
    revision: parts[2]!,
  } satisfies Omit<Version, "build">;
  return `0x${((major & 0xff) * 2 ** 24 + ((minor & 0xff) << 16) + (revision & 0xffff)).toString(16)}`;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
