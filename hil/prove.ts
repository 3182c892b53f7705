import { createHash } from "node:crypto";
import { BootproofError } from "bootproof";
import { type Assembly, assemble, type Overrides, readInput } from "./assemble.js";
import { attackSurface, type SurfaceItem } from "./attack-surface.js";
import type { BoardEntry } from "./board-file.js";
import type { Case, Control, ControlId, Finding, Need } from "./case.js";
import { CASES } from "./cases/all.js";
import { CONTROLS } from "./cases/controls.js";
import { compareStored } from "./cases/stored-counter.js";
import type { ClaimId } from "./claims.js";
import type { RecorderOptions } from "./evidence.js";
import { Harness } from "./harness/harness.js";
import { NotJudged } from "./harness/not-judged.js";
import { Journal } from "./journal.js";
import { cannotUnpack, lacks, lacksOtherSlot } from "./preconditions.js";
import { type BoardResult, type CaseResult, type ControlResult, judgeClaims } from "./result.js";
import { coveredBy, type RestoreMethod, restoreMethods } from "./safety.js";
import { describe, leftWords, type Snapshot } from "./snapshot.js";
import { SpentSteps } from "./spent-steps.js";

export interface ProveOptions extends Overrides {
  readonly signal: AbortSignal;
  readonly seed: number;
  /** Only what is marked as quick. */
  readonly quick?: boolean | undefined;
  /** Only these: ids, or their beginnings up to a slash. */
  readonly cases?: readonly string[] | undefined;
  readonly claims?: readonly ClaimId[] | undefined;
  /** Run also what no proven way back covers. */
  readonly allowDestructive?: boolean | undefined;
  readonly through?: "smp" | "programmer" | undefined;
  /** Power cuts per scenario and kind. */
  readonly cuts?: number | undefined;
  readonly randomCuts?: number | undefined;
  /** The bootloader build that is on the boards, for those whose board file names none. */
  readonly bootloader?: string | undefined;
  /** Where journals are kept; default: the user's state folder. */
  readonly journals?: string | undefined;
  /** What is kept of each case beyond what a report needs. */
  readonly record?: RecorderOptions | undefined;
  readonly onEvent?: ((event: ProofEvent) => void) | undefined;
}

export type ProofEvent =
  | { readonly kind: "board"; readonly board: string; readonly summary: string; readonly cases: number }
  | {
      readonly kind: "case";
      readonly board: string;
      readonly id: string;
      readonly summary: string;
      /** What it uses up for ever, and what is left of it. */
      readonly spends?: string;
    }
  | { readonly kind: "cut"; readonly board: string; readonly done: number; readonly total: number }
  | { readonly kind: "result"; readonly board: string; readonly result: CaseResult }
  | { readonly kind: "put-back"; readonly board: string; readonly ok: boolean; readonly message: string };

/** A {@link ProofEvent} as `prove` prints it on one line of JSON: evidence and pictures of slots are in the reports. */
export type ProofLine =
  | Exclude<ProofEvent, { readonly kind: "result" }>
  | {
      readonly kind: "result";
      readonly board: string;
      readonly result: Omit<CaseResult, "evidence" | "before" | "after">;
    };

const CUTS = { full: 8, quick: 2 } as const;
const RANDOM_CUTS = { full: 30, quick: 5 } as const;
const BOOT_MS = { emulated: 60, other: 3000 } as const;

/** Runs cases on one board, one after the other, and puts the board back. A board that cannot be used is a result. */
export async function proveBoard(entry: BoardEntry, options: ProveOptions): Promise<BoardResult> {
  const start = performance.now();
  let journal: Journal | undefined;
  let assembly: Assembly;
  try {
    // Boards that last beyond this run get a journal, from which a run that died can be finished.
    journal = isLasting(entry) ? Journal.begin(entry, options.journals) : undefined;
    assembly = await assemble(entry, options);
  } catch (error) {
    journal?.end();
    return unusable(entry, error, start);
  }
  return proveAssembled(entry, assembly, options, journal, start);
}

