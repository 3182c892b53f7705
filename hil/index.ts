import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { BootproofError } from "bootproof";
import { BenchError, type BoardEntry, entryOf, readBench } from "./bench.js";
import { CASES } from "./cases/all.js";
import { CLAIM_IDS, CLAIMS, isClaim } from "./claims.js";
import { importHardwareMap } from "./hardware-map.js";
import { deadRuns } from "./journal.js";
import { parsePolicy, type Shortfall, shortfalls } from "./policy.js";
import { chooseCases, type ProofEvent, proveBoard } from "./prove.js";
import { compareReports, wordsOfChange } from "./report/compare.js";
import { toHtml } from "./report/html.js";
import { fromJson, toJson } from "./report/json.js";
import { toJunit } from "./report/junit.js";
import { caseLine, toText } from "./report/terminal.js";
import { restoreBoard } from "./restore.js";
import type { ProofReport } from "./result.js";
import { toolHash } from "./tool-hash.js";

export type { ProofEvent } from "./prove.js";
export type { ProofReport } from "./result.js";

/** What is asked of the suite; all paths as the user gave them. */
export interface ProofRequest {
  /** An address; or else a bench file, of which all boards or the named ones. */
  readonly device?: string | undefined;
  readonly bench?: string | undefined;
  readonly boards?: readonly string[] | undefined;
  readonly image?: string | undefined;
  readonly key?: string | undefined;
  readonly quick?: boolean | undefined;
  readonly cases?: readonly string[] | undefined;
  readonly claims?: readonly string[] | undefined;
  readonly allowDestructive?: boolean | undefined;
  readonly through?: string | undefined;
  readonly seed?: number | undefined;
  /** Power cuts per stretch and kind. */
  readonly cuts?: number | undefined;
  readonly randomCuts?: number | undefined;
  readonly policy?: string | undefined;
  /** Files to write; the ending says which report: .html, .xml (JUnit), .json. */
  readonly reports?: readonly string[] | undefined;
  /** An earlier .json report. */
  readonly compare?: string | undefined;
}

export interface ProofHooks {
  readonly version: string;
  readonly signal: AbortSignal;
  note(text: string): void;
  progress(label: string, done: number, total: number, unit?: string): void;
}

export interface ProofOutcome {
  readonly report: ProofReport;
  readonly text: string;
  readonly shortfalls: readonly Shortfall[];
  readonly ending: "passed" | "does-not-hold" | "not-judged" | "not-put-back" | "interrupted";
}

/** A request that cannot be understood. */
export class RequestError extends BootproofError {
  declare readonly code: "usage";
}

/** Runs the suite over the boards asked for, all at once, one case at a time on each, and writes the reports. */
export async function runProof(request: ProofRequest, hooks: ProofHooks): Promise<ProofOutcome> {
  const policy = request.policy === undefined ? undefined : parsePolicy(request.policy, read(request.policy));
  const earlier =
    request.compare === undefined ? undefined : fromJson(request.compare, read(request.compare));
  const writers = (request.reports ?? []).map(writerFor);
  const report = await run(request, hooks);
  const changes = earlier && compareReports(earlier, report);
  for (const { path, write } of writers) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, write(report, changes));
    hooks.note(`Report written: ${path}`);
  }
  const lines = [toText(report), ...(changes ?? []).map(wordsOfChange)];
  const missing = shortfalls(report, policy);
  if (policy) lines.push(...missing.map(policyLine));
  return { report, text: lines.join("\n"), shortfalls: missing, ending: endingOf(report, missing) };
}

async function run(request: ProofRequest, hooks: ProofHooks): Promise<ProofReport> {
  const start = performance.now();
  const startedAt = new Date().toISOString();
  const seed = request.seed ?? Math.floor(Math.random() * 0x1_0000_0000);
  const entries = entriesOf(request);
  const options = {
    signal: hooks.signal,
    seed,
    image: request.image,
    key: request.key,
    quick: request.quick,
    cases: checkedCases(request.cases),
    claims: checkedClaims(request.claims),
    allowDestructive: request.allowDestructive,
    through: checkedWay(request.through),
    cuts: request.cuts,
    randomCuts: request.randomCuts,
    onEvent: drawing(hooks),
  };
  if (chooseCases(options).length === 0)
    throw new RequestError("usage", "There is no such case.", {
      hint: "bootproof prove --list shows them all.",
    });
  const sha256 = toolHash();
  hooks.note(`Seed ${seed}: --seed ${seed} repeats the random choices of this run.`);
  const boards = await Promise.all(entries.map((entry) => proveBoard(entry, options)));
  return {
    format: "bootproof proof 1",
    tool: { name: "bootproof", version: hooks.version, ...(sha256 && { sha256 }) },
    startedAt,
    elapsedMs: performance.now() - start,
    seed,
    scope: request.cases || request.claims ? "chosen" : request.quick ? "quick" : "full",
    interrupted: hooks.signal.aborted,
    boards,
  };
}

