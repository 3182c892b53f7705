import type { Message, Offered } from "../evidence.js";
import type { BoardResult, CaseResult, ControlResult, ProofReport } from "../result.js";
import { describe, wordsOf } from "../snapshot.js";
import { byHand } from "./by-hand.js";
import { printable, VERDICT_WORDS } from "./labels.js";

/** One case as an engineer wants to follow it: what was done, the bytes, what the board did, and the same by hand. */
export function explain(report: ProofReport, id: string): string {
  return report.boards.map((board) => explainBoard(board, id)).join("\n\n");
}

function explainBoard(board: BoardResult, id: string): string {
  if (board.unusable !== undefined) return `${board.board} could not be used: ${printable(board.unusable)}`;
  const found = board.cases.find((one) => one.id === id);
  if (!found) return `${board.board}: ${id} was not run.`;
  const control = board.controls.find((one) => one.id === found.control);
  return [
    head(board, found),
    ...controlPart(control),
    ...evidencePart(found),
    ...handPart(board, found),
  ].join("\n");
}

function head(
  { board, summary }: BoardResult,
  { id, summary: asks, expected, observed, verdict }: CaseResult,
): string {
  return [
    `${id} on ${board} (${printable(summary).replace(/\.$/, "")}): ${VERDICT_WORDS[verdict].label}`,
    `  Asked:    ${asks}`,
    `  Expected: ${expected}`,
    `  Seen:     ${printable(observed)}`,
  ].join("\n");
}

function controlPart(control: ControlResult | undefined): string[] {
  if (!control) return [];
  return ["", `Control "${control.id}", tried first: ${control.summary}`, `  ${printable(control.observed)}`];
}

function evidencePart({ evidence }: CaseResult): string[] {
  if (!evidence) return ["", "Nothing was sent."];
  const { notes, offered, snapshots, log, messages, messageCount } = evidence;
  const start = notes[0]?.at ?? 0;
  const ms = (at: number) => `${at < start ? "" : "+"}${at - start} ms`.padStart(9);
  const left = messageCount - messages.length;
  return [
    ...part(
      "What was done",
      notes.map(({ at, message }) => `${ms(at)}  ${printable(message)}`),
    ),
    ...part("Images that were given to the board", offered.flatMap(imageLines)),
    ...part(
      "What the board showed",
      snapshots.flatMap((snapshot) => [
        `${snapshot.label}: ${describe(snapshot)}`,
        ...snapshot.events.map((event) => `  its bootloader: ${wordsOf(event)}`),
      ]),
    ),
    ...part(
      "Its log",
      log.map(({ text }) => printable(text)),
    ),
    ...part(
      "Bytes on the wire, header first",
      messages.flatMap((message) => messageLines(message, ms)),
    ),
    ...(left > 0 ? [`  (${left} more in between)`] : []),
  ];
}

function part(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)];
}

function imageLines({ what, size, sha256, imageHash, random = [], delivery, path }: Offered): string[] {
  return [
    `${what}: ${size} bytes, ${delivery}`,
    `  sha256 of the file ${sha256}`,
    `  image hash ${imageHash ?? "none that can be read"}`,
    ...random.map((part) => `  ${part} is different in each run`),
    ...(path === undefined ? [] : [`  written to ${path}`]),
  ];
}

function messageLines(
  { at, direction, command, hex, length, payload }: Message,
  ms: (at: number) => string,
): string[] {
  const cut = hex.length / 2 < length ? `… (${length} bytes)` : "";
  return [
    `${ms(at)} ${direction === "sent" ? "->" : "<-"} ${command ?? "(unexpected)"}`,
    `          ${hex}${cut}`,
    ...(payload === undefined ? [] : [`          ${printable(payload)}`]),
  ];
}

function handPart(board: BoardResult, found: CaseResult): string[] {
  return part("By hand, with other tools", byHand(board, found));
}
