import type { Verdict } from "../case.js";
import { CLAIMS, type ClaimId } from "../claims.js";
import type { BoardResult, CaseResult, ClaimResult, ProofReport } from "../result.js";
import { type Change, wordsOfChange } from "./compare.js";
import { drawEvidence } from "./evidence.js";
import { html, Markup } from "./markup.js";
import { slotLegend } from "./pictures.js";
import { STYLE } from "./style.js";
import { seconds, VERDICT_ORDER, VERDICT_WORDS } from "./words.js";

/**
 * One page that needs nothing else: on top what a person who runs the lab wants to know, behind each line what an
 * engineer wants to check. Opens in any browser, without a network and without scripts.
 */
export function toHtml(report: ProofReport, changes?: readonly Change[]): string {
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>What these boards enforce</title><style>${new Markup(STYLE)}</style></head><body><main>
<h1>What ${report.boards.length === 1 ? "this board enforces" : "these boards enforce"}</h1>
<p class="soft">${dateWords(report.startedAt)}, bootproof ${report.tool.version}, ${report.scope} run, ${seconds(report.elapsedMs)}, seed ${report.seed}</p>
${report.interrupted && html`<p class="banner not-judged"><b>This run was interrupted.</b> What is not here was not tried.</p>`}
${banner(report)}
${changes && changesPart(changes)}
${report.boards.map(boardPart)}
${explanations()}
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
        : "Nothing was found broken, but not everything could be judged";
  return html`<div class="banner ${tone}"><b>${head}</b>
<p>${good} kept, ${broken} not kept, ${open} could not be judged, ${count("not-supported")} not made by ${boards.length === 1 ? "this board" : "these boards"}.</p>
${boards.map(brokenPromises)}
${unusable.map(({ board, unusable: why }) => html`<p><strong>${board} could not be used:</strong> ${why}</p>`)}
${lost.map(({ board, putBack }) => html`<p><strong>${board} was not put back:</strong> ${putBack.says}</p>`)}</div>`;
}

/** For each promise that is broken: what it was, and what was seen instead. */
function brokenPromises(
  { board, claims, cases }: BoardResult,
  _: number,
  boards: readonly BoardResult[],
): Markup {
  const broken = claims.filter(({ verdict }) => verdict === "does-not-hold");
  const seen = (claim: ClaimId) =>
    cases.find((one) => one.claim === claim && one.verdict === "does-not-hold")?.seen;
  const where = boards.length > 1 ? ` by ${board}` : "";
  return html`${broken.map(({ claim }) => html`<p><strong>Not kept${where}:</strong> ${CLAIMS[claim].title}.<br><small>${CLAIMS[claim].says} Seen: ${seen(claim)}</small></p>`)}`;
}

function changesPart(changes: readonly Change[]): Markup {
  if (changes.length === 0) return html`<p>Nothing changed since the earlier report.</p>`;
  return html`<h2>Since the earlier report</h2><ul>${changes.map((change) => html`<li>${wordsOfChange(change)}</li>`)}</ul>`;
}

function boardPart(board: BoardResult): Markup {
  if (board.unusable !== undefined) return html`<h2>${board.board}</h2><p>${board.says}</p>`;
  const claims = board.claims.toSorted(
    (a, b) => VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict),
  );
  return html`<h2>${board.board}</h2><p class="soft">${board.says}</p>
<table><thead><tr><th>Promise</th><th>Verdict</th></tr></thead><tbody>${claims.map(claimRow)}</tbody></table>
<p class="soft">${board.putBack.ok ? "" : "NOT PUT BACK: "}${board.putBack.says}</p>
<h3>How it was found out</h3>${slotLegend()}
${claims.filter(({ verdict }) => verdict !== "not-supported").map((claim) => claimPart(claim, board))}
<details><summary><span class="grow">Controls: good images, treated as the bad ones were</span></summary><div class="in">${board.controls.map(controlPart)}</div></details>
<details><summary><span class="grow">The board as it was found</span></summary><div class="in">${boardFacts(board)}</div></details>`;
}

function claimRow({ claim, verdict, counts }: ClaimResult): Markup {
  const { title, says } = CLAIMS[claim];
  return html`<tr class="${verdict}"><td><strong>${title}</strong><br><small>${says}</small></td><td class="badge-cell">${badge(verdict)}<br><small>${countedWords(verdict, counts)}</small></td></tr>`;
}

