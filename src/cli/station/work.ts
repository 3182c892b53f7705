import type { ProofReport } from "bootproof/prove";
import { toHex } from "../../bytes.js";
import type { Key } from "../../crypto/keys.js";
import { parseImage } from "../../mcuboot/image.js";
import { recover } from "../../recovery/recover.js";
import type { RecoverEvent } from "../../recovery/recover-events.js";
import { readFacts, runningSlot } from "../../session/board-facts.js";
import type { BoardFacts } from "../../session/facts.js";
import { knownImages } from "../../session/known-images.js";
import { run } from "../../session/run.js";
import { mustBeOneOf, OtherBoardError, runningNow } from "../../session/same-board.js";
import type { Job, JobEnding, JournalEntry, TileFacts } from "../../station/job.js";
import type { GroupControl, JobControl, StationBoard, StationWork } from "../../station/station-work.js";
import {
  flashTogether,
  type JointEnding,
  type JointTask,
  type TogetherOutcome,
} from "../../station/together.js";
import { isPipe } from "../../transport/address.js";
import { openStream } from "../../transport/open-stream.js";
import { recordedRecovery } from "../audit/flash-events.js";
import { ratchetOf } from "../audit/ratchet-memory.js";
import { recorder } from "../audit/recorder.js";
import { statusOf as statusOfRecover } from "../commands/recover.js";
import type { Context } from "../context.js";
import { statusOf as statusOfFlash } from "../flash/status.js";
import { LineStamper } from "../log-file.js";
import { rowOfError } from "../many-boards/board-rows.js";
import type { FlashWorkflow } from "../many-boards/flash-boards.js";
import { wordsOfOutcome } from "../many-boards/flash-together.js";
import { flashWorkflow } from "../many-boards/flash-workflow.js";
import { PROOF_STATUS } from "../many-boards/prove-boards.js";
import { stepOfFlash, stepOfProof, stepOfRecover } from "../many-boards/steps.js";
import { type OpenBoard, openBoard, startEmulated } from "../open-board.js";
import { policyHook } from "../policy/policy-judge.js";
import type { ChosenPolicy } from "../policy/policy-options.js";
import { recoverySetup } from "../recovery-target.js";
import { mustBeVouched, onePayload, openUpdate, variantsOf } from "../update-source.js";
import { UsageError } from "../usage-error.js";
import { version } from "../version.js";
import type { BenchBoard } from "./bench-boards.js";
import { JobNotes } from "./job-notes.js";
import type { StationFiles } from "./station-files.js";
import type { Updates } from "./updates.js";

/** A board that an update has waited for in vain is given so long once more, milliseconds. */
const SILENT_WAIT_MS = 1000;

/** What the command line says of all jobs. */
export interface WorkOptions {
  readonly keys: readonly Key[];
  readonly policy: ChosenPolicy | undefined;
  /** Before an image is confirmed, milliseconds. */
  readonly soak?: number | undefined;
  readonly wait?: number | undefined;
  readonly timeout?: number | undefined;
}

/** Does the jobs of a station with what the verbs do on the command line. */
export class BenchWork implements StationWork {
  readonly #files: StationFiles;
  readonly #updates: Updates;
  readonly #board: (name: string) => BenchBoard | undefined;
  readonly #options: WorkOptions;
  readonly #context: Context;

  constructor(
    at: { files: StationFiles; updates: Updates; board(name: string): BenchBoard | undefined },
    options: WorkOptions,
    context: Context,
  ) {
    this.#files = at.files;
    this.#updates = at.updates;
    this.#board = at.board;
    this.#options = options;
    this.#context = context;
  }

  note(entry: JournalEntry): void {
    this.#files.append(entry);
  }

  async run(job: Job, { name }: StationBoard, { signal, tell }: JobControl): Promise<JobEnding> {
    const at = this.#place(job, name, signal, tell);
    return this.#kept(at, await this.#ended(at));
  }

