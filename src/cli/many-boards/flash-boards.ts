import type { FlashEvent, FlashOptions, FlashResult } from "../../update/flash.js";
import type { Context } from "../context.js";
import { hintForBoard } from "../emulated-hint.js";
import type { ExitStatus } from "../exit.js";
import { type OpenBoard, openBoard } from "../open-board.js";
import { beginRun, type RunFacts } from "../run-facts.js";
import { commonOf, driveVerb, type ManyBoardsOptions } from "./drive-verb.js";
import { stepOfFlash } from "./steps.js";

/** The update of one board; `change` goes before what the command line says. */
export type FlashWorkflow = (
  board: Pick<OpenBoard, "session" | "identity" | "audit">,
  change: FlashOptions,
) => AsyncGenerator<FlashEvent, FlashResult, void>;

export interface FlashBoardsOptions extends ManyBoardsOptions {
  wait?: number;
}

/** Updates several boards at once. */
export function flashBoards(
  options: FlashBoardsOptions,
  context: Context,
  workflow: FlashWorkflow,
  statusOf: (result: FlashResult) => ExitStatus,
): Promise<void> {
  const factsOf = beginRun();
  return driveVerb<FlashEvent, FlashResult & RunFacts>(options, context, {
    async *workflow({ address, name }, own) {
      const board = await openBoard(address, commonOf(options), own, { withinMs: options.wait, name });
      try {
        const result = yield* workflow(board, { signal: own.signal });
        return { ...result, ...factsOf(board.about, board.device) };
      } finally {
        await board.close();
      }
    },
    step: stepOfFlash,
    row(result) {
      const { outcome, message, version } = result;
      const hint = hintForBoard(result.board.address, result.hint);
      return {
        outcome,
        exitStatus: statusOf(result),
        message,
        ...(hint === undefined ? {} : { hint }),
        ...(version === undefined ? {} : { version }),
      };
    },
  });
}
