import { Component, type VNode } from "preact";
import type { RigFigures } from "../station/job-history.js";
import { api, type HistoryPage } from "./api.js";
import { html } from "./html.js";
import { recordRows } from "./record-rows.js";
import { KIND_WORDS, msWords, VERDICT_WORDS } from "./words.js";

interface Props {
  readonly boards: readonly string[];
  say(text: string, isBad?: boolean): void;
}

interface State {
  readonly filter: Readonly<Record<string, string>>;
  readonly offset: number;
  readonly page?: HistoryPage;
}

const PAGE = 50;

const FIGURES = ["Jobs", "Passed", "Failed", "Neither", "Median", "Slowest", "Retries", "Failures"];

/** What was done on this bench: filters, figures of the rig, records, downloads. */
export class HistoryView extends Component<Props, State> {
  override state: State = { filter: {}, offset: 0 };

  override componentDidMount(): void {
    void this.#load();
  }

  render(): VNode {
    const { page, offset } = this.state;
    return html`<section aria-labelledby="history-title">
      <h1 id="history-title">History</h1>
      ${this.#filters()}
      ${page && this.#figures(page)}
      ${page && html`<p>${page.total} ${page.total === 1 ? "record" : "records"}</p>${recordRows(page.records)}`}
      ${
        page &&
        html`<p class="pager">
        <button type="button" disabled=${offset === 0} onClick=${() => this.#turn(-PAGE)}>Newer</button>
        <button type="button" disabled=${offset + PAGE >= page.total} onClick=${() => this.#turn(PAGE)}>Older</button>
      </p>`
      }
    </section>`;
  }

  #filters(): VNode {
    const { filter } = this.state;
    const set = (name: string) => (event: Event) => {
      const { value } = event.target as HTMLInputElement;
      this.setState({ filter: { ...filter, [name]: value }, offset: 0 }, () => void this.#load());
    };
    const options = (words: Readonly<Record<string, string>>) =>
      Object.entries(words).map(([value, text]) => html`<option value=${value}>${text}</option>`);
    const { look: _look, follow: _follow, ...recorded } = KIND_WORDS;
    const boards = Object.fromEntries(this.props.boards.map((board) => [board, board]));
    const query = new URLSearchParams(this.state.filter).toString();
    return html`<form class="bar" aria-label="Filter" onSubmit=${(event: Event) => event.preventDefault()}>
      <label>Board <select onChange=${set("board")}><option value="">all</option>${options(boards)}</select></label>
      <label>Job <select onChange=${set("kind")}><option value="">all</option>${options(recorded)}</select></label>
      <label>Verdict <select onChange=${set("verdict")}><option value="">all</option>${options(VERDICT_WORDS)}</select></label>
      <label>From <input type="date" onChange=${set("from")} /></label>
      <label>To <input type="date" onChange=${set("to")} /></label>
      <label>Text <input type="search" onInput=${set("text")} placeholder="label, outcome, file" /></label>
      <span class="choice">
        <a class="button" href=${`api/history.csv?${query}`} download>CSV</a>
        <a class="button" href=${`api/history.json?${query}`} download>JSON</a>
      </span>
    </form>`;
  }

  #figures({ statistics }: HistoryPage): VNode {
    const groups = {
      "All jobs": { all: statistics.all },
      "By board": statistics.byBoard,
      "By port": statistics.byPort,
    };
    return html`<details class="figures"><summary>Figures of the rig: ${figureWords(statistics.all)}</summary>
      <table class="cards" role="table"><caption class="hidden">Figures of the rig</caption>
      <thead role="rowgroup"><tr role="row">${["", ...FIGURES].map((title) => html`<th scope="col" role="columnheader">${title}</th>`)}</tr></thead>
      ${Object.entries(groups).map(
        ([
          title,
          rows,
        ]) => html`<tbody role="rowgroup"><tr role="row"><th colspan="9" scope="rowgroup" role="rowheader">${title}</th></tr>
        ${Object.entries(rows).map(([name, figures]) => figureRow(name, figures))}</tbody>`,
      )}</table></details>`;
  }

  #turn(by: number): void {
    this.setState(
      ({ offset }) => ({ offset: offset + by }),
      () => void this.#load(),
    );
  }

  async #load(): Promise<void> {
    const { filter, offset } = this.state;
    const query = new URLSearchParams({ ...filter, limit: `${PAGE}`, offset: `${offset}` });
    try {
      const page = await api.history(query);
      // A slow answer to an earlier question must not take the place of a later one.
      if (filter === this.state.filter && offset === this.state.offset) this.setState({ page });
    } catch (error) {
      this.props.say(error instanceof Error ? error.message : String(error), true);
    }
  }
}

function figureWords({ jobs, passed, failed }: RigFigures): string {
  return `${passed} of ${jobs} passed, ${failed} failed`;
}

function figureRow(name: string, figures: RigFigures): VNode {
  const { jobs, passed, failed, neither, medianMs, slowestMs, retries, failures } = figures;
  const cells = [
    jobs,
    passed,
    failed,
    neither,
    medianMs === undefined ? "-" : msWords(medianMs),
    slowestMs === undefined ? "-" : msWords(slowestMs),
    retries,
    failures.map(({ outcome, count }) => `${outcome} ${count}`).join(", ") || "-",
  ];
  return html`<tr role="row"><th scope="row" role="rowheader">${name}</th>${cells.map((cell, at) => html`<td role="cell" data-title=${FIGURES[at]?.toLowerCase()}>${cell}</td>`)}</tr>`;
}
