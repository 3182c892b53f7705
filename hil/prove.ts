import { BootproofError } from "bootproof";
import { type Assembly, assemble, type Overrides } from "./assemble.js";
import type { BoardEntry } from "./bench.js";
import type { Case, Control, ControlId, Finding } from "./case.js";
import { CASES } from "./cases/all.js";
import { CONTROLS } from "./cases/controls.js";
import type { ClaimId } from "./claims.js";
import { Journal } from "./journal.js";
import { type BoardResult, type CaseResult, type ControlResult, judgeClaims } from "./result.js";
import { coveredBy, type WayBack, waysBack } from "./safety.js";
import { describe } from "./sight.js";
import { NotJudged } from "./stand/desk.js";
import { Stand } from "./stand.js";

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
  /** Power cuts per story and kind. */
  readonly cuts?: number | undefined;
  readonly randomCuts?: number | undefined;
  /** Where journals are kept; default: the user's state folder. */
  readonly journals?: string | undefined;
  readonly onEvent?: ((event: ProofEvent) => void) | undefined;
}

export type ProofEvent =
  | { readonly kind: "board"; readonly board: string; readonly says: string; readonly cases: number }
  | { readonly kind: "case"; readonly board: string; readonly id: string; readonly says: string }
  | { readonly kind: "cut"; readonly board: string; readonly done: number; readonly total: number }
  | { readonly kind: "result"; readonly board: string; readonly result: CaseResult }
  | { readonly kind: "put-back"; readonly board: string; readonly ok: boolean; readonly says: string };

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
  const stand = new Stand(standOptions(entry, assembly, options));
  try {
    return await proveStand(entry, stand, journal, options, start);
  } finally {
    await stand.close();
  }
}

async function proveStand(
  entry: BoardEntry,
  stand: Stand,
  journal: Journal | undefined,
  options: ProveOptions,
  start: number,
): Promise<BoardResult> {
  const { says } = stand.board;
  let isPutBack = true;
  try {
    const home = await stand.open();
    mustRunItsImage(stand);
    journal?.arm({ base: stand.forge.baseFile, ...(stand.canProgram && { flash: stand.readAll() }) });
    isPutBack = false;
    const run = new Run(entry, stand, options);
    const image = { ...run.imageFacts(), version: home.running!.version };
    const { cases, controls, putBack } = await runAndPutBack(run, stand, options);
    isPutBack = putBack.ok;
    return {
      board: entry.name,
      says,
      ...(stand.mode === undefined ? {} : { mode: stand.mode }),
      image,
      home,
      claims: judgeClaims(cases),
      controls,
      cases,
      putBack,
      elapsedMs: performance.now() - start,
    };
  } catch (error) {
    return unusable(entry, error, start, says);
  } finally {
    if (isPutBack) journal?.end();
  }
}

function isLasting({ reach }: BoardEntry): boolean {
  if (reach.kind === "attached" || reach.kind === "labgrid") return true;
  return reach.kind !== "machine" && reach.flash !== undefined;
}