  /** Several boards that all keep the update, or none. */
  async runGroup(jobs: readonly Job[], how: GroupControl): Promise<ReadonlyMap<string, JobEnding>> {
    const { signal, tell } = how;
    const places = jobs.map((job) =>
      this.#place(job, job.board, signal, (progress) => tell(job.board, progress)),
    );
    const endings = await this.#together(places, how);
    return new Map(places.map((at) => [at.job.board, this.#kept(at, endings.get(at.job.board)!)]));
  }

  #place(job: Job, name: string, signal: AbortSignal, tell: JobControl["tell"]): JobPlace {
    const notes = new JobNotes(tell);
    const context = { ...this.#context, signal, out: notes.output() };
    return { job, notes, board: this.#board(name)!, context };
  }

  /** The ending with what is kept of it. */
  #kept(at: JobPlace, ending: JobEnding): JobEnding {
    const { job, notes } = at;
    const isKept = this.#files.keepEvidence(
      `${job.id}.json`,
      JSON.stringify({ job, ending, lines: notes.lines }),
    );
    if (job.kind !== "look" && job.kind !== "follow") this.#audit(at, ending);
    return { ...ending, ...(isKept && { evidence: true }) };
  }

  async #ended(at: JobPlace): Promise<JobEnding> {
    try {
      return await this.#do(at);
    } catch (error) {
      at.context.signal.throwIfAborted();
      const ending = endingOfError(at.job.board, error);
      if (!(error instanceof OtherBoardError)) return ending;
      // The tile shows who is there now.
      const runs = await this.#runsNow(at.board, at.context);
      return { ...ending, ...(runs && { runs }) };
    }
  }

  #do(at: JobPlace): Promise<JobEnding> {
    switch (at.job.kind) {
      case "together":
        throw new TypeError("A group is not processed board by board.");
      case "flash":
        return this.#flash(at);
      case "recover":
        return this.#recover(at);
      case "look":
        return this.#look(at);
      case "follow":
        return this.#follow(at);
      default:
        return this.#prove(at);
    }
  }

  async #flash({ job, notes, board, context }: JobPlace): Promise<JobEnding> {
    const { image, imageNumber, variants, name, release } = await this.#imageOf(job, context);
    const { keys, policy: chosen, soak, wait } = this.#options;
    const how = { keys, soakMs: soak, withinMs: wait, known: knownImages(name, image) };
    const workflow = flashWorkflow({ image, imageNumber, variants, release }, how, {
      chosen,
      settles: false,
    });
    const { signal } = context;
    const open = await openBoard(board.address, this.#link(true), context, { withinMs: wait });
    try {
      await mustBeExpected(job, open, parseImage(image).imageHash?.value, signal);
      const result = await run(workflow(open, { signal }), (event) =>
        notes.step(stepOfFlash(event), event.step === "link-lost" || event.step === "sent-again"),
      );
      return endingOf(result, statusOfFlash(result), await factsOf(open, signal));
    } finally {
      await open.close();
    }
  }

