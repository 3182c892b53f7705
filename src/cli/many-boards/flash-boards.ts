import type { FlashEvent, FlashOptions, FlashResult } from "../../update/flash.js";
import type { ImagesEvent, ImagesResult } from "../../update/images-events.js";
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

/** The same of an update that may hold several images. */
export type UpdateWorkflow = (
  board: Pick<OpenBoard, "session" | "identity" | "audit">,
  change: FlashOptions,
) => AsyncGenerator<ImagesEvent, FlashResult | ImagesResult, void>;

/** What runs as image 0 in the end, for a row of the table. */
export function versionOf(result: FlashResult | ImagesResult): string | undefined {
  if (!("images" in result)) return result.version;
  const versions = result.images.toSorted((a, b) => a.image - b.image).map(({ version }) => version);
  return versions.length === 0 ? undefined : [...new Set(versions)].join("/");
}

export interface FlashBoardsOptions extends ManyBoardsOptions {
  wait?: number;
}

/** Updates several boards at once. */
export function flashBoards(
  options: FlashBoardsOptions,
  context: Context,
  workflow: UpdateWorkflow,
  statusOf: (result: FlashResult | ImagesResult) => ExitStatus,
): Promise<void> {
  const factsOf = beginRun();
  return driveVerb<ImagesEvent, (FlashResult | ImagesResult) & RunFacts>(options, context, {
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
      const { outcome, message } = result;
      const version = versionOf(result);
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
