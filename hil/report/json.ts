import { BootproofError } from "bootproof";
import type { ProofReport } from "../result.js";

/** A file that is no report, or one of another format. */
export class ReportError extends BootproofError {
  declare readonly code: "bad-report" | "report-unwritable";
}

/** The report as a file: the shape is {@link ProofReport}. */
export function toJson(report: ProofReport): string {
  // Clocks give fifteen digits, of which three mean something.
  const rounded = (_key: string, value: unknown) =>
    typeof value === "number" ? Math.round(value * 1000) / 1000 : value;
  return `${JSON.stringify(report, rounded, 1)}\n`;
}

/** Reads a report back, as far as comparing needs it. @throws {@link ReportError} */
export function fromJson(file: string, text: string): ProofReport {
  let value: unknown;
  try {
    // Editors of Windows put a byte order mark in front.
    value = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (cause) {
    throw new ReportError("bad-report", `${file} is not JSON: ${(cause as Error).message}.`, { cause });
  }
  const report = value as Partial<ProofReport>;
  const isReport =
    report.format === "bootproof proof 1" &&
    Array.isArray(report.boards) &&
    report.boards.every((board) => typeof board.board === "string" && areCases(board.cases));
  if (!isReport) {
    throw new ReportError("bad-report", `${file} is not a report of bootproof prove.`, {
      hint: "Write one with bootproof prove --report FILE.json.",
    });
  }
  return report as ProofReport;
}

function areCases(cases: unknown): boolean {
  return (
    Array.isArray(cases) &&
    cases.every((one) => typeof one.id === "string" && typeof one.verdict === "string")
  );
}
