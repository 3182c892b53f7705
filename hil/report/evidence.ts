import type { Evidence, Message } from "../evidence.js";
import { describe, type SlotPicture, type Snapshot, wordsOf } from "../snapshot.js";
import { html, type Markup } from "./markup.js";
import { drawCuts, drawSlots } from "./pictures.js";

export interface DrawOptions {
  /** The slots afterwards; before each case they are as the board was found. */
  readonly after: readonly SlotPicture[];
  /** Nothing went wrong: the bytes and all of the log are left to the report in JSON. */
  readonly isBrief: boolean;
}

/** Lines of a log that are shown where nothing went wrong. */
const BRIEF_LINES = 4;

/** What an engineer wants to check: every step, what the board showed, the bytes where something went wrong. */
export function drawEvidence(evidence: Evidence, { after, isBrief }: DrawOptions): Markup {
  const { notes, snapshots, offered, messages, messageCount, log, cuts } = evidence;
  const start = notes[0]?.at ?? 0;
  return html`${cuts.length > 0 && drawCuts(cuts)}
${after.length > 0 && !isBrief && drawSlots("Slots after", after)}
${snapshots.length > 0 && html`<h3>What the board showed</h3>${snapshotTable(snapshots.slice(isBrief ? -BRIEF_SNAPSHOTS : -MOST_SNAPSHOTS))}`}
${fold("What was done", notes.length, html`<ol class="steps">${notes.slice(0, isBrief ? BRIEF_NOTES : MOST_NOTES).map(({ at, message }) => html`<li><small>${since(at, start)}</small> ${message}</li>`)}</ol>`)}
${!isBrief && fold("Images that were given to the board", offered.length, html`<table><thead><tr><th>What</th><th>Bytes</th><th>SHA-256 of the file, image hash</th><th>How</th></tr></thead><tbody>${offered.map((one) => html`<tr><td>${one.what}</td><td>${one.size}</td><td class="mono">${one.sha256}<br>${one.imageHash ?? "no image hash"}${(one.random ?? []).map((part) => html`<br>${part} is different in each run`)}</td><td>${one.delivery}</td></tr>`)}</tbody></table>`)}
${fold("Its log", log.length, html`<pre>${(isBrief ? log.slice(-BRIEF_LINES) : log).map(({ text }) => `${text}\n`)}</pre>`, isBrief && log.length > BRIEF_LINES ? `${log.length}, the last ${BRIEF_LINES} shown` : undefined)}
${isBrief ? html`<p class="soft">${messageCount} messages: in the JSON report and by --explain.</p>` : fold("Messages", messageCount, html`<pre>${messages.map((message) => messageLine(message, start))}</pre>`, messageCount > messages.length ? `${messageCount}, the first and last ${messages.length} shown` : undefined)}`;
}

const MOST_SNAPSHOTS = 12;
const BRIEF_SNAPSHOTS = 3;
const BRIEF_NOTES = 16;
const MOST_NOTES = 200;

function fold(title: string, count: number, content: Markup, words = String(count)): Markup | undefined {
  if (count === 0) return undefined;
  return html`<details><summary><span class="grow">${title}</span><small>${words}</small></summary><div class="in">${content}</div></details>`;
}

function snapshotTable(snapshots: readonly Snapshot[]): Markup {
  return html`<table><thead><tr><th>When</th><th>Runs</th><th>Stored counter</th><th>Other slot</th><th>Its bootloader reported</th></tr></thead><tbody>${snapshots.map(snapshotRow)}</tbody></table>`;
}

function snapshotRow(snapshot: Snapshot): Markup {
  const other = snapshot.slots.find(({ image, slot }) => image === 0 && slot === 1);
  const held =
    other?.hash === undefined
      ? "reads empty"
      : `${other.version} (${other.hash.slice(0, 12)}) ${other.flags.join(" ")}`;
  const events = snapshot.events.slice(-6).map((event) => html`${wordsOf(event)}<br>`);
  return html`<tr><td>${snapshot.label}</td><td>${describe({ ...snapshot, counters: {} })}</td><td>${snapshot.counters[0] ?? "not reported"}</td><td>${held}</td><td>${events.length > 0 ? events : snapshot.reportsEvents ? "nothing" : "does not report"}</td></tr>`;
}

/** What came before the first step has a minus. */
function since(at: number, start: number): string {
  return `${at < start ? "" : "+"}${at - start} ms`;
}

function messageLine({ at, direction, command, hex, length, payload }: Message, start: number): string {
  const cut = hex.length / 2 < length ? `… (${length} bytes)` : "";
  const arrow = direction === "sent" ? "→" : "←";
  return `${arrow} ${since(at, start)} ${command ?? "(not an answer to a request)"}\n  ${hex}${cut}\n${payload === undefined ? "" : `  ${payload}\n`}`;
}