/** Whatever happens in between, the board is put back: also after Ctrl-C, and after a fault of ours. */
async function runAndPutBack(run: Run, stand: Stand, options: ProveOptions) {
  let cases: readonly CaseResult[] = [];
  let putBack: BoardResult["putBack"] | undefined;
  try {
    cases = await run.all();
  } finally {
    stand.ignoreAbort();
    putBack = await putBackAtLast(stand, options);
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

function standOptions(entry: BoardEntry, { board, forge, layout, keys }: Assembly, options: ProveOptions) {
  const { quick, signal, seed, through = "programmer" } = options;
  const size = quick ? "quick" : "full";
  return {
    board,
    forge,
    layout,
    keys,
    mode: entry.mode,
    through,
    seed,
    signal,
    cuts: options.cuts ?? CUTS[size],
    randomCuts: options.randomCuts ?? RANDOM_CUTS[size],
    bootMs: layout && board.can.has("cut") ? BOOT_MS.emulated : BOOT_MS.other,
    onCut: (done: number, total: number) =>
      options.onEvent?.({ kind: "cut", board: entry.name, done, total }),
  };
}

/** Bad images are made from the board's own, which is also what is put back: it has to be the one that runs. */
function mustRunItsImage(stand: Stand): void {
  const { home, forge } = stand;
  const own = forge.base.imageHash && Buffer.from(forge.base.imageHash.value).toString("hex");
  if (home.state !== "application")
    throw new NotJudged(`At the start ${describe(home)}; an application should run.`);
  if (home.running?.hash === own && home.running?.confirmed) return;
  if (home.running?.hash === own)
    throw new NotJudged("The image that runs is not confirmed: confirm it first.");
  throw new NotJudged(
    `The image that runs (${describe(home)}) is not the one that was given (${own?.slice(0, 12)}).`,
  );
}

/** One run over one board. */
class Run {
  readonly controls: ControlResult[] = [];
  readonly #entry: BoardEntry;
  readonly #stand: Stand;
  readonly #options: ProveOptions;
  readonly #results: CaseResult[] = [];
  #ways: ReadonlySet<WayBack> = new Set();

  constructor(entry: BoardEntry, stand: Stand, options: ProveOptions) {
    this.#entry = entry;
    this.#stand = stand;
    this.#options = options;
  }

  imageFacts() {
    this.#stand.begin();
    this.#stand.recorder.offered("the board's own image", this.#stand.forge.baseFile, "given");
    const [own] = this.#stand.finish().offered;
    return { imageHash: own!.imageHash ?? "", sha256: own!.sha256 };
  }

  async all(): Promise<readonly CaseResult[]> {
    const cases = chooseCases(this.#options);
    const { name } = this.#entry;
    this.#tell({ kind: "board", board: name, says: this.#stand.board.says, cases: cases.length });
    try {
      await this.#prepare(cases);
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
      this.#tell({ kind: "case", board: name, id: one.id, says: one.says });
      const result = await this.#one(one);
      this.#results.push(result);
      this.#tell({ kind: "result", board: name, result });
    }
  }

  /** Finds out which ways back there are, before anything is put at risk. */
  async #prepare(cases: readonly Case[]): Promise<void> {
    const wanted = cases.filter((one) => this.#isClaimed(one));
    const { canProgram, board } = this.#stand;
    const isOnlyWay = !canProgram && !board.can.has("forgets");
    if (isOnlyWay || wanted.some(({ needs }) => needs.includes("recovery"))) await this.#stand.tryRecovery();
    this.#ways = await waysBack(this.#stand, (id) => this.#control(id));
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
      const seen = `Its control ${failed}, so a refusal would prove nothing. ${control.says} ${control.seen}`;
      return this.#result(one, { verdict: "not-judged", seen }, Date.now());
    }
    return this.#steps(one);
  }

  /** Why a case is not run. */
  #obstacle(one: Case): Finding | undefined {
    if (!this.#isClaimed(one)) return { verdict: "not-supported", seen: "The board does not claim it." };
    const lack = one.needs
      .map((need) => [need, this.#stand.lacks(need)] as const)
      .find(([, why]) => why !== undefined);
    if (lack)
      return { verdict: STRUCTURAL.includes(lack[0]) ? "not-supported" : "not-judged", seen: lack[1]! };
    const doubt = (one.assumes ?? []).find((id) =>
      this.#results.some((known) => known.id === id && known.verdict === "does-not-hold"),
    );
    if (doubt)
      return {
        verdict: "not-judged",
        seen: `It means nothing while ${doubt} does not hold: the same finding.`,
      };
    if (!this.#options.allowDestructive && !coveredBy(this.#ways, one.risk))
      return {
        verdict: "not-judged",
        seen: `It puts the ${one.risk} at risk, and no way back was proven. --allow-destructive runs it.`,
      };
    return undefined;
  }

  async #steps(one: Case): Promise<CaseResult> {
    const startedAt = Date.now();
    const stand = this.#stand;
    stand.begin();
    try {
      stand.recorder.saw({ ...(await stand.goHome()), label: "before" });
      const before = stand.pictures();
      const finding = await guarded(() => one.steps(stand));
      const after = stand.pictures();
      return this.#result(one, finding, startedAt, { before, after, evidence: stand.finish() });
    } catch (error) {
      if (!(error instanceof BootproofError)) throw error;
      return this.#result(one, { verdict: "not-judged", seen: error.message }, startedAt, {
        evidence: stand.finish(),
      });
    } finally {
      stand.touch();
    }
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

  async #runControl({ id, says, needs, steps }: Control): Promise<ControlResult> {
    const start = performance.now();
    const stand = this.#stand;
    const lack = needs.map((need) => stand.lacks(need)).find((why) => why !== undefined);
    if (lack !== undefined) return { id, says, verdict: "not-judged", seen: lack, elapsedMs: 0 };
    stand.begin();
    const finding = await guarded(async () => {
      await stand.goHome();
      return steps(stand);
    });
    stand.touch();
    return { id, says, ...finding, elapsedMs: performance.now() - start, evidence: stand.finish() };
  }

  #result(one: Case, finding: Finding, startedAt: number, more: Partial<CaseResult> = {}): CaseResult {
    const { id, claim, says, expected, risk, control } = one;
    return {
      id,
      claim,
      says,
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
const STRUCTURAL: readonly string[] = [
  "trial",
  "two-images",
  "secondary",
  "signature",
  "counter",
  "accepted-key",
  "refused-key",
];

/** An error in the middle of a case says that it could not be judged, and why; faults of ours and Ctrl-C go on. */
async function guarded(steps: () => Promise<Finding>): Promise<Finding> {
  try {
    return await steps();
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    return { verdict: "not-judged", seen: error.message };
  }
}

async function putBackAtLast(stand: Stand, options: ProveOptions): Promise<BoardResult["putBack"]> {
  let putBack: BoardResult["putBack"];
  try {
    const sight = await stand.goHome();
    putBack = { ok: true, says: `The board's own image runs again, hash checked: ${describe(sight)}.` };
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    putBack = { ok: false, says: error.message };
  }
  options.onEvent?.({ kind: "put-back", board: stand.board.entry.name, ...putBack });
  return putBack;
}

function unusable(
  entry: BoardEntry,
  error: unknown,
  start: number,
  says: string = entry.reach.kind,
): BoardResult {
  if (!(error instanceof BootproofError)) throw error;
  const hint = error.hint === undefined ? "" : ` ${error.hint}`;
  return {
    board: entry.name,
    says,
    unusable: error.message + hint,
    claims: [],
    controls: [],
    cases: [],
    putBack: { ok: true, says: "Nothing was changed." },
    elapsedMs: performance.now() - start,
  };
}
