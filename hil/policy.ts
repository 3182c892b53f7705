import { readFacts } from "./board-files/yaml-facts.js";
import { CASES } from "./cases/all.js";
import { CLAIM_IDS, isClaim } from "./claims.js";
import type { ProofReport } from "./result.js";

/** What must hold for a run to count as passed: claims, or single cases. */
export interface Policy {
  readonly mustHold: readonly string[];
}

/**
 * Reads a policy file: `must-hold`, a list of claims and case ids. Throws `FactsError` naming the line of what is neither.
 */
export function parsePolicy(file: string, text: string): Policy {
  const fields = readFacts(file, text);
  const known = [...CLAIM_IDS, ...CASES.map(({ id }) => id)];
  const mustHold = fields.texts("must-hold");
  // The same file says to other verbs what may be signed and flashed; they judge these fields themselves.
  fields.plain(["version", "level", "settings", "rules", "custom-rules", "overrides"]);
  fields.finish();
  if (!mustHold || mustHold.length === 0)
    throw fields.fault('field "must-hold" is missing: it lists claims.');
  const unknown = mustHold.find((one) => !known.includes(one));
  if (unknown !== undefined)
    throw fields.faultOf(
      "must-hold",
      `there is no claim or case "${unknown}".`,
      `Claims: ${CLAIM_IDS.join(", ")}.`,
    );
  return { mustHold };
}

/** Something that was asked for and does not hold. */
export interface Shortfall {
  readonly board: string;
  readonly what: string;
  readonly verdict: "does-not-hold" | "not-judged" | "not-supported" | "not-run";
}

/**
 * What keeps a report from passing. With a policy: everything it names that does not hold on each board, whatever the
 * reason. Without one: every claim that was tried and does not hold or could not be judged.
 */
export function shortfalls(report: ProofReport, policy: Policy | undefined): Shortfall[] {
  return report.boards.flatMap((board) => {
    if (board.unusable !== undefined)
      return [{ board: board.board, what: "the board", verdict: "not-run" as const }];
    if (policy) return named(board, policy);
    return board.claims.flatMap(({ claim, verdict }) =>
      verdict === "does-not-hold" || verdict === "not-judged"
        ? [{ board: board.board, what: claim, verdict }]
        : [],
    );
  });
}

function named(board: ProofReport["boards"][number], { mustHold }: Policy): Shortfall[] {
  return mustHold.flatMap((what) => {
    const verdict = isClaim(what)
      ? board.claims.find(({ claim }) => claim === what)?.verdict
      : board.cases.find(({ id }) => id === what)?.verdict;
    return verdict === "holds"
      ? []
      : [{ board: board.board, what, verdict: verdict ?? ("not-run" as const) }];
  });
}