  async #together(
    places: readonly JobPlace[],
    { signal, giveUp }: GroupControl,
  ): Promise<ReadonlyMap<string, JobEnding>> {
    const [{ job, context }] = places as [JobPlace];
    let hash: Uint8Array | undefined;
    let workflow: FlashWorkflow;
    let imageNumber: number | undefined;
    try {
      const { image, release, ...update } = await this.#imageOf(job, context);
      imageNumber = update.imageNumber;
      hash = parseImage(image).imageHash?.value;
      if (hash === undefined)
        throw new UsageError("A joint update needs an image with a hash, to ask boards for it.", "Sign it.");
      const { keys, policy: chosen, soak, wait } = this.#options;
      const how = { keys, soakMs: soak, withinMs: wait, known: knownImages(update.name, image) };
      workflow = flashWorkflow({ image, imageNumber, release }, how, { chosen, settles: false });
    } catch (error) {
      signal.throwIfAborted();
      return new Map(places.map((at) => [at.job.board, endingOfError(at.job.board, error)]));
    }
    const { wait: withinMs } = this.#options;
    const others = new Map<string, JobEnding>();
    const tasks = places.map(
      ({ job, board, context: own }): JointTask => ({
        name: job.board,
        open: async (stop) => {
          const context = { ...own, signal: stop };
          const open = await openBoard(board.address, this.#link(true), context, { withinMs });
          try {
            await mustBeExpected(job, open, hash, stop);
          } catch (error) {
            await open.close();
            if (error instanceof OtherBoardError) others.set(job.board, endingOfError(job.board, error));
            throw error;
          }
          return {
            session: open.session,
            close: () => open.close(),
            update: (change) => workflow(open, change),
          };
        },
      }),
    );
    const all = flashTogether(tasks, { hash, imageNumber, signal, giveUp, withinMs });
    const { outcome, boards } = await run(all, (event) => {
      if (event.kind === "phase") for (const { notes } of places) notes.step({ step: event.phase });
      else {
        const { step } = event.event;
        const { notes } = places.find((at) => at.job.board === event.board)!;
        notes.step(stepOfFlash(event.event), step === "link-lost" || step === "sent-again");
      }
    });
    const endings = places.map(async ({ job: { board: name }, board }) => {
      const ending = boards.find((one) => one.board === name)!;
      // Links of the update are closed: what each board says now is what counts. One that was silent was waited for already.
      const runs = await this.#runsNow(
        board,
        context,
        ending.state === "unknown" ? SILENT_WAIT_MS : undefined,
      );
      const other = others.get(name);
      if (other) return [name, { ...other, ...(runs && { runs }) }] as const;
      return [name, jointEnding(outcome, ending, runs, giveUp.aborted)] as const;
    });
    return new Map(await Promise.all(endings));
  }

  async #recover({ job, notes, board, context }: JobPlace): Promise<JobEnding> {
    const { image, imageNumber, name, release } = await this.#imageOf(job, context);
    const { keys, policy: chosen, wait } = this.#options;
    const policy = policyHook(chosen, "recover", { file: image, imageNumber, skip: [] });
    const agreed = job.agreed === true;
    const hash = parseImage(image).imageHash?.value;
    const setup = await recoverySetup({ ...this.#link(true), keys, asksNobody: true }, context, board);
    const recovery = recover(setup.target, image, {
      signal: context.signal,
      keys,
      known: knownImages(name, image),
      imageNumber,
      althoughAlive: async ({ facts }) => {
        if (facts?.server === "application")
          mustRunExpected(job, board.where, hash, runningSlot(facts)?.content);
        return agreed;
      },
      consent: async () => agreed,
      policy,
      ratchet: ratchetOf(setup.identity, undefined, release),
      withinMs: wait,
    });
    const workflow = recordedRecovery(setup.audit, image, recovery);
    const tell = (event: RecoverEvent) => notes.step(stepOfRecover(event), event.step === "again");
    const result = await run(workflow, tell).finally(() => setup.close());
    // Another link: the one of before may have ended in a bootloader.
    const runs = await this.#runsNow(board, context);
    // Nobody recovers a board that is alive; but here an earlier station may have been killed when all but its word was done.
    const isDone = runs?.server === "application" && hash !== undefined && runs.hash === toHex(hash);
    if (job.begunBefore > 0 && result.outcome === "alive" && !imageNumber && isDone) {
      const message = `It runs ${runs.version}: the recovery had finished when the station stopped.`;
      return endingOf({ outcome: "recovered", message }, 0, runs);
    }
    return endingOf(result, statusOfRecover(result), runs);
  }

  async #prove({ job, notes, board, context }: JobPlace): Promise<JobEnding> {
    const suite = await import("bootproof/prove");
    if (job.begunBefore > 0) return this.#putBack(suite, { job, notes, board, context });
    if (job.expected) {
      const open = await openBoard(board.address, this.#link(false), context, {
        withinMs: this.#options.wait,
      });
      await mustBeExpected(job, open, undefined, context.signal).finally(() => open.close());
    }
    const outcome = await suite.runProof(
      { ...board.proof, quick: job.kind === "prove-quick" },
      {
        version: version(),
        signal: context.signal,
        note() {},
        progress() {},
        onEvent: (event) => notes.step(stepOfProof(event)),
      },
    );
    this.#keepReport(suite, job, outcome.report);
    const [{ ending, message } = { ending: "claim-open" as const, message: "" }] = outcome.boards;
    if (ending === "interrupted") context.signal.throwIfAborted();
    const runs = await this.#runsNow(board, context);
    return endingOf({ outcome: ending, message }, PROOF_STATUS[ending], runs);
  }

  /** What a killed station left in the middle of a proof: the board gets its own image back. */
  async #putBack(
    suite: typeof import("bootproof/prove"),
    { job, board, context }: JobPlace,
  ): Promise<JobEnding> {
    const left = await suite.restoreAll(context.signal, (name) => name === job.board);
    const runs = await this.#runsNow(board, context);
    const isBack = left.every(({ ok }) => ok);
    const message =
      left.length === 0 ? "Nothing had been changed on the board." : left.map((one) => one.message).join(" ");
    return {
      verdict: isBack ? "unfinished" : "fail",
      outcome: isBack ? "put-back" : "not-put-back",
      exitStatus: isBack ? 27 : 28,
      message: `The station was killed during this proof. ${message}`,
      retries: 0,
      ...(runs && { runs }),
    };
  }

  #keepReport(suite: typeof import("bootproof/prove"), { id }: Job, report: ProofReport): void {
    this.#files.keepEvidence(`${id}-proof.json`, suite.renderReport(report, "json"));
    this.#files.keepEvidence(`${id}-proof.html`, suite.renderReport(report, "html"));
  }

  async #look({ notes, board, context }: JobPlace): Promise<JobEnding> {
    notes.step({ step: "looking" });
    const open = await openBoard(board.address, this.#link(true), context, { withinMs: this.#options.wait });
    try {
      const runs = await factsOf(open, context.signal);
      const words = { outcome: "looked", exitStatus: 0, retries: 0 } as const;
      if (runs) return { ...words, verdict: "pass", message: "It answers.", runs };
      return { ...words, verdict: "fail", exitStatus: 16, message: "It does not report what it runs." };
    } finally {
      await open.close();
    }
  }

  /** Shows what the board says on its wire, or on its log, until it is stopped. */
  async #follow({ notes, board, context }: JobPlace): Promise<JobEnding> {
    const { signal } = context;
    notes.step({ step: "console" });
    const { address } = board;
    if (!isPipe(address)) {
      const emulated = await startEmulated(address.kind, address.variant, address.flash);
      emulated.log.onLine((line) => notes.console([line]));
      await new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
      ).finally(() => emulated.close());
    } else {
      const { openable } = await import("../../boards/choose-device.js");
      const stream = await openStream(await openable(address, context.config, signal), { signal });
      const close = () => void stream.close();
      signal.addEventListener("abort", close, { once: true });
      const stamper = new LineStamper();
      try {
        for await (const chunk of stream.chunks) {
          const lines = stamper.push(Buffer.from(chunk).toString("latin1"), new Date());
          if (lines.length > 0) notes.console(lines.map(({ text }) => text));
        }
      } finally {
        signal.removeEventListener("abort", close);
        await stream.close();
      }
    }
    signal.throwIfAborted();
    return { verdict: "fail", outcome: "lost", exitStatus: 15, message: "The port disappeared.", retries: 0 };
  }

  async #imageOf({ update }: Job, context: Context) {
    const found = update && this.#updates.find(update.sha256);
    if (!found) throw new UsageError("The update file of this job is no longer available.", "Give it again.");
    const source = await openUpdate(found.path, {}, context);
    mustBeVouched(source);
    const { bytes: image, image: imageNumber } = onePayload(source, undefined);
    const variants = variantsOf(source, imageNumber);
    return { image, imageNumber, variants, name: found.update.name, release: source.release };
  }

  /** What the board runs, asked over a link of its own; undefined when it does not answer. */
  async #runsNow(
    board: BenchBoard,
    context: Context,
    withinMs = this.#options.wait,
  ): Promise<TileFacts | undefined> {
    try {
      const open = await openBoard(board.address, this.#link(false), context, { withinMs });
      try {
        return await factsOf(open, context.signal);
      } finally {
        await open.close();
      }
    } catch {
      // The verdict stands without it, and the tile says that nobody answers.
      context.signal.throwIfAborted();
      return undefined;
    }
  }

  #link(log: boolean) {
    const { timeout } = this.#options;
    return { log, ...(timeout !== undefined && { timeout }) };
  }

  #audit({ job, board }: JobPlace, ending: JobEnding): void {
    recorder()?.record({
      type: job.kind.startsWith("prove") ? "prove.result" : "plan",
      board: { address: board.where, ...(ending.runs?.id !== undefined && { id: ending.runs.id }) },
      result: ending.verdict === "pass" ? "ok" : "failed",
      detail: {
        station: job.kind,
        record: job.id,
        outcome: ending.outcome,
        message: ending.message,
        ...(job.label !== undefined && { label: job.label }),
      },
    });
  }
}

