import { BootproofError } from "bootproof";
import { attackSurface, type SurfaceItem } from "./attack-surface.js";
import type { BoardEntry } from "./board-files/board-entry.js";
import type { Case, Control, ControlId, Finding, Need } from "./case.js";
import { CASES } from "./cases/all.js";
import { CONTROLS } from "./cases/controls.js";
import { compareStored } from "./cases/stored-counter.js";
import type { Harness } from "./harness/harness.js";
import { cannotUnpack, lacks, lacksOtherSlot } from "./preconditions.js";
import type { ProofEvent, ProveOptions } from "./prove-events.js";
import type { CaseResult, ControlResult } from "./result.js";
import { coveredBy, type RestoreMethod, restoreMethods } from "./safety.js";
import { leftWords } from "./snapshot.js";
import { SpentSteps } from "./spent-steps.js";

/** The cases a run is about, in their order. */
export function chooseCases(options: Pick<ProveOptions, "cases" | "claims" | "quick">): Case[] {
  const { cases, claims, quick } = options;
  return CASES.filter(({ id, claim, quick: isQuick }) => {
    if (cases && !cases.some((wanted) => id === wanted || id.startsWith(`${wanted}/`))) return false;
    if (claims && !claims.includes(claim)) return false;
    return !quick || isQuick === true || cases !== undefined;
  });
}

/** One run over one board. */
export class Run {
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
