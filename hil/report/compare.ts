import type { Verdict } from "../case.js";
import type { BoardResult, ProofReport } from "../result.js";
import { VERDICT_WORDS } from "./labels.js";

/** A case whose verdict is another than it was. */
export interface Change {
  readonly board: string;
  readonly id: string;
  readonly was: Verdict;
  readonly is: Verdict;
  readonly kind: "worse" | "better";
}

/** From what is good to what is bad. */
const RANK: Readonly<Record<Verdict, number>> = {
  holds: 0,
  "not-supported": 1,
  "not-judged": 2,
  "does-not-hold": 3,
};

/**
 * What changed since an earlier report, what got worse first. Boards go by their names; a report of one board is compared
 * with a report of one board whatever they are called. Cases that only one of the reports has are left out.
 */
export function compareReports(earlier: ProofReport, now: ProofReport): Change[] {
  const changes = now.boards.flatMap((board) => {
    const before = sameBoard(board, earlier, now);
    return board.cases.flatMap(({ id, verdict: is }): Change[] => {
      const was = before?.cases.find((one) => one.id === id)?.verdict;
      if (was === undefined || was === is) return [];
      return [{ board: board.board, id, was, is, kind: RANK[is] > RANK[was] ? "worse" : "better" }];
    });
  });
  return changes.toSorted((a, b) => b.kind.localeCompare(a.kind));
}

/** One sentence on what was compared, so that no change is told from nothing to compare. */
export function comparisonWords(
  file: string,
  earlier: ProofReport,
  now: ProofReport,
  changes: readonly Change[],
): string {
  const pairs = now.boards.map((board) => [board, sameBoard(board, earlier, now)] as const);
  const compared = pairs.flatMap(([board, before]) =>
    board.cases.filter(({ id }) => before?.cases.some((one) => one.id === id)),
  ).length;
  const all = now.boards.reduce((sum, { cases }) => sum + cases.length, 0);
  const worse = changes.filter(({ kind }) => kind === "worse").length;
  const better = changes.length - worse;
  const what =
    changes.length === 0
      ? "nothing changed"
      : [worse > 0 ? `${worse} got worse` : "", better > 0 ? `${better} got better` : ""]
          .filter((part) => part !== "")
          .join(", ");
  if (compared === 0)
    return `Compared with ${file}: it contains no case of this run, so nothing was compared.`;
  const rest = all > compared ? `; ${all - compared} other cases are not in it` : "";
  return `Compared with ${file}: of ${compared} ${compared === 1 ? "case" : "cases"} ${what}${rest}.`;
}

function sameBoard(board: BoardResult, earlier: ProofReport, now: ProofReport): BoardResult | undefined {
  if (earlier.boards.length === 1 && now.boards.length === 1) return earlier.boards[0];
  return earlier.boards.find((one) => one.board === board.board);
}

export function wordsOfChange({ board, id, was, is, kind }: Change): string {
  return `${kind}: ${board} ${id}: ${VERDICT_WORDS[was].label}, now ${VERDICT_WORDS[is].label}`;
}
