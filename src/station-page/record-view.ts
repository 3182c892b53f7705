import { Component, type VNode } from "preact";
import { api, type RecordPage } from "./api.js";
import { html } from "./html.js";
import { dateWords, KIND_WORDS, MARKS, timeWords, VERDICT_WORDS } from "./words.js";

interface Props {
  readonly id: string;
  say(text: string, isBad?: boolean): void;
}

/** One record with its evidence. */
export class RecordView extends Component<Props, { page?: RecordPage }> {
  override componentDidMount(): void {
    void this.#load();
  }

  override componentDidUpdate(before: Props): void {
    if (before.id !== this.props.id) void this.#load();
  }

  render(): VNode {
    const { page } = this.state;
    if (!page) return html`<p class="empty">Loading the record.</p>`;
    const { record, lines, hasProof } = page;
    const { id, verdict, board, kind, message, hint } = record;
    return html`<section aria-labelledby="record-title">
      <h1 id="record-title">${KIND_WORDS[kind]} on ${board}</h1>
      <p class=${`banner ${verdict}`}><span aria-hidden="true">${MARKS[verdict]}</span> ${VERDICT_WORDS[verdict]}: ${record.outcome}</p>
      <p>${message}</p>
      ${hint && html`<p>Try: ${hint}</p>`}
      <dl class="facts">${factsOf(page).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
      <p class="choice">
        ${hasProof && html`<a class="button" href=${`evidence/${id}-proof.html`} target="_blank" rel="noopener">Evidence of this proof</a>`}
        ${hasProof && html`<a class="button" href=${`evidence/${id}-proof.json`} download>Proof as JSON</a>`}
        ${record.evidence && html`<a class="button" href=${`evidence/${id}.json`} download>Record as JSON</a>`}
      </p>
      <h2>What happened</h2>
      <ol class="lines">${lines.map((line) => html`<li><time datetime=${line.at}>${line.at.slice(11, 23)}</time> ${line.text}</li>`)}</ol>
    </section>`;
  }

  async #load(): Promise<void> {
    try {
      this.setState({ page: await api.record(this.props.id) });
    } catch (error) {
      this.props.say(error instanceof Error ? error.message : String(error), true);
    }
  }
}

function factsOf({ record }: RecordPage): [name: string, value: string][] {
  const { runs, update, label, where, startedAt, endedAt, queuedAt, retries, exitStatus, begunBefore } =
    record;
  const rows: [string, string | undefined][] = [
    ["Label", label],
    ["Update", update && `${update.name} · version ${update.version ?? "-"} · sha256 ${update.sha256}`],
    ["Runs afterwards", runs?.version ?? "-"],
    ["Image hash", runs?.hash ?? "-"],
    ["Confirmed", runs?.confirmed === undefined ? "-" : runs.confirmed ? "yes" : "no"],
    ["Stored counter", runs?.counter === undefined ? "-" : `${runs.counter}`],
    ["Board", runs?.id ?? "-"],
    ["At", where],
    ["Queued", dateWords(queuedAt)],
    ["Began", dateWords(startedAt)],
    ["Took", timeWords(startedAt, endedAt)],
    ["Retries", `${retries}`],
    ["Begun again", begunBefore === 0 ? undefined : `${begunBefore} times, after the station was ended`],
    ["Exit status", `${exitStatus}`],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== undefined);
}
