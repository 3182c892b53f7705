import { existsSync } from "node:fs";
import { UsageError } from "../usage-error.js";

/** Stands in the name of a file that is written once for each board. */
const BOARD = "{board}";
const LONGEST_NAME = 100;

/** With several boards each has a statement of its own. @throws UsageError */
export function mustNameEachBoard(pattern: string): void {
  if (pattern.includes(BOARD)) return;
  throw new UsageError(
    "With several boards --attest writes a statement for each.",
    `Write ${BOARD} in the file's name, for example --attest update-${BOARD}.intoto.jsonl.`,
  );
}

/**
 * The file of one board's statement. Boards that share a name get a number.
 *
 * @param pattern - the file's name, with `{board}` or without
 * @param board - the board's identity, else its name or address
 */
export function statementFile(pattern: string, board: string): string {
  if (!pattern.includes(BOARD)) return pattern;
  const name = board.replaceAll(/[^A-Za-z0-9._-]+/g, "_").slice(0, LONGEST_NAME);
  for (let number = 1; ; number++) {
    const file = pattern.replaceAll(BOARD, number === 1 ? name : `${name}-${number}`);
    if (!existsSync(file)) return file;
  }
}