/** As {@link proveBoard}, with a board that was opened already; it is closed at the end. */
export async function proveAssembled(
  entry: BoardEntry,
  assembly: Assembly,
  options: ProveOptions,
  journal?: Journal,
  start = performance.now(),
): Promise<BoardResult> {
  const harness = new Harness(harnessOptions(entry, assembly, options));
  try {
    return await proveOnHarness(entry, harness, journal, options, start);
  } finally {
    await harness.close();
  }
}

async function proveOnHarness(
  entry: BoardEntry,
  harness: Harness,
  journal: Journal | undefined,
  options: ProveOptions,
  start: number,
): Promise<BoardResult> {
  const { summary } = harness.board;
  let isPutBack = true;
  try {
    const initial = await harness.base.open();
    mustRunItsImage(harness);
    await harness.base.findOutWhatItKeeps();
    if (entry.reach.kind === "machine" && !harness.board.can.has("forgets"))
      journal ??= Journal.begin(entry, options.journals);
    const run = new Run(entry, harness, options);
    journal?.arm({
      base: harness.factory.baseFile,
      ...(harness.traits.canProgram && { flash: harness.flash.readAll() }),
    });
    isPutBack = false;
    const image = { ...run.imageFacts(), version: initial.running!.version };
    const { cases, controls, putBack } = await runAndPutBack(run, harness, options);
    isPutBack = putBack.ok;
    return {
      board: entry.name,
      summary,
      ...(harness.traits.mode === undefined ? {} : { mode: harness.traits.mode }),
      ...(entry.product === undefined ? {} : { product: entry.product }),
      ...(entry.unit === undefined ? {} : { unit: entry.unit }),
      ...bootloaderFacts(initial, entry.bootloader ?? options.bootloader),
      image,
      initial,
      claims: judgeClaims(cases),
      controls,
      cases,
      ...(run.surface && { surface: run.surface }),
      putBack,
      elapsedMs: performance.now() - start,
    };
  } catch (error) {
    return unusable(entry, error, start, summary);
  } finally {
    if (isPutBack) journal?.end();
  }
}

/** The name that the board gives, and the digest of the build that somebody says is on it. */
function bootloaderFacts({ bootloader: name }: Snapshot, file: string | undefined): Partial<BoardResult> {
  if (name === undefined && file === undefined) return {};
  const sha256 = file && createHash("sha256").update(readInput(file)).digest("hex");
  return { bootloader: { ...(name === undefined ? {} : { name }), ...(sha256 && { sha256 }) } };
}

function isLasting({ reach }: BoardEntry): boolean {
  if (reach.kind === "attached" || reach.kind === "labgrid") return true;
  return reach.kind === "machine" ? reach.keepsFlash === true : reach.flash !== undefined;
}

/** Whatever happens in between, the board is put back: also after Ctrl-C, and after a fault of ours. */
async function runAndPutBack(run: Run, harness: Harness, options: ProveOptions) {
  let cases: readonly CaseResult[] = [];
  let putBack: BoardResult["putBack"] | undefined;
  try {
    cases = await run.all();
  } finally {
    harness.ignoreAbort();
    putBack = await putBackAtLast(harness, options);
  }
  return { cases, controls: run.controls, putBack };
}

/** The cases a run is about, in their order. */
export function chooseCases(options: Pick<ProveOptions, "cases" | "claims" | "quick">): Case[] {
  const { cases, claims, quick } = options;
  return CASES.filter(({ id, claim, quick: isQuick }) => {
    if (cases && !cases.some((wanted) => id === wanted || id.startsWith(`${wanted}/`))) return false;
    if (claims && !claims.includes(claim)) return false;
    return !quick || isQuick === true || cases !== undefined;
  });
}

function harnessOptions(
  entry: BoardEntry,
  { board, factory, layout, keys }: Assembly,
  options: ProveOptions,
) {
  const { quick, signal, seed, through = "programmer" } = options;
  const size = quick ? "quick" : "full";
  return {
    board,
    factory,
    layout,
    keys,
    mode: entry.mode,
    decompresses: entry.claims?.includes("decompression") ?? false,
    through,
    seed,
    signal,
    record: options.record,
    cuts: options.cuts ?? CUTS[size],
    randomCuts: options.randomCuts ?? RANDOM_CUTS[size],
    bootMs: layout && board.can.has("cut") ? BOOT_MS.emulated : BOOT_MS.other,
    onCut: (done: number, total: number) =>
      options.onEvent?.({ kind: "cut", board: entry.name, done, total }),
  };
}

