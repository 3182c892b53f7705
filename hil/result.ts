import type { SurfaceItem } from "./attack-surface.js";
import type { Risk, Verdict } from "./case.js";
import type { ClaimId } from "./claims.js";
import type { Evidence } from "./evidence.js";
import type { SlotPicture, Snapshot } from "./snapshot.js";

/** The result of one case on one board. Everything in here is plain data and goes into the reports. */
export interface CaseResult {
  readonly id: string;
  readonly claim: ClaimId;
  readonly summary: string;
  readonly expected: string;
  readonly risk: Risk;
  /** Does not show its claim by itself. */
  readonly supporting: boolean;
  readonly verdict: Verdict;
  /** What was seen, or why nothing could be. */
  readonly observed: string;
  readonly control?: string;
  readonly startedAt: number;
  readonly elapsedMs: number;
  readonly evidence?: Evidence;
  readonly before?: readonly SlotPicture[];
  readonly after?: readonly SlotPicture[];
}

export interface ClaimResult {
  readonly claim: ClaimId;
  readonly verdict: Verdict;
  /** Cases by verdict. */
  readonly counts: Readonly<Record<Verdict, number>>;
}

export interface ControlResult {
  readonly id: string;
  readonly summary: string;
  readonly verdict: Verdict;
  readonly observed: string;
  readonly elapsedMs: number;
  readonly evidence?: Evidence;
}

export interface BoardResult {
  readonly board: string;
  readonly summary: string;
  /** Why it could not be used at all; then there are no cases. */
  readonly unusable?: string;
  readonly mode?: string;
  /** What kind of thing it is, and which one, as the board file says. */
  readonly product?: string;
  readonly unit?: string;
  /** What it calls its bootloader, and SHA-256 of the build that is on it, where somebody named the file. */
  readonly bootloader?: { readonly name?: string; readonly sha256?: string };
  readonly image?: { readonly version: string; readonly imageHash: string; readonly sha256: string };
  readonly initial?: Snapshot;
  readonly claims: readonly ClaimResult[];
  readonly controls: readonly ControlResult[];
  readonly cases: readonly CaseResult[];
  /** What anybody on this link can do. Absent in runs over chosen cases. */
  readonly surface?: readonly SurfaceItem[];
  /** Whether the board's own image runs again. */
  readonly putBack: { readonly ok: boolean; readonly message: string };
  readonly elapsedMs: number;
}

export interface ProofReport {
  readonly format: "bootproof proof 1";
  readonly tool: {
    readonly name: "bootproof";
    readonly version: string;
    /** Over all files of the program as it was built. */
    readonly sha256?: string;
  };
  /** Who ran it. */
  readonly ranBy?: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly elapsedMs: number;
  readonly seed: number;
  readonly scope: "quick" | "full" | "chosen";
  /** Ids of the cases that a quick run did not try. */
  readonly leftOut?: readonly string[];
  readonly interrupted: boolean;
  readonly boards: readonly BoardResult[];
}

const VERDICTS: readonly Verdict[] = ["holds", "does-not-hold", "not-supported", "not-judged"];

/**
 * Claims from their cases: one case that does not hold breaks a claim; it holds when at least one case that is not merely
 * supporting shows that, none the contrary, and no such case could not be judged. Claims without cases are left out.
 */
export function judgeClaims(cases: readonly CaseResult[]): ClaimResult[] {
  const claims = [...new Set(cases.map(({ claim }) => claim))];
  return claims.map((claim) => {
    const mine = cases.filter((one) => one.claim === claim);
    const counts = Object.fromEntries(
      VERDICTS.map((verdict) => [verdict, mine.filter((one) => one.verdict === verdict).length]),
    ) as Record<Verdict, number>;
    return { claim, counts, verdict: judge(mine) };
  });
}

function judge(cases: readonly CaseResult[]): Verdict {
  const telling = cases.filter(({ supporting }) => !supporting);
  const some = (among: readonly CaseResult[], verdict: Verdict) =>
    among.some((one) => one.verdict === verdict);
  if (some(cases, "does-not-hold")) return "does-not-hold";
  if (some(telling, "not-judged") || telling.length === 0) return "not-judged";
  return some(telling, "holds") ? "holds" : "not-supported";
}
