import type { VNode } from "preact";
import type { JobRecord } from "../station/job.js";
import { html } from "./html.js";
import { dateWords, KIND_WORDS, MARKS, timeWords, VERDICT_WORDS } from "./words.js";

/** Records as a table; each leads to its page. */
export function recordRows(records: readonly JobRecord[]): VNode {
  if (records.length === 0) return html`<p class="empty">Nothing yet.</p>`;
  return html`<div class="scroll"><table class="records">
    <caption class="hidden">Records</caption>
    <thead><tr>${["Verdict", "Board", "Job", "Outcome", "Label", "Runs", "Took", "Ended"].map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
    <tbody>${records.map(recordRow)}</tbody>
  </table></div>`;
}

function recordRow(record: JobRecord): VNode {
  const { id, verdict, board, kind, outcome, label, runs, startedAt, endedAt } = record;
  return html`<tr key=${id}>
    <td><a class=${`verdict ${verdict}`} href=${`#/record/${id}`}><span aria-hidden="true">${MARKS[verdict]}</span> ${VERDICT_WORDS[verdict]}</a></td>
    <td><a href=${`#/board/${encodeURIComponent(board)}`}>${board}</a></td>
    <td>${KIND_WORDS[kind]}</td>
    <td>${outcome}</td>
    <td>${label ?? ""}</td>
    <td>${runs?.version ?? "-"}</td>
    <td>${timeWords(startedAt, endedAt)}</td>
    <td>${dateWords(endedAt)}</td>
  </tr>`;
}
