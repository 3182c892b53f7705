import { stripVTControlCharacters } from "node:util";
import { type Output, printable } from "../output.js";
import type { BoardStep } from "./steps.js";

/** How often lines on a terminal are drawn again, milliseconds. */
const REDRAW_MS = 100;

interface Progress {
  readonly done: number;
  readonly total: number;
  /** Bytes in each second since this upload began; absent at its start. */
  readonly rate?: number;
}

/** One line a board while all are under way. On a terminal it is drawn again in place, elsewhere printed at each step. */
export interface BoardLines {
  /** What the board does now; with an upload, how far it is. */
  step(board: string, step: string, progress?: { done: number; total: number }): void;
  /** A sentence about one board. */
  note(board: string, text: string): void;
  /** Leaves the lines as they are. Call it before anything else is printed. */
  settle(): void;
}

export function boardLines(boards: readonly string[], out: Output, isQuiet: boolean): BoardLines {
  const width = Math.max(...boards.map((board) => printable(board).length));
  const label = (board: string) => printable(board).padEnd(width);
  const line = (board: string, step: string, progress: Progress | undefined) =>
    lineOf(label(board), step, progress, BAR);
  const meter = uploadMeter();
  if (isQuiet) return { step() {}, note() {}, settle() {} };
  if (process.stderr.isTTY !== true) {
    const last = new Map<string, string>();
    return {
      step(board, step, counted) {
        const progress = counted && meter(board, counted);
        // A line for each step, and one for each quarter of an upload.
        const mark = `${step} ${progress ? Math.floor((progress.done * 4) / progress.total) : ""}`;
        if (last.get(board) === mark) return;
        last.set(board, mark);
        out.note(line(board, step, progress));
      },
      note: (board, text) => out.note(`${label(board)}  ${printable(text)}`),
      settle() {},
    };
  }
  return liveLines(boards, { meter, label });
}

function lineOf(label: string, step: string, progress: Progress | undefined, bar: number): string {
  return `${label}  ${step.padEnd(STEP)}${progress === undefined ? "" : `  ${progressText(progress, bar)}`}`.trimEnd();
}

/** The width of a step, as far as it is aligned. */
const STEP = 11;

/** What a line takes beside the board's name and the bar: `  uploading    [] 100 %  123.4 kB/s  12:34 left`. */
const REST = 2 + STEP + 2 + 2 + " 100 %  123.4 kB/s  12:34 left".length;

const LEAST_BAR = 5;

/**
 * A board's line in a terminal, from the name to the time that is left: first the bar gets shorter, then the name loses its
 * middle.
 *
 * @param label - the name, padded to the width of the longest one
 * @param columns - of the terminal
 */
export function fittedLine(
  label: string,
  step: string,
  progress: Progress | undefined,
  columns: number,
): string {
  const room = columns - 1;
  const most = Math.max(LEAST_BAR, room - REST - LEAST_BAR);
  const name = label.length <= most ? label : shortened(label.trimEnd(), most).padEnd(most);
  const bar = Math.min(BAR, Math.max(LEAST_BAR, room - REST - name.length));
  return lineOf(name, step, progress, bar).slice(0, Math.max(1, room));
}

/** Boards of one kind differ at the end of their names. */
function shortened(name: string, length: number): string {
  if (name.length <= length) return name;
  const end = Math.ceil((length - 1) / 2);
  return `${name.slice(0, length - 1 - end)}…${name.slice(name.length - end)}`;
}

/** Draws in place; a note goes above the lines. */
function liveLines(
  boards: readonly string[],
  how: { meter: ReturnType<typeof uploadMeter>; label(board: string): string },
): BoardLines {
  const lines = new Map<string, { step: string; progress?: Progress | undefined }>(
    boards.map((board) => [board, { step: "waiting" }]),
  );
  let drawn = 0;
  let timer: NodeJS.Timeout | undefined;
  const clear = () => {
    if (drawn > 0) process.stderr.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  const draw = () => {
    timer = undefined;
    clear();
    const { columns = 80, rows = 24 } = process.stderr;
    // The cursor cannot go back to what has left the screen.
    const shown = [...lines].slice(0, Math.max(1, rows - 2));
    const hidden = lines.size - shown.length;
    const texts = shown.map(([board, { step, progress }]) =>
      fittedLine(how.label(board), step, progress, columns),
    );
    if (hidden > 0) texts.push(`... and ${hidden} more boards`);
    for (const text of texts) process.stderr.write(`${text}\n`);
    drawn = texts.length;
  };
  return {
    step(board, step, counted) {
      lines.set(board, { step, progress: counted && how.meter(board, counted) });
      timer ??= setTimeout(draw, REDRAW_MS);
    },
    note(board, text) {
      clear();
      process.stderr.write(`${how.label(board)}  ${stripVTControlCharacters(printable(text))}\n`);
      draw();
    },
    settle() {
      clearTimeout(timer);
      draw();
      drawn = 0;
    },
  };
}

/** Measures the rate of each board's upload from its first byte on. */
function uploadMeter(): (board: string, counted: { done: number; total: number }) => Progress {
  const starts = new Map<string, { done: number; at: number }>();
  return (board, { done, total }) => {
    const start = starts.get(board);
    if (start === undefined || done < start.done) {
      starts.set(board, { done, at: performance.now() });
      return { done, total };
    }
    const seconds = (performance.now() - start.at) / 1000;
    return seconds > 0 && done > start.done
      ? { done, total, rate: (done - start.done) / seconds }
      : { done, total };
  };
}

const BAR = 20;

function progressText({ done, total, rate }: Progress, width: number): string {
  const full = Math.round((Math.min(done, total) / total) * width);
  const bar = `[${"#".repeat(full)}${".".repeat(width - full)}]`;
  const percent = `${Math.floor((done * 100) / total)}`.padStart(3);
  if (rate === undefined) return `${bar} ${percent} %`;
  const left = Math.ceil((total - done) / rate);
  const time = `${Math.floor(left / 60)}:${`${left % 60}`.padStart(2, "0")}`;
  return `${bar} ${percent} %  ${(rate / 1000).toFixed(1)} kB/s  ${time} left`;
}

/** Shows what an event means in the board's line. */
export function showStep(lines: BoardLines, board: string, { step, progress, notes = [] }: BoardStep): void {
  if (step !== undefined) lines.step(board, step, progress);
  for (const text of notes) lines.note(board, text);
}
