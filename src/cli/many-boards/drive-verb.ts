import { type BoardTask, driveBoards } from "../../station/drive-boards.js";
import type { BoardOptions } from "../board-options.js";
import type { Context } from "../context.js";
import { errorJson } from "../error-json.js";
import { type Output, printable } from "../output.js";
import { UsageError } from "../usage-error.js";
import { type BoardLines, boardLines, showStep } from "./board-lines.js";
import { type BoardRow, finishRows, rowOfError } from "./board-rows.js";
import { type BoardsOptions, type ChosenBoard, chooseBoards } from "./choose-boards.js";
import type { BoardStep } from "./steps.js";

export interface ManyBoardsOptions extends Omit<BoardOptions, "device">, BoardsOptions {
  logProof?: string;
}

/** What a verb does with one board, and how that is shown. */
export interface BoardVerb<Event, Result> {
  /** Opens what it needs, tells what happens, puts everything away again. `context` is the board's own. */
  workflow(board: ChosenBoard, context: Context): AsyncGenerator<Event, Result, void>;
  step(event: Event): BoardStep;
  row(result: Result): Omit<BoardRow, "board">;
}

/**
 * Does the same with several boards at once: a line a board meanwhile, a table at the end, one JSON value a line with `--json`.
 * The exit status says whether all, some or none succeeded.
 */
export async function driveVerb<Event, Result>(
  options: ManyBoardsOptions,
  context: Context,
  verb: BoardVerb<Event, Result>,
): Promise<void> {
  const { out, signal } = context;
  mustSuitSeveral(options);
  const boards = await chooseBoards(options, context);
  const lines = linesOf(boards, options, out);
  const tasks = boards.map(
    (board): BoardTask<Event, Result> => ({
      name: board.name,
      start: (ended) => verb.workflow(board, { ...context, signal: ended, out: outputOf(board, lines, out) }),
    }),
  );
  const rows = new Map<string, BoardRow>();
  for await (const event of driveBoards(tasks, { signal })) {
    const { board } = event;
    if (event.kind === "event") {
      showStep(lines, board, verb.step(event.event));
      if (out.json) out.line(event, "");
      else out.event(event.event as object, board);
      continue;
    }
    const row = event.kind === "done" ? { board, ...verb.row(event.result) } : rowOfError(board, event.error);
    rows.set(board, row);
    lines.step(board, row.outcome);
    if (out.json) out.line(event.kind === "failed" ? { ...event, ...errorJson(event.error) } : event, "");
  }
  lines.settle();
  finishRows(
    boards.map(({ name }) => rows.get(name)!),
    out,
  );
  signal.throwIfAborted();
}

/** Options whose one value cannot be right for several boards. */
export function mustSuitSeveral({ trace, logProof }: ManyBoardsOptions): void {
  if (logProof !== undefined)
    throw new UsageError(
      "--log-proof proves the update of one board.",
      "Omit it; bootproof log prove makes a proof of any event.",
    );
  if (trace !== undefined)
    throw new UsageError("A trace holds the messages of one board.", "Omit --trace, or name one board.");
}

/** What of the options is about each board alone. */
export function commonOf<Options extends ManyBoardsOptions>({
  device: _several,
  ...common
}: Options): Omit<Options, "device"> {
  return common;
}

export function linesOf(
  boards: readonly ChosenBoard[],
  { quiet }: ManyBoardsOptions,
  out: Output,
): BoardLines {
  // Programs read the events themselves.
  return boardLines(
    boards.map(({ name }) => name),
    out,
    quiet === true || out.json,
  );
}

/** What is said while one board is opened, with its name before it. */
export function outputOf({ name }: ChosenBoard, lines: BoardLines, out: Output): Output {
  return {
    ...out,
    note: (text) => (out.json ? out.line({ board: name, kind: "note", text }, "") : lines.note(name, text)),
    warn: (text) => out.warn(`${printable(name)}: ${text}`),
    progress() {},
    settle() {},
  };
}
