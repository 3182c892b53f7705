import { readFileSync } from "node:fs";
import { BootproofError } from "bootproof";
import type { PowerConfig } from "bootproof/boards";
import { type BoardEntry, BoardFileError } from "./board-files/board-entry.js";
import { entryOf, readBoardFile } from "./board-files/board-file.js";
import { exportHardwareMap, importHardwareMap } from "./board-files/hardware-map.js";
import { SETTLE_MS } from "./board-files/reach.js";
import { CASES } from "./cases/all.js";
import { CLAIM_IDS, CLAIMS, isClaim } from "./claims.js";
import { deadRuns } from "./journal.js";
import { keepImagesIn } from "./keep-images.js";
import { type Policy, parsePolicy, type Shortfall, shortfalls } from "./policy.js";
import { proveBoard } from "./prove.js";
import type { ProofEvent } from "./prove-events.js";
import { seedFor } from "./random.js";
import { type Change, compareReports, comparisonWords, wordsOfChange } from "./report/compare.js";
import { explain } from "./report/explain.js";
import { mustBeWritable, tryToWrite } from "./report/files.js";
import { toHtml } from "./report/html.js";
import { fromJson, type ReportError, toJson } from "./report/json.js";
import { toJunit } from "./report/junit.js";
import { caseLine, toText } from "./report/terminal.js";
import { restoreBoard } from "./restore.js";
import type { ProofReport } from "./result.js";
import { chooseCases } from "./run-cases.js";
import { toolHash } from "./tool-hash.js";

export { AbilityError, UnusableBoard } from "./board.js";
export { BoardFileError } from "./board-files/board-entry.js";
export { type BoardAddress, boardAddresses, readVehicle } from "./board-files/board-file.js";
export type { EcuEntry, RepositoryEntry, VehicleEntry } from "./board-files/vehicle-facts.js";
export { FactsError } from "./board-files/yaml-facts.js";
export { addressOfPlace } from "./boards/labgrid.js";
export { NotJudged } from "./harness/not-judged.js";
export { ImageFactoryError } from "./images/image-factory-error.js";
export { JournalError } from "./journal.js";
export type { ProofEvent, ProofLine } from "./prove-events.js";
export { ReportError } from "./report/json.js";
export type { ProofReport } from "./result.js";
export { StateMachineError } from "./state-machine.js";

/** What is asked of the suite; all paths as the user gave them. */
export interface ProofRequest {
  /** An address; or several, with names that differ; or else a board file, of which all boards or the named ones. */
  readonly device?: string | undefined;
  readonly devices?:
    | readonly { readonly name: string; readonly address: string; readonly power?: PowerConfig }[]
    | undefined;
  readonly boardFile?: string | undefined;
  readonly boards?: readonly string[] | undefined;
  /** Of the board file only boards that have each of these. */
  readonly tags?: readonly string[] | undefined;
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
  /** The bootloader build that is on the boards: the report names it by digest. */
  readonly bootloader?: string | undefined;
  /** One case: it alone is run, and the text follows it step by step. */
  readonly explain?: string | undefined;
  /** A folder for the images that the boards are given. */
  readonly saveImages?: string | undefined;
}

export interface ProofHooks {
  readonly version: string;
  /** Who runs it. */
  readonly ranBy?: string | undefined;
  readonly signal: AbortSignal;
  note(text: string): void;
  progress(label: string, done: number, total: number, unit?: string): void;
  /** Which boards are meant, before the first is touched. */
  onBoards?(names: readonly string[]): void;
  /** What happens on the boards; without it `note` and `progress` tell it in words. */
  onEvent?(event: ProofEvent): void;
}

/** How a run ended, of all boards or of one: no {@link ProofReport} verdict, of which a run has many. */
export type ProofEnding = "passed" | "claim-broken" | "claim-open" | "not-put-back" | "interrupted";

/** What one board's run came to. */
export interface BoardEnding {
  readonly board: string;
  readonly ending: ProofEnding;
  readonly message: string;
  /** Of the board's own image, where it was read. */
  readonly version?: string;
}

export interface ProofOutcome {
  readonly report: ProofReport;
  readonly text: string;
  readonly shortfalls: readonly Shortfall[];
  readonly ending: ProofEnding;
  /** The same for each board. */
  readonly boards: readonly BoardEnding[];
  /** Reports that could not be written in the end, though that seemed possible at the beginning. */
  readonly unwritten: readonly ReportError[];
}