function countedWords(verdict: Verdict, counts: ClaimResult["counts"]): string {
  const tried = counts.holds + counts["does-not-hold"];
  const open = counts["not-judged"] > 0 ? `, ${counts["not-judged"]} open` : "";
  if (verdict === "does-not-hold") return `failed ${counts["does-not-hold"]} of ${tried}${open}`;
  if (verdict === "not-judged") return `${counts["not-judged"]} open`;
  return verdict === "holds" ? `passed ${tried} of ${tried}${open}` : "";
}

function badge(verdict: Verdict): Markup {
  const { mark, says } = VERDICT_WORDS[verdict];
  return html`<span class="badge ${verdict}">${mark} ${says}</span>`;
}

function claimPart({ claim, verdict }: ClaimResult, board: BoardResult): Markup {
  const cases = board.cases
    .filter((one) => one.claim === claim)
    .toSorted((a, b) => VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict));
  const open = verdict === "does-not-hold" ? new Markup(" open") : "";
  return html`<details class="claim ${verdict}"${open}><summary>${badge(verdict)}<span class="grow">${CLAIMS[claim].title}</span></summary><div class="in">${cases.map((one) => casePart(one, board))}</div></details>`;
}

function casePart(one: CaseResult, { controls }: BoardResult): Markup {
  const control = controls.find(({ id }) => id === one.control);
  return html`<details class="${one.verdict}" id="${one.id}"><summary>${badge(one.verdict)}<span class="grow">${one.says}</span><small>${seconds(one.elapsedMs)}</small></summary><div class="in">
<dl class="facts"><dt>Expected</dt><dd>${one.expected}</dd><dt>Seen</dt><dd>${one.seen}</dd><dt>At risk</dt><dd>${one.risk}</dd>
<dt>Control</dt><dd>${control ? html`${control.says} ${badge(control.verdict)}` : "none needed: the case shows the board at work by itself"}</dd><dt>Case</dt><dd><code>${one.id}</code></dd></dl>
${one.evidence && drawEvidence(one.evidence, one.before ?? [], one.after ?? [])}</div></details>`;
}

function controlPart(control: BoardResult["controls"][number]): Markup {
  return html`<details class="${control.verdict}"><summary>${badge(control.verdict)}<span class="grow">${control.says}</span><small>${seconds(control.elapsedMs)}</small></summary><div class="in"><p>${control.seen}</p>${control.evidence && drawEvidence(control.evidence, [], [])}</div></details>`;
}

function boardFacts({ image, home, mode }: BoardResult): Markup {
  return html`<dl class="facts"><dt>Own image</dt><dd>version ${image?.version}</dd><dt>Image hash</dt><dd><code>${image?.imageHash}</code></dd>
<dt>SHA-256 of the file</dt><dd><code>${image?.sha256}</code></dd><dt>Bootloader mode</dt><dd>${mode ?? "not reported"}</dd>
<dt>Stored security counter</dt><dd>${home?.counters[0] ?? "not reported"}</dd><dt>Tells what its bootloader did</dt><dd>${home?.reportsTrust ? "yes (trust group)" : "no"}</dd></dl>`;
}

/** What made this page, so that it can be made again. */
function toolPart({ tool, seed }: ProofReport): Markup {
  return html`<h2>What made this page</h2><dl class="facts"><dt>Tool</dt><dd>${tool.name} ${tool.version}</dd>
<dt>SHA-256 of its program files</dt><dd><code>${tool.sha256 ?? "not built: run from its sources"}</code></dd>
<dt>Again with the same random choices</dt><dd><code>--seed ${seed}</code></dd></dl>`;
}

function explanations(): Markup {
  const rows = VERDICT_ORDER.map(
    (verdict) =>
      html`<tr><td class="badge-cell">${badge(verdict)}</td><td>${VERDICT_WORDS[verdict].means}</td></tr>`,
  );
  return html`<h2>How to read this page</h2>
<p>Each promise was tried by giving the board images that it should refuse, or by treating it badly, and looking at what it did: which image runs, what its bootloader reported, what its slots hold and which security counter it stores. Each refusal has a control: a good image, delivered in the same way, that the board accepted.</p>
<table><tbody>${rows}</tbody></table>`;
}
