import type { VNode } from "preact";
import type { JobRecord } from "../station/job.js";
import { html } from "./html.js";
import { dateWords, KIND_WORDS, MARKS, timeWords, VERDICT_WORDS } from "./words.js";

/** Records as a table, each of which leads to its page. The roles stay where a narrow page shows rows as cards. */
export function recordRows(records: readonly JobRecord[]): VNode {
  if (records.length === 0) return html`<p class="empty">Nothing yet.</p>`;
  return html`<div class="scroll"><table class="records cards" role="table">
    <caption class="hidden">Records</caption>
    <thead role="rowgroup"><tr role="row">${["Verdict", "Board", "Job", "Outcome", "Label", "Runs", "Took", "Ended"].map((title) => html`<th scope="col" role="columnheader">${title}</th>`)}</tr></thead>
    <tbody role="rowgroup">${records.map(recordRow)}</tbody>
  </table></div>`;
}

function recordRow(record: JobRecord): VNode {
  const { id, verdict, board, kind, outcome, label, runs, startedAt, endedAt } = record;
  return html`<tr key=${id} role="row">
    <td role="cell"><a class=${`verdict ${verdict}`} href=${`#/record/${id}`}><span aria-hidden="true">${MARKS[verdict]}</span> ${VERDICT_WORDS[verdict]}</a></td>
    <td role="cell"><a href=${`#/board/${encodeURIComponent(board)}`}>${board}</a></td>
    <td role="cell">${KIND_WORDS[kind]}</td>
    <td role="cell">${outcome}</td>
    <td role="cell" data-title="label">${label}</td>
    <td role="cell" data-title="runs">${runs?.version ?? "-"}</td>
    <td role="cell" data-title="took">${timeWords(startedAt, endedAt)}</td>
    <td role="cell">${dateWords(endedAt)}</td>
  </tr>`;
}