/** A request that cannot be understood. */
export class RequestError extends BootproofError {
  declare readonly code: "bad-prove-request";
}

/**
 * Runs the suite over the boards asked for, all at once, one case at a time on each, and writes the reports.
 *
 * @param request - board file, what to run of it, and files for reports
 * @param hooks - `signal` aborts the run after boards were put back; events as they happen
 * @returns the report, what changed since an earlier one, and what the policy says
 * @throws BoardFileError, ReportError (also, before the run, for a report that cannot be written), PolicyError; a board that cannot be
 *   used is a result
 */
export async function runProof(request: ProofRequest, hooks: ProofHooks): Promise<ProofOutcome> {
  const policy = request.policy === undefined ? undefined : parsePolicy(request.policy, read(request.policy));
  const earlier =
    request.compare === undefined ? undefined : fromJson(request.compare, read(request.compare));
  const writers = (request.reports ?? []).map(writerFor);
  for (const { path } of writers) mustBeWritable(path);
  const report = await run(request, hooks);
  const changes = earlier && compareReports(earlier, report);
  const unwritten: ReportError[] = [];
  for (const { path, write } of writers) {
    const error = tryToWrite(path, write(report, changes, policy));
    if (error) unwritten.push(error);
    hooks.note(error?.message ?? `Report written: ${path}`);
  }
  const text = request.explain === undefined ? toText(report) : explain(report, request.explain);
  const lines = [text, ...(changes ?? []).map(wordsOfChange)];
  if (earlier && changes) lines.push(comparisonWords(request.compare!, earlier, report, changes));
  const missing = shortfalls(report, policy);
  if (policy) lines.push(...policyLines(policy, missing));
  const boards = report.boards.map((board) => boardEnding(report, board, missing));
  const ending = endingOf(report, missing);
  return { report, text: lines.join("\n"), shortfalls: missing, ending, boards, unwritten };
}

/** One board of a report, by itself. */
function boardEnding(
  report: ProofReport,
  board: ProofReport["boards"][number],
  missing: readonly Shortfall[],
): BoardEnding {
  const mine = missing.filter((one) => one.board === board.board);
  const ending = endingOf({ ...report, boards: [board] }, mine);
  const held = board.claims.filter(({ verdict }) => verdict === "holds").map(({ claim }) => claim);
  const open = mine.filter(({ verdict }) => verdict !== "does-not-hold").map(({ what }) => what);
  const broken = mine.filter(({ verdict }) => verdict === "does-not-hold").map(({ what }) => what);
  const list = (words: string, names: readonly string[]) =>
    names.length > 0 ? [`${words}: ${names.join(", ")}.`] : [];
  const message =
    board.unusable === undefined
      ? [...list("Does not hold", broken), ...list("Not judged", open), ...list("Holds", held)]
      : [board.unusable];
  return {
    board: board.board,
    ending,
    message: [...(board.putBack.ok ? [] : [`NOT PUT BACK: ${board.putBack.message}`]), ...message].join(" "),
    ...(board.image && { version: board.image.version }),
  };
}

async function run(request: ProofRequest, hooks: ProofHooks): Promise<ProofReport> {
  const start = performance.now();
  const startedAt = new Date().toISOString();
  const entries = entriesOf(request);
  const seed = request.seed ?? seedFor(entries.map(({ name }) => name).join("\n"));
  const options = {
    signal: hooks.signal,
    seed,
    image: request.image,
    key: request.key,
    quick: request.quick,
    cases: request.explain === undefined ? checkedCases(request.cases) : [checkedCase(request.explain)],
    record: {
      everything: request.explain !== undefined,
      keepImage: request.saveImages === undefined ? undefined : keepImagesIn(request.saveImages),
    },
    claims: checkedClaims(request.claims),
    bootloader: request.bootloader,
    allowDestructive: request.allowDestructive,
    through: checkedWay(request.through),
    cuts: request.cuts,
    randomCuts: request.randomCuts,
    onEvent: hooks.onEvent?.bind(hooks) ?? proofInWords(hooks),
  };
  const chosen = chooseCases(options);
  const leftOut = chooseCases({ ...options, quick: false }).filter((one) => !chosen.includes(one));
  if (chosen.length === 0)
    throw new RequestError("bad-prove-request", "There is no such case.", {
      hint: "bootproof prove --list shows them all.",
    });
  hooks.onBoards?.(entries.map(({ name }) => name));
  const sha256 = toolHash();
  const from = request.seed === undefined ? ", from the boards' names" : "";
  hooks.note(`Seed ${seed}${from}: a run with it makes the same random choices; --seed takes another.`);
  const boards = await Promise.all(entries.map((entry) => proveBoard(entry, options)));
  return {
    format: "bootproof proof 1",
    tool: { name: "bootproof", version: hooks.version, ...(sha256 && { sha256 }) },
    ...(hooks.ranBy === undefined ? {} : { ranBy: hooks.ranBy }),
    startedAt,
    elapsedMs: performance.now() - start,
    seed,
    scope: request.cases || request.claims || request.explain ? "chosen" : request.quick ? "quick" : "full",
    ...(leftOut.length > 0 && { leftOut: leftOut.map(({ id }) => id) }),
    interrupted: hooks.signal.aborted,
    boards,
  };
}

