import { createHash } from "node:crypto";
import { BootproofError } from "bootproof";
import { type Assembly, assemble, readInput } from "./assemble.js";
import type { BoardEntry } from "./board-files/board-entry.js";
import { Harness } from "./harness/harness.js";
import { NotJudged } from "./harness/not-judged.js";
import { Journal } from "./journal.js";
import type { ProveOptions } from "./prove-events.js";
import { type BoardResult, type CaseResult, judgeClaims } from "./result.js";
import { Run } from "./run-cases.js";
import { describe, type Snapshot } from "./snapshot.js";

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