/** Bad images are made from the board's own, which is also what is put back: it has to be the one that runs. */
function mustRunItsImage(harness: Harness): void {
  const { initial, factory } = harness;
  const own = factory.base.imageHash && Buffer.from(factory.base.imageHash.value).toString("hex");
  if (initial.state !== "application")
    throw new NotJudged(`At the start ${describe(initial)}; an application should be running.`);
  if (own === undefined)
    throw new NotJudged("The given image carries no hash, so it cannot be told whether it runs.");
  if (initial.running?.hash === own && initial.running?.confirmed !== false) return;
  if (initial.running?.hash === own)
    throw new NotJudged("The running image is not confirmed: confirm it first.");
  throw new NotJudged(
    `The image that runs (${describe(initial)}) is not the given one (${own.slice(0, 12)}).`,
  );
}

/** One run over one board. */
class Run {
  readonly controls: ControlResult[] = [];
  /** Asked for by runs over all claims only. */
  surface: readonly SurfaceItem[] | undefined;
  readonly #entry: BoardEntry;
  readonly #harness: Harness;
  readonly #options: ProveOptions;
  readonly #results: CaseResult[] = [];
  readonly #spent: SpentSteps;
  #restoreMethods: ReadonlySet<RestoreMethod> = new Set();
  #triedRecovery = false;

  constructor(entry: BoardEntry, harness: Harness, options: ProveOptions) {
    this.#entry = entry;
    this.#harness = harness;
    this.#options = options;
    this.#spent = new SpentSteps(entry, options.journals);
  }

  imageFacts() {
    this.#harness.record.begin();
    this.#harness.recorder.offered("the board's own image", this.#harness.factory.baseFile, "given");
    const [own] = this.#harness.record.finish().offered;
    return { imageHash: own!.imageHash!, sha256: own!.sha256 };
  }

