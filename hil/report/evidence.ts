import type { Evidence, Message } from "../evidence.js";
import { describe, type Sight, type SlotPicture, wordsOf } from "../sight.js";
import { html, type Markup } from "./markup.js";
import { drawCuts, drawSlots } from "./pictures.js";

/** What an engineer wants to check: every step, what the board showed, the bytes. */
export function drawEvidence(
  evidence: Evidence,
  before: readonly SlotPicture[],
  after: readonly SlotPicture[],
): Markup {
  const { notes, sights, offered, messages, messageCount, log, cuts } = evidence;
  const start = notes[0]?.at ?? 0;
  return html`${cuts.length > 0 && drawCuts(cuts)}
${before.length > 0 && drawSlots("Slots before", before)}${after.length > 0 && drawSlots("Slots after", after)}
${sights.length > 0 && html`<h3>What the board showed</h3>${sightTable(sights.slice(-MOST_SIGHTS))}`}
${fold("What was done", notes.length, html`<ol class="steps">${notes.slice(0, MOST_NOTES).map(({ at, says }) => html`<li><small>${since(at, start)}</small> ${says}</li>`)}</ol>`)}
${fold("Images that were given to the board", offered.length, html`<table><thead><tr><th>What</th><th>Bytes</th><th>SHA-256 of the file, image hash</th><th>How</th></tr></thead><tbody>${offered.map((one) => html`<tr><td>${one.what}</td><td>${one.size}</td><td class="mono">${one.sha256}<br>${one.imageHash ?? "no image hash"}</td><td>${one.way}</td></tr>`)}</tbody></table>`)}
${fold("Its log", log.length, html`<pre>${log.map(({ text }) => `${text}\n`)}</pre>`)}
${fold("Messages", messageCount, html`<pre>${messages.map((message) => messageLine(message, start))}</pre>`, messageCount > messages.length ? `${messageCount}, the first and last ${messages.length} shown` : undefined)}`;
}

const MOST_SIGHTS = 12;
const MOST_NOTES = 200;

function fold(title: string, count: number, content: Markup, words = String(count)): Markup | undefined {
  if (count === 0) return undefined;
  return html`<details><summary><span class="grow">${title}</span><small>${words}</small></summary><div class="in">${content}</div></details>`;
}

function sightTable(sights: readonly Sight[]): Markup {
  return html`<table><thead><tr><th>When</th><th>Runs</th><th>Stored counter</th><th>Other slot</th><th>Its bootloader reported</th></tr></thead><tbody>${sights.map(sightRow)}</tbody></table>`;
}

function sightRow(sight: Sight): Markup {
  const other = sight.slots.find(({ image, slot }) => image === 0 && slot === 1);
  const held =
    other?.hash === undefined
      ? "reads empty"
      : `${other.version} (${other.hash.slice(0, 12)}) ${other.flags.join(" ")}`;
  const events = sight.events.slice(-6).map((event) => html`${wordsOf(event)}<br>`);
  return html`<tr><td>${sight.label}</td><td>${describe({ ...sight, counters: {} })}</td><td>${sight.counters[0] ?? "not reported"}</td><td>${held}</td><td>${events.length > 0 ? events : sight.reportsTrust ? "nothing" : "does not report"}</td></tr>`;
}

/** What came before the first step has a minus. */
function since(at: number, start: number): string {
  return `${at < start ? "" : "+"}${at - start} ms`;
}

function messageLine({ at, direction, command, hex, length, payload }: Message, start: number): string {
  const cut = hex.length / 2 < length ? `… (${length} bytes)` : "";
  const arrow = direction === "sent" ? "→" : "←";
  return `${arrow} ${since(at, start)} ${command ?? "(nobody waited for this)"}\n  ${hex}${cut}\n${payload === undefined ? "" : `  ${payload}\n`}`;
}
