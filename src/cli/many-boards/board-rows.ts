import { BootproofError } from "../../errors.js";
import { errorJson } from "../error-json.js";
import { type ExitStatus, nextStepFor } from "../exit.js";
import { type Output, printable, prose, table, tone } from "../output.js";

/** What the table and the last JSON line say of one board. */
export interface BoardRow {
  readonly board: string;
  readonly outcome: string;
  /** What the verb would have ended with for this board alone. */
  readonly exitStatus: ExitStatus;
  readonly version?: string;
  readonly message: string;
  readonly hint?: string;
}

/** The row of a board whose work was stopped by an error. */
export function rowOfError(board: string, error: unknown): BoardRow {
  const { code, message, exitStatus } = errorJson(error).error;
  const hint = error instanceof BootproofError ? nextStepFor(error) : undefined;
  return {
    board,
    outcome: code,
    exitStatus: exitStatus as ExitStatus,
    message,
    ...(hint === undefined ? {} : { hint }),
  };
}

/** The end of every verb with several boards: one table, or one JSON line, and whether all, some or none succeeded. */
export function finishRows(rows: readonly BoardRow[], out: Output): void {
  const good = rows.filter(({ exitStatus }) => exitStatus === 0).length;
  const exitStatus: ExitStatus = good === rows.length ? 0 : good > 0 ? 60 : 61;
  const outcome = good === rows.length ? "all" : good > 0 ? "some" : "none";
  const words = `${good} of ${rows.length} boards succeeded.`;
  if (out.json) out.line({ kind: "summary", outcome, exitStatus, boards: rows }, "");
  else {
    const verdict = tone(exitStatus === 0 ? "good" : "bad", words);
    out.result(undefined, prose([rowsTable(rows), ...nextSteps(rows), verdict].join("\n")));
  }
  process.exitCode = exitStatus;
}

/** What to do next, once for all boards that need the same. */
function nextSteps(rows: readonly BoardRow[]): string[] {
  const boards = new Map<string, string[]>();
  for (const { board, exitStatus, hint } of rows)
    if (exitStatus !== 0 && hint !== undefined)
      boards.set(hint, [...(boards.get(hint) ?? []), printable(board)]);
  return [...boards].flatMap(([hint, names]) => [`${names.join(", ")}:`, `  try: ${printable(hint)}`]);
}

function rowsTable(rows: readonly BoardRow[]): string {
  return table(
    ["BOARD", "OUTCOME", "VERSION", "STATUS", "WHAT"],
    rows.map(({ board, outcome, version = "-", exitStatus, message }) => [
      printable(board),
      tone(exitStatus === 0 ? "good" : "bad", outcome),
      version,
      `${exitStatus}`,
      printable(message),
    ]),
  );
}
