import { CLAIMS } from "../claims.js";
import type { BoardResult, CaseResult, ProofReport } from "../result.js";
import { printable, seconds, VERDICT_ORDER, VERDICT_WORDS } from "./words.js";

/** The report for a terminal: a line per claim, and below it what needs a look. */
export function toText(report: ProofReport): string {
  return report.boards.map(boardText).join("\n\n");
}

/** One case, as it ends. A good ending needs no words, except where it is a statistic. */
export function caseLine({ id, verdict, seen, elapsedMs, evidence }: CaseResult): string {
  const { mark, says } = VERDICT_WORDS[verdict];
  const time = verdict === "not-supported" ? "" : ` (${seconds(elapsedMs)})`;
  const hasFigures = (evidence?.cuts.length ?? 0) > 0;
  return `${mark} ${id.padEnd(36)} ${says}${time}${verdict !== "holds" || hasFigures ? `: ${printable(seen)}` : ""}`;
}

function boardText(board: BoardResult): string {
  const head = `${board.board}: ${printable(board.says)}`;
  if (board.unusable !== undefined) return `${head}\n  could not be used: ${printable(board.unusable)}`;
  const claims = board.claims
    .toSorted((a, b) => VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict))
    .flatMap(({ claim, verdict, counts }) => {
      const { mark, says } = VERDICT_WORDS[verdict];
      const cases = board.cases.filter((one) => one.claim === claim);
      const counted = verdict === "not-supported" ? "" : ` (${counts[verdict]} of ${cases.length} cases)`;
      const look = cases.filter(
        (one) => one.verdict === "does-not-hold" || one.verdict === "not-judged" || one.evidence?.cuts.length,
      );
      return [
        `  ${mark} ${CLAIMS[claim].title.padEnd(52)} ${says}${counted}`,
        ...look.map((one) => `      ${caseLine(one)}`),
      ];
    });
  const back = board.putBack.ok ? board.putBack.says : `NOT PUT BACK: ${board.putBack.says}`;
  return [head, ...claims, `  ${printable(back)} Took ${seconds(board.elapsedMs)}.`].join("\n");
}
