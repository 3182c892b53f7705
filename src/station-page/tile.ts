import type { VNode } from "preact";
import type { Tile } from "../station/tile.js";
import { html } from "./html.js";
import { bigWord, dateWords, KIND_WORDS, MARKS, rateWords, toneOf } from "./words.js";

export interface TileActions {
  readonly mayChange: boolean;
  isChosen(board: string): boolean;
  choose(board: string, isChosen: boolean): void;
  stop(job: string): void;
}

/** Longer words, as LINK LOST, are made to fit one line. */
const SHORT_WORD = 7;

/** One board: green or red across the room, words close by. */
export function tileCard(tile: Tile, actions: TileActions): VNode {
  const { name, running, queue } = tile;
  const tone = toneOf(tile);
  const word = bigWord(tile);
  const id = `tile-${name}`;
  return html`<article class=${`tile ${tone}`} aria-labelledby=${id} key=${name}>
    <header>
      <label>
        ${
          actions.mayChange &&
          html`<input type="checkbox" aria-label=${`Choose ${name}`} checked=${actions.isChosen(name)}
          onChange=${(event: Event) => actions.choose(name, (event.target as HTMLInputElement).checked)} />`
        }
        <h2 id=${id} title=${name}>${name}</h2>
      </label>
      <a href=${`#/board/${encodeURIComponent(name)}`} aria-label=${`Details of ${name}`}>details</a>
    </header>
    <p class=${`big${word.length > SHORT_WORD ? " long" : ""}`}><span aria-hidden="true">${MARKS[tone]}</span> ${word}</p>
    ${running && html`<progress max="100" value=${percentOf(running)} aria-label=${`Progress of ${name}`}></progress>`}
    <p class="step">${stepWords(tile)}</p>
    ${whyWords(tile)}
    ${factsList(tile)}
    <footer>
      <span>${queue.length > 0 ? `${queue.length} queued` : ""}</span>
      ${
        running &&
        actions.mayChange &&
        html`<button type="button" disabled=${running.isStopping} onClick=${() => actions.stop(running.job.id)}
        aria-label=${`Stop ${KIND_WORDS[running.job.kind]} on ${name}`}>${running.isStopping ? "Stopping" : "Stop"}</button>`
      }
    </footer>
  </article>`;
}

function percentOf({ progress }: { progress?: { done: number; total: number } }): number | undefined {
  return progress ? Math.floor((progress.done * 100) / Math.max(1, progress.total)) : undefined;
}

function stepWords({ running, last, message, state, queue, waitsFor }: Tile): unknown {
  if (running)
    return [KIND_WORDS[running.job.kind], running.step, rateWords(running)].filter(Boolean).join(" · ");
  if (waitsFor) return `${KIND_WORDS[queue[0]!.kind]} · waits for ${waitsFor.join(", ")}`;
  if (state === "failing" && message !== undefined) return message;
  if (!last) return "";
  const words = `${KIND_WORDS[last.kind]}: ${last.outcome}${last.label ? ` · ${last.label}` : ""}`;
  return html`<a href=${`#/record/${last.id}`}>${words}</a> · ${dateWords(last.endedAt)}`;
}

/** What went wrong with the last job, and what to do, for whoever comes closer. */
function whyWords({ running, last, state }: Tile): VNode | undefined {
  const isShown = !running && state !== "away" && state !== "failing";
  if (!isShown || !last || last.verdict === "pass") return undefined;
  return html`<p class="why">${last.message}${last.hint && html` <em>${last.hint}</em>`}</p>`;
}

/** What the board said of itself; what it does not report is a dash. */
export function factsList({ facts, where }: Tile): VNode {
  const runs = facts?.version === undefined ? "-" : `${facts.version}${confirmedWords(facts.confirmed)}`;
  return html`<dl>
    <dt>Runs</dt><dd>${runs}${facts?.server === "recovery" ? " (serial recovery answers)" : ""}</dd>
    <dt class="more">Hash</dt><dd class="code more" title=${facts?.hash ?? ""}>${facts?.hash?.slice(0, 12) ?? "-"}</dd>
    <dt>Counter</dt><dd>${facts?.counter ?? "-"}</dd>
    <dt class="more">Board</dt><dd class="code more" title=${facts?.id ?? ""}>${facts?.id ?? "-"}</dd>
    <dt class="more">At</dt><dd class="code more" title=${where}>${where}</dd>
  </dl>`;
}

function confirmedWords(confirmed: boolean | undefined): string {
  if (confirmed === undefined) return "";
  return confirmed ? "" : " (not confirmed)";
}
