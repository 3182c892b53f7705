import type { SurfaceItem } from "../attack-surface.js";
import type { Verdict } from "../case.js";
import { CLAIMS, type ClaimId } from "../claims.js";
import { type Policy, shortfalls } from "../policy.js";
import type { BoardResult, CaseResult, ClaimResult, ProofReport } from "../result.js";
import { CHECKLIST, type ChecklistPoint } from "./checklist.js";
import { type Change, wordsOfChange } from "./compare.js";
import { drawEvidence } from "./evidence.js";
import { seconds, VERDICT_ORDER, VERDICT_WORDS } from "./labels.js";
import { html, Markup } from "./markup.js";
import { drawSlots, slotLegend } from "./pictures.js";
import { STYLE } from "./style.js";
import { leftOutWords } from "./terminal.js";

/**
 * One page that needs nothing else: on top what a person who runs the lab wants to know, behind each line what an
 * engineer wants to check. Opens in any browser, without a network and without scripts.
 */
export function toHtml(report: ProofReport, changes?: readonly Change[], policy?: Policy): string {
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>What these boards enforce</title><style>${new Markup(STYLE)}</style></head><body><main>
<h1>What ${report.boards.length === 1 ? "this board enforces" : "these boards enforce"}</h1>
<p class="soft">${dateWords(report.startedAt)}${report.ranBy === undefined ? "" : `, run by ${report.ranBy}`}, bootproof ${report.tool.version}, ${report.scope} run, ${seconds(report.elapsedMs)}, seed ${report.seed}</p>
${report.interrupted && html`<p class="banner not-judged"><b>This run was interrupted.</b> What is missing here was not tried.</p>`}
${banner(report)}
${policy && policyPart(report, policy)}
${report.leftOut && html`<p class="soft">${leftOutWords(report.leftOut)}</p>`}
${changes && changesPart(changes)}
${report.boards.map(boardPart)}
${explanations()}
${checklistPart(report)}
${toolPart(report)}
</main></body></html>
`;
  return page.toString();
}

function dateWords(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

/** The worst thing first, in a sentence. */
function banner({ boards }: ProofReport): Markup {
  const claims = boards.flatMap((board) => board.claims);
  const count = (verdict: Verdict) => claims.filter((claim) => claim.verdict === verdict).length;
  const unusable = boards.filter(({ unusable }) => unusable !== undefined);
  const lost = boards.filter(({ putBack }) => !putBack.ok);
  const [broken, open, good] = [count("does-not-hold"), count("not-judged"), count("holds")];
  const tone =
    broken > 0 || lost.length > 0 ? "does-not-hold" : open + unusable.length > 0 ? "not-judged" : "holds";
  const head =
    broken > 0
      ? `${broken} ${broken === 1 ? "promise is" : "promises are"} not kept`
      : tone === "holds"
        ? "Every promise that was tried is kept"
        : "No claim was broken, but not every claim could be judged";
  return html`<div class="banner ${tone}"><b>${head}</b>
<p>${good} kept, ${broken} not kept, ${open} could not be judged, ${count("not-supported")} not supported by ${boards.length === 1 ? "this board" : "these boards"}.</p>
${boards.map(brokenPromises)}
${unusable.map(({ board, unusable: why }) => html`<p><strong>${board} could not be used:</strong> ${why}</p>`)}
${lost.map(({ board, putBack }) => html`<p><strong>${board} was not put back:</strong> ${putBack.message}</p>`)}</div>`;
}

/** For each promise that is broken: what it was, and what was seen instead. */
function brokenPromises(
  { board, claims, cases }: BoardResult,
  _: number,
  boards: readonly BoardResult[],
): Markup {
  const broken = claims.filter(({ verdict }) => verdict === "does-not-hold");
  const observed = (claim: ClaimId) =>
    cases.find((one) => one.claim === claim && one.verdict === "does-not-hold")?.observed;
  const where = boards.length > 1 ? ` by ${board}` : "";
  return html`${broken.map(({ claim }) => html`<p><strong>Not kept${where}:</strong> <a href="#${anchor(board, claim)}">${CLAIMS[claim].title}</a>.<br><small>${CLAIMS[claim].message} Seen: ${observed(claim)}</small></p>`)}`;
}

/** What the run is held to, which may be less than what was found. */
function policyPart(report: ProofReport, policy: Policy): Markup {
  const missing = shortfalls(report, policy);
  const asked = policy.mustHold.join(", ");
  if (missing.length === 0) return html`<p>The policy asks for ${asked}. All of it holds.</p>`;
  return html`<p>The policy asks for ${asked}. Missing:</p><ul>${missing.map(({ board, what, verdict }) => html`<li>${board}: ${what} (${verdict})</li>`)}</ul>`;
}

function changesPart(changes: readonly Change[]): Markup {
  if (changes.length === 0) return html`<p>Nothing changed since the earlier report.</p>`;
  return html`<h2>Since the earlier report</h2><ul>${changes.map((change) => html`<li>${wordsOfChange(change)}</li>`)}</ul>`;
}

function boardPart(board: BoardResult): Markup {
  if (board.unusable !== undefined) return html`<h2>${board.board}</h2><p>${board.summary}</p>`;
  const claims = board.claims.toSorted(
    (a, b) => VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict),
  );
  return html`<h2 id="${anchor(board.board)}">${board.board}</h2><p class="soft">${board.summary}</p>
${identityPart(board)}
<table><thead><tr><th>Promise</th><th>Verdict</th></tr></thead><tbody>${claims.map((claim) => claimRow(claim, board.board))}</tbody></table>
<p class="soft">${board.putBack.ok ? "" : "NOT PUT BACK: "}${board.putBack.message}</p>
${board.surface && surfacePart(board.surface)}
<h3>Evidence</h3>${slotLegend()}
${claims.filter(({ verdict }) => verdict !== "not-supported").map((claim) => claimPart(claim, board))}
<details><summary><span class="grow">Controls: good images, delivered in the same way</span></summary><div class="in">${board.controls.map((control) => controlPart(control, board.board))}</div></details>
<details><summary><span class="grow">The board before the run</span></summary><div class="in">${boardFacts(board)}</div></details>`;
}

const SURFACE_WORDS: Readonly<Record<SurfaceItem["verdict"], string>> = {
  open: "yes",
  refused: "refused",
  absent: "no such command",
  "not-tried": "not tried",
};

/** The attack surface of the wire, with what shows it. */
function surfacePart(surface: readonly SurfaceItem[]): Markup {
  return html`<h3>What anybody on this link can do</h3><p class="soft">SMP has no password: whoever can write to this line can send requests. Whether the line can be reached in the field depends on the product.</p>
<table><tbody>${surface.map(({ action, verdict, evidence }) => html`<tr><td>${action}</td><td>${SURFACE_WORDS[verdict]}<br><small>${evidence}</small></td></tr>`)}</tbody></table>`;
}

/** What was proven: product, unit, firmware, bootloader. */
function identityPart({ product, unit, image, bootloader, mode }: BoardResult): Markup {
  const row = (name: string, value: string | undefined) =>
    value !== undefined && html`<dt>${name}</dt><dd>${value}</dd>`;
  return html`<dl class="facts">${row("Product", product)}${row("Unit", unit)}${row("Firmware", image && `version ${image.version}, image hash ${image.imageHash.slice(0, 16)}…`)}${row("Bootloader", [bootloader?.name, mode].filter((part) => part !== undefined).join(", ") || undefined)}${row("Bootloader build, SHA-256", bootloader?.sha256)}</dl>`;
}

/** Where a verdict of a board stands on the page. */
function anchor(board: string, claim?: string): string {
  return [board, claim]
    .filter((part) => part !== undefined)
    .join("/")
    .replace(/[^\w/.-]/g, "_");
}

function claimRow({ claim, verdict, counts }: ClaimResult, board: string): Markup {
  const { title, message } = CLAIMS[claim];
  return html`<tr class="${verdict}"><td><strong>${verdict === "not-supported" ? title : html`<a href="#${anchor(board, claim)}">${title}</a>`}</strong><br><small>${message}</small></td><td class="badge-cell">${badge(verdict)}<br><small>${countedWords(verdict, counts)}</small></td></tr>`;
}

function countedWords(verdict: Verdict, counts: ClaimResult["counts"]): string {
  const tried = counts.holds + counts["does-not-hold"];
  const open = counts["not-judged"] > 0 ? `, ${counts["not-judged"]} open` : "";
  if (verdict === "does-not-hold") return `failed ${counts["does-not-hold"]} of ${tried}${open}`;
  if (verdict === "not-judged") return `${counts["not-judged"]} open`;
  return verdict === "holds" ? `passed ${tried} of ${tried}${open}` : "";
}

function badge(verdict: Verdict): Markup {
  const { mark, label } = VERDICT_WORDS[verdict];
  return html`<span class="badge ${verdict}">${mark} ${label}</span>`;
}

function claimPart({ claim, verdict }: ClaimResult, board: BoardResult): Markup {
  const cases = board.cases
    .filter((one) => one.claim === claim)
    .toSorted((a, b) => VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict));
  const open = verdict === "does-not-hold" ? new Markup(" open") : "";
  return html`<details class="claim ${verdict}" id="${anchor(board.board, claim)}"${open}><summary>${badge(verdict)}<span class="grow">${CLAIMS[claim].title}</span></summary><div class="in">${cases.map((one) => casePart(one, board))}</div></details>`;
}

function casePart(one: CaseResult, { board, controls }: BoardResult): Markup {
  const control = controls.find(({ id }) => id === one.control);
  return html`<details class="${one.verdict}" id="${anchor(board, one.id)}"><summary>${badge(one.verdict)}<span class="grow">${one.summary}</span><small>${seconds(one.elapsedMs)}</small></summary><div class="in">
<dl class="facts"><dt>Expected</dt><dd>${one.expected}</dd><dt>Seen</dt><dd>${one.observed}</dd><dt>At risk</dt><dd>${one.risk}</dd>
<dt>Control</dt><dd>${control ? html`<a href="#${anchor(board, `control/${control.id}`)}">${control.id}</a> ${badge(control.verdict)}` : "none needed"}</dd><dt>Case</dt><dd><code>${one.id}</code></dd></dl>
${one.evidence && drawEvidence(one.evidence, { after: one.after ?? [], isBrief: one.verdict === "holds" })}</div></details>`;
}

function controlPart(control: BoardResult["controls"][number], board: string): Markup {
  return html`<details class="${control.verdict}" id="${anchor(board, `control/${control.id}`)}"><summary>${badge(control.verdict)}<span class="grow">${control.summary}</span><small>${seconds(control.elapsedMs)}</small></summary><div class="in"><p>${control.observed}</p>${control.evidence && drawEvidence(control.evidence, { after: [], isBrief: control.verdict === "holds" })}</div></details>`;
}

function boardFacts({ image, initial, mode, cases }: BoardResult): Markup {
  const slots = cases.find(({ before }) => before !== undefined && before.length > 0)?.before;
  return html`${slots && drawSlots("Its slots, before each case", slots)}<dl class="facts"><dt>Own image</dt><dd>${image ? `version ${image.version}` : "not read"}</dd><dt>Image hash</dt><dd><code>${image?.imageHash ?? "-"}</code></dd>
<dt>SHA-256 of the file</dt><dd><code>${image?.sha256 ?? "-"}</code></dd><dt>Bootloader mode</dt><dd>${mode ?? "not reported"}</dd>
<dt>Stored security counter</dt><dd>${initial?.counters[0] ?? "not reported"}</dd><dt>Reports what its bootloader did</dt><dd>${initial?.reportsEvents ? "yes (trust group)" : "no"}</dd></dl>`;
}

/** Point by point, with the verdicts of each board. */
function checklistPart({ boards }: ProofReport): Markup {
  const usable = boards.filter(({ unusable }) => unusable === undefined);
  const verdicts = ({ claims, elsewhere }: ChecklistPoint) =>
    elsewhere ??
    usable.map((board) => {
      const found = board.claims.filter(({ claim }) => claims.includes(claim));
      const name = boards.length > 1 ? `${board.board}: ` : "";
      const words = found.map(
        ({ claim, verdict }) =>
          html` <a href="#${anchor(board.board, verdict === "not-supported" ? undefined : claim)}">${claim}</a> ${badge(verdict)}`,
      );
      return html`<div>${name}${words.length > 0 ? words : "not tried"}</div>`;
    });
  const rows = CHECKLIST.map(
    (point, index) => html`<tr><td>${index + 1}. ${point.summary}</td><td>${verdicts(point)}</td></tr>`,
  );
  return html`<h2>Point by point</h2><p>The points by which secure updates are reviewed, and what this page shows about each.</p><table><tbody>${rows}</tbody></table>`;
}

/** How this page was made, so that it can be made again. */
function toolPart({ tool, seed }: ProofReport): Markup {
  return html`<h2>How this page was made</h2><dl class="facts"><dt>Tool</dt><dd>${tool.name} ${tool.version}</dd>
<dt>SHA-256 of its program files</dt><dd><code>${tool.sha256 ?? "not built: run from source"}</code></dd>
<dt>To repeat the same random choices</dt><dd><code>--seed ${seed}</code></dd></dl>`;
}

function explanations(): Markup {
  const rows = VERDICT_ORDER.map(
    (verdict) =>
      html`<tr><td class="badge-cell">${badge(verdict)}</td><td>${VERDICT_WORDS[verdict].means}</td></tr>`,
  );
  return html`<h2>How to read this page</h2>
<p>Each promise was tried by giving the board images that it should refuse, or by disturbing it, and observing what it did: which image runs, what its bootloader reported, what its slots hold and which security counter it stores. Each refusal has a control: a good image, delivered in the same way, that the board accepted.</p>
<table><tbody>${rows}</tbody></table>`;
}
