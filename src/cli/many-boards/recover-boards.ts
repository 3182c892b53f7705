import type { RecoverEvent, RecoverResult } from "../../recovery/recover-events.js";
import { formatAddress } from "../../transport/address.js";
import { hintForBoard } from "../emulated-hint.js";
import type { ExitStatus } from "../exit.js";
import type { RecoverySetup } from "../recovery-target.js";
import { beginRun, type RunFacts } from "../run-facts.js";
import type { Context } from "../verb-context.js";
import type { ChosenBoard } from "./choose-boards.js";
import { driveVerb, type ManyBoardsOptions } from "./drive-verb.js";
import { stepOfRecover } from "./steps.js";

/** The recovery of one board. */
export type RecoverWorkflow = (
  setup: RecoverySetup,
  context: Context,
) => AsyncGenerator<RecoverEvent, RecoverResult, void>;

/** Recovers several boards at once. Nobody is asked anything: what needs consent needs its option. */
export function recoverBoards(
  options: ManyBoardsOptions,
  context: Context,
  setUp: (board: ChosenBoard, context: Context) => Promise<RecoverySetup>,
  workflow: RecoverWorkflow,
  statusOf: (result: RecoverResult) => ExitStatus,
): Promise<void> {
  const factsOf = beginRun();
  return driveVerb<RecoverEvent, RecoverResult & RunFacts>(options, context, {
    async *workflow(board, own) {
      const setup = await setUp(board, own);
      try {
        const result = yield* workflow(setup, own);
        const about = { address: formatAddress(setup.address), id: setup.identity.id };
        return { ...result, ...factsOf(about, setup.followed?.device) };
      } finally {
        await setup.close();
      }
    },
    step: stepOfRecover,
    row(result) {
      const { outcome, message, flash } = result;
      const hint = hintForBoard(result.board.address, result.hint);
      return {
        outcome,
        exitStatus: statusOf(result),
        message,
        ...(hint === undefined ? {} : { hint }),
        ...(flash?.version === undefined ? {} : { version: flash.version }),
      };
    },
  });
}