  async all(): Promise<readonly CaseResult[]> {
    const cases = chooseCases(this.#options);
    const { name } = this.#entry;
    this.#tell({ kind: "board", board: name, summary: this.#harness.board.summary, cases: cases.length });
    try {
      await this.#prepare(cases);
      await this.#survey();
      await this.#each(cases);
    } catch (error) {
      // Ctrl-C: what has been found out until now is the result.
      if (!this.#options.signal.aborted) throw error;
    }
    return this.#results;
  }

  async #each(cases: readonly Case[]): Promise<void> {
    const { name } = this.#entry;
    for (const one of cases) {
      this.#options.signal.throwIfAborted();
      const spends = this.#spends(one);
      this.#tell({ kind: "case", board: name, id: one.id, summary: one.summary, ...(spends && { spends }) });
      const result = await this.#one(one);
      this.#results.push(result);
      this.#tell({ kind: "result", board: name, result });
    }
  }

  /** Finds out which ways back there are, before anything is put at risk. */
  async #prepare(cases: readonly Case[]): Promise<void> {
    const wanted = cases.filter((one) => this.#isClaimed(one));
    const { traits, board } = this.#harness;
    const isOnlyWay = !traits.canProgram && !board.can.has("forgets");
    const hasRecovery = traits.mode !== "firmware-loader";
    if (hasRecovery && (isOnlyWay || wanted.some(({ needs }) => needs.includes("recovery"))))
      await this.#tryRecovery();
    // A board that reports no mode shows by its first update whether it has trial boots.
    if (this.#harness.traits.hasTrial === undefined && wanted.some(({ needs }) => needs.includes("trial")))
      await this.#control("update");
    this.#restoreMethods = await restoreMethods(this.#harness, (id) => this.#control(id));
  }

  async #tryRecovery(): Promise<void> {
    this.#triedRecovery = true;
    await this.#harness.base.tryRecovery();
  }

  async #survey(): Promise<void> {
    const { cases, claims } = this.#options;
    if (cases !== undefined || claims !== undefined) return;
    const mayTouchSlot = coveredBy(this.#restoreMethods, "secondary slot");
    this.surface = await attackSurface(this.#harness, mayTouchSlot, { wasTried: this.#triedRecovery });
  }

  #isClaimed({ claim }: Case): boolean {
    return this.#entry.claims === undefined || this.#entry.claims.includes(claim);
  }

  async #one(one: Case): Promise<CaseResult> {
    const obstacle = this.#obstacle(one);
    if (obstacle) return this.#result(one, obstacle, Date.now());
    const control = one.control && (await this.#control(one.control));
    if (control && control.verdict !== "holds") {
      const failed = control.verdict === "not-judged" ? "could not be judged" : "failed";
      const observed = `Its control ${failed}, so a refusal would prove nothing. ${control.summary} ${control.observed}`;
      return this.#result(one, { verdict: "not-judged", observed }, Date.now());
    }
    return this.#steps(one);
  }

  /** Why a case is not run. */
  #obstacle(one: Case): Finding | undefined {
    if (!this.#isClaimed(one)) return { verdict: "not-supported", observed: "The board does not claim it." };
    const missing = one.needs
      .map((need) => [need, lacks(this.#harness, need)] as const)
      .filter(([, why]) => why !== undefined);
    // What a board is of no kind to have is a better reason than what could not be found out.
    const structural = missing.find(([need]) => this.#isStructural(need));
    if (structural) return { verdict: "not-supported", observed: structural[1]! };
    if (missing.length > 0) return { verdict: "not-judged", observed: missing[0]![1]! };
    const doubt = (one.assumes ?? []).find((id) =>
      this.#results.some((known) => known.id === id && known.verdict === "does-not-hold"),
    );
    if (doubt)
      return {
        verdict: "not-judged",
        observed: `It means nothing while ${doubt} does not hold: the same finding.`,
      };
    const risk = one.risk === "secondary slot" && this.#harness.traits.hasOneSlot ? "primary slot" : one.risk;
    if (!this.#options.allowDestructive && !coveredBy(this.#restoreMethods, risk))
      return {
        verdict: "not-judged",
        observed:
          one.risk === "counter step"
            ? "It permanently raises the board's security counter by one, and no way to restore the board was proven. --allow-destructive runs it; the board's own firmware is then signed again with a higher counter."
            : `It puts the ${risk} at risk, and no way to restore the board was proven. --allow-destructive runs it.`,
      };
    return this.#isSpending(one) ? this.#spent.remembered(one.id) : undefined;
  }

  /** A step of a counter that nobody can give back. */
  #isSpending({ risk }: Case): boolean {
    return risk === "counter step" && !coveredBy(this.#restoreMethods, risk);
  }

  /** Said before: what a case that will run uses up for ever. */
  #spends(one: Case): string | undefined {
    if (!this.#isSpending(one) || this.#obstacle(one) !== undefined) return undefined;
    const { initial } = this.#harness;
    const counter = initial.counters[0];
    const now =
      counter === undefined
        ? "The board does not report its counter."
        : `It is ${counter} now${leftWords(initial)}.`;
    return `It raises the stored security counter by one, permanently, and only once for this board. ${now}`;
  }

  /** Lacking it, the board is of a kind that has no such thing. What is not known yet is none of that. */
  #isStructural(need: Need): boolean {
    const { initial, traits } = this.#harness;
    switch (need) {
      case "secondary":
        return !lacksOtherSlot(this.#harness) && !traits.hasOneSlot;
      case "decompresses":
        return initial.compression !== undefined || cannotUnpack(this.#harness);
      case "recovery":
        return traits.mode === "firmware-loader";
      case "slot-addresses":
        return traits.mode !== undefined && !traits.runsWhereWritten;
      case "trial":
        return traits.hasTrial === false;
      default:
        return STRUCTURAL.includes(need);
    }
  }

  async #steps(one: Case): Promise<CaseResult> {
    const startedAt = Date.now();
    const harness = this.#harness;
    harness.record.begin();
    try {
      harness.recorder.addSnapshot({ ...(await harness.restoreBase()), label: "before" });
      const before = harness.flash.pictures();
      const isSpending = this.#isSpending(one);
      if (isSpending) this.#spent.note(one.id);
      const finding = await guarded(() => one.steps(harness));
      if (isSpending) await this.#rememberStep(one.id, finding);
      const after = harness.flash.pictures();
      return this.#result(one, finding, startedAt, { before, after, evidence: harness.record.finish() });
    } catch (error) {
      if (!(error instanceof BootproofError)) throw error;
      return this.#result(one, { verdict: "not-judged", observed: error.message }, startedAt, {
        evidence: harness.record.finish(),
      });
    } finally {
      harness.touch();
    }
  }

  async #rememberStep(id: string, finding: Finding): Promise<void> {
    const harness = this.#harness;
    const isStill =
      finding.verdict === "not-judged" &&
      compareStored(harness.initial, await harness.takeSnapshot("after the case")).is === "same";
    if (isStill) this.#spent.forget(id);
    else this.#spent.note(id, finding);
  }

  /** Each control is run once, when it is first needed. */
  async #control(id: ControlId): Promise<ControlResult> {
    const known = this.controls.find((one) => one.id === id);
    if (known) return known;
    const control = CONTROLS.find((one) => one.id === id)!;
    const result = await this.#runControl(control);
    this.controls.push(result);
    return result;
  }

  async #runControl({ id, summary, needs, steps }: Control): Promise<ControlResult> {
    const start = performance.now();
    const harness = this.#harness;
    const lack = needs.map((need) => lacks(harness, need)).find((why) => why !== undefined);
    if (lack !== undefined) return { id, summary, verdict: "not-judged", observed: lack, elapsedMs: 0 };
    harness.record.begin();
    const finding = await guarded(async () => {
      await harness.restoreBase();
      return steps(harness);
    });
    harness.touch();
    return {
      id,
      summary,
      ...finding,
      elapsedMs: performance.now() - start,
      evidence: harness.record.finish(),
    };
  }

  #result(one: Case, finding: Finding, startedAt: number, more: Partial<CaseResult> = {}): CaseResult {
    const { id, claim, summary, expected, risk, control } = one;
    return {
      id,
      claim,
      summary,
      expected,
      risk,
      supporting: one.supporting === true,
      ...finding,
      ...(control === undefined ? {} : { control }),
      startedAt,
      elapsedMs: Date.now() - startedAt,
      ...more,
    };
  }