/**
 * Every case there is, for people and for programs.
 *
 * @returns each case with its claim, what it needs of a board, what it may destroy, and its control
 */
export function listCases() {
  return CASES.map(
    ({ id, claim, summary: message, needs, risk, expected, control, assumes, quick = false }) => ({
      id,
      claim,
      title: CLAIMS[claim].title,
      message,
      needs,
      risk,
      expected,
      control: control ?? null,
      assumes: assumes ?? [],
      quick,
    }),
  );
}

/**
 * Finishes what runs that died have left: each board gets its own image back. Returns a line per board.
 *
 * @param signal - aborts with its own reason; boards not reached yet keep their journals
 * @param isMeant - by the name that the board had in that run; default: all
 * @returns one entry for each journal found; `ok`: its own image runs again, hash checked
 */
export async function restoreAll(
  signal: AbortSignal,
  isMeant: (board: string) => boolean = () => true,
): Promise<{ board: string; ok: boolean; message: string }[]> {
  const results = [];
  for (const { record, forget } of deadRuns()) {
    if (!isMeant(record.entry.name)) continue;
    const result = await restoreBoard(record, signal);
    if (result.ok) forget();
    results.push({ board: record.entry.name, ...result });
  }
  return results;
}

/**
 * A board file out of twister's hardware map.
 *
 * @param path - of a hardware map (YAML)
 * @returns the text of a board file, YAML
 * @throws BoardFileError, FactsError
 */
export function boardFileFromHardwareMap(path: string): string {
  return importHardwareMap(path, read(path));
}

/**
 * Twister's hardware map out of a board file.
 *
 * @param path - of a board file
 * @returns the text of a hardware map, YAML
 * @throws as its readers do
 */
export function hardwareMapFromBoardFile(path: string): string {
  return exportHardwareMap(readBoardFile(path));
}

function entriesOf({ device, devices, boardFile, boards, tags = [] }: ProofRequest): BoardEntry[] {
  if (devices !== undefined)
    return devices.map(({ name, address, power }) => {
      const entry = { ...entryOf(address), name };
      if (power === undefined || entry.reach.kind !== "attached") return entry;
      return { ...entry, reach: { ...entry.reach, power: { config: power, settleMs: SETTLE_MS } } };
    });
  if (device !== undefined) return [entryOf(device)];
  if (boardFile === undefined)
    throw new RequestError("bad-prove-request", "No board is named.", {
      hint: "Name one with -d ADDRESS (wasm:good is an emulated one), or a board file with --boards FILE.",
    });
  const all = readBoardFile(boardFile);
  const named = boards?.map((name) => {
    const entry = all.find((one) => one.name === name);
    if (entry) return entry;
    throw new BoardFileError("not-in-board-file", `${boardFile} has no board "${name}".`, {
      hint: `Its boards: ${all.map((one) => one.name).join(", ")}.`,
    });
  });
  const meant = (named ?? all).filter(({ tags: its = [] }) => tags.every((tag) => its.includes(tag)));
  if (meant.length > 0) return meant;
  const known = [...new Set(all.flatMap(({ tags: its = [] }) => its))];
  const unknown = tags.find((tag) => !known.includes(tag));
  throw new BoardFileError(
    "not-in-board-file",
    unknown === undefined
      ? `No board of ${boardFile} matches all of --board and --tag.`
      : `No board of ${boardFile} has the tag "${unknown}".`,
    { hint: `Its tags: ${known.join(", ") || "none"}.` },
  );
}