function endingOfError(board: string, error: unknown): JobEnding {
  const { outcome, exitStatus, message, hint } = rowOfError(board, error);
  return { verdict: "fail", outcome, exitStatus, message, retries: 0, ...(hint !== undefined && { hint }) };
}

/** What a joint update came to for one of its boards. */
function jointEnding(
  outcome: TogetherOutcome,
  board: JointEnding,
  runs: TileFacts | undefined,
  isStopped: boolean,
): JobEnding {
  const { failure } = board;
  const { status, message, hint } = wordsOfOutcome({ outcome, boards: [board] });
  const words = { outcome, message: failure === undefined ? message : `${failure} ${message}`, hint };
  const ending = endingOf(words, status, runs);
  const isTakenBack = outcome === "refused" || outcome === "reverted";
  return isStopped && isTakenBack ? { ...ending, verdict: "stopped" } : ending;
}

/** What a verb came to, as a job's ending. */
function endingOf(
  { outcome, message, hint }: { outcome: string; message: string; hint?: string | undefined },
  exitStatus: number,
  runs: TileFacts | undefined,
): JobEnding {
  return {
    verdict: exitStatus === 0 ? "pass" : "fail",
    outcome,
    exitStatus,
    message,
    retries: 0,
    ...(hint !== undefined && { hint }),
    ...(runs && { runs }),
  };
}

