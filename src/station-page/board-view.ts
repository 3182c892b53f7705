import { Component, type VNode } from "preact";
import type { JobKind, JobRecord } from "../station/job.js";
import { api, type View } from "./api.js";
import { html } from "./html.js";
import { recordRows } from "./record-rows.js";
import { factsList } from "./tile.js";
import { bigWord, KIND_WORDS, MARKS, rateWords, toneOf } from "./words.js";

interface Props {
  readonly board: string;
  readonly view: View;
  readonly mayChange: boolean;
  say(text: string, isBad?: boolean): void;
}

interface State {
  readonly lines: readonly string[];
  readonly records: readonly JobRecord[];
}

const EVERY_MS = 1000;
const RECORDS = 20;

/** One board: what it does, its queue, its console, its history. */
export class BoardView extends Component<Props, State> {
  override state: State = { lines: [], records: [] };
  #timer: ReturnType<typeof setInterval> | undefined;
  #last: string | undefined;

  override componentDidMount(): void {
    void this.#load();
    this.#timer = setInterval(() => void this.#load(), EVERY_MS);
  }

  override componentWillUnmount(): void {
    clearInterval(this.#timer);
  }

  override componentDidUpdate(before: Props): void {
    if (before.board !== this.props.board) this.setState({ lines: [], records: [] }, () => void this.#load());
  }

  render(): VNode {
    const { board, view, mayChange } = this.props;
    const tile = view.tiles.find(({ name }) => name === board);
    if (!tile) return html`<p class="empty">There is no board of that name on this bench.</p>`;
    const { running, queue } = tile;
    const tone = toneOf(tile);
    return html`<section aria-labelledby="board-title">
      <h1 id="board-title">${board}</h1>
      <p class=${`banner ${tone}`}><span aria-hidden="true">${MARKS[tone]}</span> ${bigWord(tile)}
        ${running && html` <small>${KIND_WORDS[running.job.kind]} · ${running.step} ${rateWords(running)}</small>`}</p>
      ${tile.message && html`<p>${tile.message}</p>`}
      ${factsList(tile)}
      ${
        mayChange &&
        html`<p class="choice">
        ${running && html`<button type="button" onClick=${() => this.#stop(running.job.id)}>Stop ${KIND_WORDS[running.job.kind]}</button>`}
        <button type="button" onClick=${() => this.#start("look")}>Look</button>
        <button type="button" onClick=${() => this.#start("follow")}>Follow the console</button>
      </p>`
      }
      <h2>Queue</h2>
      ${queue.length === 0 && html`<p class="empty">Empty.</p>`}
      <ol>${queue.map(
        (job) => html`<li>${KIND_WORDS[job.kind]} ${job.update?.name ?? ""} ${job.label ?? ""}
        ${mayChange && html`<button type="button" onClick=${() => this.#stop(job.id)} aria-label=${`Take ${KIND_WORDS[job.kind]} from the queue`}>Remove</button>`}</li>`,
      )}</ol>
      <h2>Console</h2>
      <pre class="console" role="log" aria-label=${`Console of ${board}`} tabindex="0">${this.state.lines.join("\n")}</pre>
      <h2>History</h2>
      ${recordRows(this.state.records)}
    </section>`;
  }

  #start(kind: JobKind): void {
    void this.#try(() => api.submit({ kind, boards: [this.props.board] }));
  }

  #stop(job: string): void {
    void this.#try(() => api.stop(job));
  }

  async #load(): Promise<void> {
    const { board, view } = this.props;
    await this.#try(async () => {
      const { lines } = await api.console(board);
      if (lines.length !== this.state.lines.length || lines.at(-1) !== this.state.lines.at(-1))
        this.setState({ lines });
      const last = `${board} ${view.tiles.find(({ name }) => name === board)?.last?.id}`;
      if (last === this.#last) return;
      this.#last = last;
      const { records } = await api.history(new URLSearchParams({ board, limit: `${RECORDS}` }));
      this.setState({ records });
    });
  }

  async #try(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.props.say(error instanceof Error ? error.message : String(error), true);
    }
  }
}
