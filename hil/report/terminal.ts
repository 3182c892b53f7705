import type { SurfaceItem } from "../attack-surface.js";
import { CLAIMS } from "../claims.js";
import type { BoardResult, CaseResult, ProofReport } from "../result.js";
import { printable, seconds, VERDICT_ORDER, VERDICT_WORDS } from "./labels.js";

/** The report for a terminal: a line per claim, and below it what needs a look. */
export function toText(report: ProofReport): string {
  const boards = report.boards.map(boardText).join("\n\n");
  return report.leftOut === undefined ? boards : `${boards}\n${leftOutWords(report.leftOut)}`;
}

/** What a quick run did not try: how many cases of each kind. */
export function leftOutWords(ids: readonly string[]): string {
  const kinds = new Map<string, number>();
  for (const id of ids) {
    const kind = id.split("/")[0]!;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const list = [...kinds].map(([kind, count]) => `${count} ${kind}`).join(", ");
  return `--quick left out ${ids.length} ${ids.length === 1 ? "case" : "cases"} (${list}) and most power cuts. Without --quick they run too; --list shows them.`;
}

/** One case, as it ends. A good ending needs no words, except where it is a statistic. */
export function caseLine({ id, verdict, observed, elapsedMs, evidence }: CaseResult): string {
  const { mark, label } = VERDICT_WORDS[verdict];
  const time = verdict === "not-supported" ? "" : ` (${seconds(elapsedMs)})`;
  const hasFigures = (evidence?.cuts.length ?? 0) > 0;
  return `${mark} ${id.padEnd(36)} ${label}${time}${verdict !== "holds" || hasFigures ? `: ${printable(observed)}` : ""}`;
}

/** How the cases of a claim ended, by their number: `4 cases fail, 1 holds`. */
export function countWords(counts: BoardResult["claims"][number]["counts"]): string {
  const words = {
    "does-not-hold": ["fails", "fail"],
    holds: ["holds", "hold"],
    "not-judged": ["could not be judged", "could not be judged"],
    "not-supported": ["is not supported", "are not supported"],
  } as const;
  const parts = VERDICT_ORDER.filter((verdict) => counts[verdict] > 0).map(
    (verdict) => [counts[verdict], words[verdict][counts[verdict] === 1 ? 0 : 1]] as const,
  );
  return parts
    .map(
      ([count, message], index) =>
        `${count}${index === 0 ? (count === 1 ? " case" : " cases") : ""} ${message}`,
    )
    .join(", ");
}

/** Without a password, for SMP has none. */
function surfaceLines({ surface = [] }: BoardResult): string[] {
  const of = (verdict: SurfaceItem["verdict"]) => surface.filter((item) => item.verdict === verdict);
  const line = ({ action, evidence }: SurfaceItem) => `      ${action}: ${printable(evidence)}`;
  const open = of("open");
  return [
    ...(open.length > 0 ? ["  Anybody on this link can, without a password:", ...open.map(line)] : []),
    ...(of("refused").length > 0 ? ["  The board refuses to:", ...of("refused").map(line)] : []),
    ...(of("not-tried").length > 0 ? ["  Not tried:", ...of("not-tried").map(line)] : []),
  ];
}

function boardText(board: BoardResult): string {
  const head = `${board.board}: ${printable(board.summary)}`;
  if (board.unusable !== undefined) return `${head}\n  could not be used: ${printable(board.unusable)}`;
  const claims = board.claims
    .toSorted((a, b) => VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict))
    .flatMap(({ claim, verdict, counts }) => {
      const { mark, label } = VERDICT_WORDS[verdict];
      const { title } = CLAIMS[claim];
      const cases = board.cases.filter((one) => one.claim === claim);
      const counted = verdict === "not-supported" ? "" : ` (${countWords(counts)})`;
      const look = cases.filter(
        (one) => one.verdict === "does-not-hold" || one.verdict === "not-judged" || one.evidence?.cuts.length,
      );
      return [
        `  ${mark} ${title.padEnd(52)}${title.length > 52 ? ":" : ""} ${label}${counted}`,
        ...look.map((one) => `      ${caseLine(one)}`),
      ];
    });
  const back = board.putBack.ok ? board.putBack.message : `NOT PUT BACK: ${board.putBack.message}`;
  return [
    head,
    ...claims,
    ...surfaceLines(board),
    `  ${printable(back)} Took ${seconds(board.elapsedMs)}.`,
  ].join("\n");
}
