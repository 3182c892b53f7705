import type { Verdict } from "../case.js";
import type { BoardResult, ProofReport } from "../result.js";
import { VERDICT_WORDS } from "./words.js";

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

function sameBoard(board: BoardResult, earlier: ProofReport, now: ProofReport): BoardResult | undefined {
  if (earlier.boards.length === 1 && now.boards.length === 1) return earlier.boards[0];
  return earlier.boards.find((one) => one.board === board.board);
}

export function wordsOfChange({ board, id, was, is, kind }: Change): string {
  return `${kind}: ${board} ${id}: ${VERDICT_WORDS[was].says}, now ${VERDICT_WORDS[is].says}`;
}