  #tell(event: ProofEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Lacking one of these, a board is of a kind that has no such thing; lacking others, it cannot be judged here. */
const STRUCTURAL: readonly Need[] = [
  "two-images",
  "server-upload",
  "signature",
  "counter",
  "accepted-key",
  "refused-key",
  "key-list",
  "request",
];

/** An error in the middle of a case says that it could not be judged, and why; faults of ours and Ctrl-C go on. */
async function guarded(steps: () => Promise<Finding>): Promise<Finding> {
  try {
    return await steps();
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    return { verdict: "not-judged", observed: error.message };
  }
}

async function putBackAtLast(harness: Harness, options: ProveOptions): Promise<BoardResult["putBack"]> {
  let putBack: BoardResult["putBack"];
  try {
    const snapshot = await harness.restoreBase();
    const own = harness.base.adopted ?? "The board's own image runs again";
    putBack = { ok: true, message: `${own.replace(/\.$/, "")}, hash checked: ${describe(snapshot)}.` };
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    putBack = { ok: false, message: error.message };
  }
  options.onEvent?.({ kind: "put-back", board: harness.board.entry.name, ...putBack });
  return putBack;
}

function unusable(
  entry: BoardEntry,
  error: unknown,
  start: number,
  summary: string = entry.reach.kind,
): BoardResult {
  if (!(error instanceof BootproofError)) throw error;
  const hint = error.hint === undefined ? "" : ` ${error.hint}`;
  return {
    board: entry.name,
    summary,
    unusable: error.message + hint,
    claims: [],
    controls: [],
    cases: [],
    putBack: { ok: true, message: "Nothing was changed." },
    elapsedMs: performance.now() - start,
  };
}
