import type { Image } from "../../mcuboot/image.js";
import {
  flashTogether,
  type JointBoard,
  type JointEnding,
  type JointState,
  type JointTask,
  type TogetherEvent,
  type TogetherOutcome,
  type TogetherResult,
} from "../../station/together.js";
import type { FlashResult } from "../../update/flash.js";
import type { Context } from "../context.js";
import type { ExitStatus } from "../exit.js";
import { type OpenBoard, openBoard } from "../open-board.js";
import { type Output, printable, prose, table, tone } from "../output.js";
import { UsageError } from "../usage-error.js";
import { showStep } from "./board-lines.js";
import { type ChosenBoard, chooseBoards } from "./choose-boards.js";
import { commonOf, linesOf, mustSuitSeveral, outputOf } from "./drive-verb.js";
import type { FlashBoardsOptions, FlashWorkflow } from "./flash-boards.js";
import { stepOfFlash } from "./steps.js";

export interface FlashTogetherOptions extends FlashBoardsOptions {
  image?: number | undefined;
  isolate?: string[];
  confirm?: boolean;
  dryRun?: boolean;
}

/** What a joint update came to, in words. */
const TOGETHER_OUTCOMES: Readonly<
  Record<TogetherOutcome, { status: ExitStatus; message: string; hint?: string }>
> = {
  committed: { status: 0, message: "All boards run the new image, confirmed." },
  isolated: {
    status: 65,
    message: "All boards run the new image, confirmed, but those that may stay behind and did not pass.",
    hint: "Check the boards that stayed behind, then repeat the command.",
  },
  refused: { status: 61, message: "Not every board can take the image; nothing was sent to any." },
  reverted: { status: 62, message: "Not every board passed: all run their old images again." },
  "not-reverted": {
    status: 63,
    message: "Not every board passed, and at least one is not proven to run its old image again.",
    hint: "Bring that board back, then repeat the command: it finishes or reverts what it finds.",
  },
  "partly-committed": {
    status: 64,
    message: "The new image is confirmed on some boards and not on others. The only way is forward.",
    hint: "Bring the other boards back, then repeat the command: boards that have the image are left alone.",
  },
};

/** The words for an outcome. Boards that ran the image before are not said to have been given it. */
export function wordsOfOutcome({ outcome, boards }: Pick<TogetherResult, "outcome" | "boards">): {
  readonly status: ExitStatus;
  readonly message: string;
  readonly hint?: string;
} {
  const words = TOGETHER_OUTCOMES[outcome];
  const why = boards.find(({ notTaken }) => notTaken !== undefined)?.notTaken;
  if (outcome !== "committed" || why === undefined) return words;
  return {
    status: words.status,
    message: `All boards ran their image before, confirmed; nothing was sent. The preflight refuses it now: ${why}`,
  };
}

/** Opens a board of a joint update, with the workflow of its own update. */
export type OpenJoint = (
  board: ChosenBoard,
  workflow: FlashWorkflow,
  stop: AbortSignal,
) => Promise<JointBoard>;

/** Updates several boards so that all or none keep the image. */
export async function flashBoardsTogether(
  options: FlashTogetherOptions,
  context: Context,
  image: Image,
  workflow: FlashWorkflow,
  attest?: AttestJoint,
): Promise<void> {
  const { signal } = context;
  const seen = new Map<string, SeenBoard>();
  const noting = (name: string): FlashWorkflow =>
    async function* (opened, change) {
      const result = yield* workflow(opened, change);
      const { identity, audit } = opened;
      seen.set(name, { identity, audit, first: seen.get(name)?.first ?? result });
      return result;
    };
  const hash = hashFor(options, image);
  const boards = await chooseBoards(options, context);
  const isolated = options.isolate ?? [];
  const stranger = isolated.find((name) => !boards.some((board) => board.name === name));
  if (stranger !== undefined)
    throw new UsageError(
      `--isolate names "${stranger}", which is not one of the boards.`,
      `The boards: ${boards.map(({ name }) => name).join(", ")}.`,
    );
  const { wait: withinMs } = options;
  const result = await driveTogether(options, context, boards, (open) => {
    const tasks = boards.map(
      (board): JointTask => ({
        name: board.name,
        mayStayBehind: isolated.includes(board.name),
        open: (stop) => open(board, noting(board.name), stop),
      }),
    );
    return flashTogether(tasks, { hash, imageNumber: options.image, signal, withinMs });
  });
  if (attest)
    for (const ending of result.boards) {
      const board = seen.get(ending.board);
      if (board) await attest(board, ending, result);
      else context.out.warn(`${printable(ending.board)} did not answer: there is no statement of it.`);
    }
  finishTogether(result, context.out);
}