function checkedCases(cases: readonly string[] | undefined): readonly string[] | undefined {
  const wrong = cases?.find(
    (wanted) => !CASES.some(({ id }) => id === wanted || id.startsWith(`${wanted}/`)),
  );
  if (wrong === undefined) return cases;
  throw new RequestError("bad-prove-request", `There is no case "${wrong}".`, {
    hint: "bootproof prove --list shows them all.",
  });
}

/** One case, by its whole name. */
function checkedCase(id: string): string {
  if (CASES.some((one) => one.id === id)) return id;
  throw new RequestError("bad-prove-request", `There is no case "${id}".`, {
    hint: "--explain takes one case by its whole name, such as authenticity/unsigned; bootproof prove --list shows them all.",
  });
}

function checkedClaims(claims: readonly string[] | undefined) {
  return claims?.map((claim) => {
    if (isClaim(claim)) return claim;
    throw new RequestError("bad-prove-request", `There is no claim "${claim}".`, {
      hint: `There are: ${CLAIM_IDS.join(", ")}.`,
    });
  });
}

function checkedWay(through: string | undefined): "smp" | "programmer" | undefined {
  if (through === undefined || through === "smp" || through === "programmer") return through;
  throw new RequestError(
    "bad-prove-request",
    `Images reach a board through "smp" or "programmer", not "${through}".`,
  );
}

/**
 * A report as a file of one kind: a page that needs nothing else, JUnit, or data.
 *
 * @param report - of a run
 * @param kind - ending of the file's name
 * @returns the text of the file
 */
export function renderReport(report: ProofReport, kind: "html" | "xml" | "json"): string {
  return ENDINGS[kind]!(report, undefined);
}

const ENDINGS: Readonly<
  Record<string, (report: ProofReport, changes?: readonly Change[], policy?: Policy) => string>
> = {
  html: toHtml,
  xml: (report, _changes, policy) => toJunit(report, policy),
  json: toJson,
};

function writerFor(path: string) {
  const write = ENDINGS[/\.(\w+)$/.exec(path)?.[1]?.toLowerCase() ?? ""];
  if (write) return { path, write };
  throw new RequestError("bad-prove-request", `"${path}": the extension of a report's name says its kind.`, {
    hint: "Use .html for a page, .xml for JUnit, .json for programs and for --compare.",
  });
}

/**
 * Tells a run's events in words, as a run without `onEvent` does.
 *
 * @param hooks - `note` takes sentences, `progress` counts power cuts
 * @returns to be called with each event
 */
export function proofInWords({
  note,
  progress,
}: Pick<ProofHooks, "note" | "progress">): (event: ProofEvent) => void {
  return (event) => {
    switch (event.kind) {
      case "board":
        return note(
          `${event.board}: ${event.cases} ${event.cases === 1 ? "case" : "cases"}. ${event.summary}`,
        );
      case "result":
        return note(`${event.board}  ${caseLine(event.result)}`);
      case "cut":
        return progress(`${event.board}: power`, event.done, event.total, "cuts");
      case "put-back":
        return note(`${event.board}: ${event.ok ? "" : "NOT PUT BACK: "}${event.message}`);
      case "case":
        if (event.spends !== undefined) note(`${event.board}: ${event.id}: ${event.spends}`);
        return;
    }
  };
}

function policyLines(policy: Policy, missing: readonly Shortfall[]): string[] {
  if (missing.length === 0) return [`Policy: all that it asks for holds: ${policy.mustHold.join(", ")}.`];
  return missing.map(
    ({ board, what, verdict }) => `Policy: ${board}: ${what} must hold; ${SHORTFALL_WORDS[verdict]}.`,
  );
}

const SHORTFALL_WORDS: Readonly<Record<Shortfall["verdict"], string>> = {
  "does-not-hold": "it does not",
  "not-judged": "it could not be judged",
  "not-supported": "this board does not support it",
  "not-run": "no case of it was run",
};

function endingOf(report: ProofReport, missing: readonly Shortfall[]): ProofEnding {
  if (report.boards.some(({ putBack }) => !putBack.ok)) return "not-put-back";
  if (report.interrupted) return "interrupted";
  if (missing.some(({ verdict }) => verdict === "does-not-hold")) return "claim-broken";
  return missing.length > 0 ? "claim-open" : "passed";
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new RequestError("bad-prove-request", `${path} cannot be read: ${(cause as Error).message}.`, {
      cause,
    });
  }
}
