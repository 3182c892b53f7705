import type { JobKind, JobRecord, JobVerdict } from "./job.js";

/** Which records are wanted; what is absent does not matter. */
export interface HistoryFilter {
  readonly board?: string | undefined;
  readonly kind?: JobKind | undefined;
  readonly verdict?: JobVerdict | undefined;
  /** ISO 8601, inclusive. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** In the label, the outcome, the update's name, the port or the words, whatever the case. */
  readonly text?: string | undefined;
}

/**
 * The records that fit, newest first.
 *
 * @param records - of ended jobs
 * @param filter - what must fit; fields left out fit all
 * @returns a new list
 */
export function findRecords(records: readonly JobRecord[], filter: HistoryFilter): JobRecord[] {
  const { board, kind, verdict, from, to } = filter;
  const text = filter.text?.toLowerCase();
  return records
    .filter(
      (one) =>
        (board === undefined || one.board === board) &&
        (kind === undefined || one.kind === kind) &&
        (verdict === undefined || one.verdict === verdict) &&
        (from === undefined || one.endedAt >= from) &&
        (to === undefined || one.endedAt <= to) &&
        (text === undefined || text === "" || wordsOf(one).includes(text)),
    )
    .toReversed();
}

function wordsOf({ label = "", outcome, message, where, update, runs }: JobRecord): string {
  return [label, outcome, message, where, update?.name ?? "", runs?.id ?? ""].join("\n").toLowerCase();
}

/** How a rig did with some jobs. */
export interface RigFigures {
  readonly jobs: number;
  readonly passed: number;
  readonly failed: number;
  /** Neither: stopped by a person, or by the death of a station. */
  readonly neither: number;
  /** Of the jobs that passed, milliseconds; absent without any. */
  readonly medianMs?: number;
  readonly slowestMs?: number;
  readonly retries: number;
  /** Failures by outcome, the most frequent first. */
  readonly failures: readonly { readonly outcome: string; readonly count: number }[];
}

export interface RigStatistics {
  readonly all: RigFigures;
  readonly byBoard: Readonly<Record<string, RigFigures>>;
  readonly byPort: Readonly<Record<string, RigFigures>>;
  readonly byKind: Readonly<Record<string, RigFigures>>;
}

/**
 * How the rig did: over all jobs, and for each board, port and kind of job.
 *
 * @param records - in any order
 * @returns counts; times in milliseconds, of the jobs that passed
 */
export function rigStatistics(records: readonly JobRecord[]): RigStatistics {
  return {
    all: figuresOf(records),
    byBoard: grouped(records, ({ board }) => board),
    byPort: grouped(records, ({ where }) => where),
    byKind: grouped(records, ({ kind }) => kind),
  };
}

function grouped(
  records: readonly JobRecord[],
  keyOf: (record: JobRecord) => string,
): Record<string, RigFigures> {
  const groups = new Map<string, JobRecord[]>();
  for (const record of records) {
    const group = groups.get(keyOf(record));
    if (group) group.push(record);
    else groups.set(keyOf(record), [record]);
  }
  const rows = [...groups].map(([key, group]) => [key, figuresOf(group)] as const);
  return Object.fromEntries(rows.toSorted(([a], [b]) => a.localeCompare(b)));
}

function figuresOf(records: readonly JobRecord[]): RigFigures {
  const passed = records.filter(({ verdict }) => verdict === "pass");
  const failed = records.filter(({ verdict }) => verdict === "fail");
  const times = passed
    .map(({ startedAt, endedAt }) => Date.parse(endedAt) - Date.parse(startedAt))
    .sort((a, b) => a - b);
  const counts = new Map<string, number>();
  for (const { outcome } of failed) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return {
    jobs: records.length,
    passed: passed.length,
    failed: failed.length,
    neither: records.length - passed.length - failed.length,
    ...(times.length > 0 && { medianMs: times[times.length >> 1]!, slowestMs: times.at(-1)! }),
    retries: records.reduce((sum, { retries }) => sum + retries, 0),
    failures: [...counts]
      .map(([outcome, count]) => ({ outcome, count }))
      .sort((a, b) => b.count - a.count || a.outcome.localeCompare(b.outcome)),
  };
}

const COLUMNS: readonly (readonly [title: string, of: (record: JobRecord) => string | number | undefined])[] =
  [
    ["id", ({ id }) => id],
    ["board", ({ board }) => board],
    ["where", ({ where }) => where],
    ["board id", ({ runs }) => runs?.id],
    ["job", ({ kind }) => kind],
    ["label", ({ label }) => label],
    ["update", ({ update }) => update?.name],
    ["update sha256", ({ update }) => update?.sha256],
    ["verdict", ({ verdict }) => verdict],
    ["outcome", ({ outcome }) => outcome],
    ["exit status", ({ exitStatus }) => exitStatus],
    ["runs version", ({ runs }) => runs?.version],
    ["runs hash", ({ runs }) => runs?.hash],
    ["stored counter", ({ runs }) => runs?.counter],
    ["retries", ({ retries }) => retries],
    ["started", ({ startedAt }) => startedAt],
    ["ended", ({ endedAt }) => endedAt],
    ["message", ({ message }) => message],
  ];

/**
 * Records as CSV (RFC 4180). What would be taken for a formula by a spreadsheet is told to be text.
 *
 * @param records - of ended jobs
 * @returns lines that end with CR and LF, a head first
 */
export function toCsv(records: readonly JobRecord[]): string {
  const line = (cells: readonly (string | number | undefined)[]) => `${cells.map(cell).join(",")}\r\n`;
  return [
    line(COLUMNS.map(([title]) => title)),
    ...records.map((one) => line(COLUMNS.map(([, of]) => of(one)))),
  ].join("");
}

function cell(value: string | number | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "number") return `${value}`;
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