/** Every case there is, for people and for programs. */
export function listCases() {
  return CASES.map(({ id, claim, says, needs, risk, expected, control, assumes, quick = false }) => ({
    id,
    claim,
    title: CLAIMS[claim].title,
    says,
    needs,
    risk,
    expected,
    control: control ?? null,
    assumes: assumes ?? [],
    quick,
  }));
}

/** Finishes what runs that died have left: each board gets its own image back. Returns a line per board. */
export async function restoreAll(
  signal: AbortSignal,
): Promise<{ board: string; ok: boolean; says: string }[]> {
  const results = [];
  for (const { record, forget } of deadRuns()) {
    const result = await restoreBoard(record, signal);
    if (result.ok) forget();
    results.push({ board: record.entry.name, ...result });
  }
  return results;
}

/** A bench file out of twister's hardware map. */
export function benchFromHardwareMap(path: string): string {
  return importHardwareMap(path, read(path));
}

function entriesOf({ device, bench, boards }: ProofRequest): BoardEntry[] {
  if (device !== undefined) return [entryOf(device)];
  if (bench === undefined)
    throw new RequestError("usage", "No board is named.", {
      hint: "Name one with -d ADDRESS (wasm:good is an emulated one), or a bench file with --bench FILE.",
    });
  const all = readBench(bench);
  if (!boards) return all;
  return boards.map((name) => {
    const entry = all.find((one) => one.name === name);
    if (entry) return entry;
    throw new BenchError("unknown-board", `${bench} describes no board "${name}".`, {
      hint: `It has: ${all.map((one) => one.name).join(", ")}.`,
    });
  });
}

function checkedCases(cases: readonly string[] | undefined): readonly string[] | undefined {
  const wrong = cases?.find(
    (wanted) => !CASES.some(({ id }) => id === wanted || id.startsWith(`${wanted}/`)),
  );
  if (wrong === undefined) return cases;
  throw new RequestError("usage", `There is no case "${wrong}".`, {
    hint: "bootproof prove --list shows them all.",
  });
}

function checkedClaims(claims: readonly string[] | undefined) {
  return claims?.map((claim) => {
    if (isClaim(claim)) return claim;
    throw new RequestError("usage", `There is no claim "${claim}".`, {
      hint: `There are: ${CLAIM_IDS.join(", ")}.`,
    });
  });
}

function checkedWay(through: string | undefined): "smp" | "programmer" | undefined {
  if (through === undefined || through === "smp" || through === "programmer") return through;
  throw new RequestError("usage", `Images get to a board through "smp" or "programmer", not "${through}".`);
}

const ENDINGS: Readonly<
  Record<string, (report: ProofReport, changes: Parameters<typeof toHtml>[1]) => string>
> = {
  html: toHtml,
  xml: toJunit,
  json: toJson,
};

function writerFor(path: string) {
  const write = ENDINGS[/\.(\w+)$/.exec(path)?.[1]?.toLowerCase() ?? ""];
  if (write) return { path, write };
  throw new RequestError("usage", `"${path}": the ending of a report says its kind.`, {
    hint: "Use .html for a page, .xml for JUnit, .json for programs and for --compare.",
  });
}

function drawing({ note, progress }: ProofHooks): (event: ProofEvent) => void {
  return (event) => {
    switch (event.kind) {
      case "board":
        return note(`${event.board}: ${event.cases} cases. ${event.says}`);
      case "result":
        return note(`${event.board}  ${caseLine(event.result)}`);
      case "cut":
        return progress(`${event.board}: power`, event.done, event.total, "cuts");
      case "put-back":
        return note(`${event.board}: ${event.ok ? "" : "NOT PUT BACK: "}${event.says}`);
      case "case":
        return;
    }
  };
}

function policyLine({ board, what, verdict }: Shortfall): string {
  return `policy: ${board}: ${what} must hold: ${verdict}`;
}

function endingOf(report: ProofReport, missing: readonly Shortfall[]): ProofOutcome["ending"] {
  if (report.boards.some(({ putBack }) => !putBack.ok)) return "not-put-back";
  if (report.interrupted) return "interrupted";
  if (missing.some(({ verdict }) => verdict === "does-not-hold")) return "does-not-hold";
  return missing.length > 0 ? "not-judged" : "passed";
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new RequestError("usage", `${path} cannot be read: ${(cause as Error).message}.`, { cause });
  }
}