/** A job and what it works with. */
interface JobPlace {
  readonly job: Job;
  readonly notes: JobNotes;
  readonly board: BenchBoard;
  readonly context: Context;
}

/** The board must be the one that was there when somebody asked for the job: by its identity, else by what it runs. */
async function mustBeExpected(
  job: Job,
  { identity, session }: OpenBoard,
  update: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { client } = session;
  const { id, hash } = job.expected ?? {};
  if (id !== undefined && identity.id !== undefined) {
    if (id !== identity.id) throw new OtherBoardError(client.name, `was ${id}`, `is ${identity.id}`);
  } else if (hash !== undefined && client.server.mode !== "recovery")
    mustRunExpected(job, client.name, update, await runningNow(client, signal));
}

/** A board that a killed station was updating may run the update by now. */
function mustRunExpected(
  { expected, begunBefore }: Job,
  where: string,
  update: Uint8Array | undefined,
  running: Parameters<typeof mustBeOneOf>[3],
): void {
  if (expected?.hash === undefined) return;
  const mayRun = begunBefore > 0 && update !== undefined ? [expected.hash, toHex(update)] : [expected.hash];
  mustBeOneOf(where, expected, mayRun, running);
}

async function factsOf(open: OpenBoard, signal: AbortSignal): Promise<TileFacts | undefined> {
  try {
    return tileFacts(await readFacts(open.session, { signal }), open.identity.id);
  } catch {
    // It went away after its job, or is silent: it runs something that nobody can name.
    signal.throwIfAborted();
    return undefined;
  }
}

export function tileFacts(facts: BoardFacts, id: string | undefined): TileFacts {
  const { content } = runningSlot(facts) ?? {};
  const counter = facts.images[0]?.storedCounter?.value;
  const mode = facts.bootloader?.modeName;
  return {
    server: facts.server,
    ...(id !== undefined && { id }),
    ...(content && { version: content.version }),
    ...(content?.hash && { hash: toHex(content.hash) }),
    ...(content?.confirmed !== undefined && { confirmed: content.confirmed }),
    ...(counter !== undefined && { counter }),
    ...(mode !== undefined && { mode }),
    readAt: new Date().toISOString(),
  };
}