/** A board of a joint update that answered. */
export interface SeenBoard extends Pick<OpenBoard, "identity" | "audit"> {
  /** Of its preflight. */
  readonly first: FlashResult;
}

/** Writes the statement of one board of a joint update. */
export type AttestJoint = (board: SeenBoard, ending: JointEnding, all: TogetherResult) => Promise<void>;

/** Runs a joint update and draws what happens. `start` gets what opens a board. */
export async function driveTogether<Result>(
  options: FlashTogetherOptions,
  context: Context,
  boards: readonly ChosenBoard[],
  start: (open: OpenJoint) => AsyncGenerator<TogetherEvent, Result, void>,
): Promise<Result> {
  const { out } = context;
  mustSuitSeveral(options);
  const lines = linesOf(boards, options, out);
  const { wait: withinMs } = options;
  const open: OpenJoint = async (board, workflow, stop) => {
    const own = { ...context, signal: stop, out: outputOf(board, lines, out) };
    const opened = await openBoard(board.address, commonOf(options), own, { withinMs, name: board.name });
    return {
      session: opened.session,
      close: () => opened.close(),
      update: (change) => workflow(opened, change),
    };
  };
  const show = (event: TogetherEvent) => {
    if (out.json) return out.line(event, "");
    if (event.kind === "event") {
      out.event(event.event, event.board);
      return showStep(lines, event.board, stepOfFlash(event.event));
    }
    out.event(event);
    for (const { name } of boards) lines.step(name, event.phase);
  };
  const job = start(open);
  try {
    for (let next = await job.next(); ; next = await job.next()) {
      if (next.done) return next.value;
      show(next.value);
    }
  } finally {
    lines.settle();
  }
}

function hashFor({ confirm, dryRun }: FlashTogetherOptions, image: Image): Uint8Array {
  if (confirm === false || dryRun)
    throw new UsageError(
      "--together decides by itself what is confirmed.",
      "Omit --no-confirm and --dry-run, or omit --together.",
    );
  if (image.imageHash === undefined)
    throw new UsageError("--together needs an image with a hash, to ask boards for it.", "Sign the image.");
  return image.imageHash.value;
}

const TONES: Readonly<Record<JointState, "good" | "bad" | "warn">> = {
  confirmed: "good",
  "old-image": "warn",
  "on-trial": "bad",
  marked: "bad",
  unknown: "bad",
};

/** Tells what came of it, and chooses the exit status. */
export function finishTogether({ outcome, boards }: TogetherResult, out: Output): void {
  const { status, message, hint } = wordsOfOutcome({ outcome, boards });
  const rows = boards.map(({ board, state, version = "-", failure = "" }) => [
    printable(board),
    tone(TONES[state], state),
    printable(version),
    printable(failure),
  ]);
  const verdict = tone(status === 0 ? "good" : "bad", `${outcome}: ${printable(message)}`);
  const text = [table(["BOARD", "STATE", "RUNS", "WHAT WENT WRONG"], rows), verdict];
  if (hint !== undefined) text.push(`  try: ${hint}`);
  if (out.json) out.line({ kind: "summary", outcome, exitStatus: status, message, hint, boards }, "");
  else out.result(undefined, prose(text.join("\n")));
  process.exitCode = status;
}
