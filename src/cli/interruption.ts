import type { AnyCommand } from "../smp/command.js";
import { isGoneAfterwards } from "./emulated-hint.js";
import { latestProgress } from "./output.js";

/** What Ctrl-C leaves on a board, and how to go on from there. */
export interface Interruption {
  readonly message: string;
  readonly hint?: string;
}

type Request = Readonly<Record<string, unknown>>;

/** The last thing a board was asked to change. Bytes are those that it has acknowledged. */
type Change =
  | { readonly kind: "image" | "file"; readonly name: string; readonly bytes: number; readonly total: number }
  | { readonly kind: "marked" | "confirmed" | "restarting" | "new-image-started" }
  /** Something was written that this program cannot follow further. */
  | { readonly kind: "sent"; readonly command: string; readonly isAnswered: boolean };

interface Watched {
  readonly board: string;
  change?: Change;
}

/** Commands that are sent as writes and change nothing. Group and id. */
const HARMLESS: ReadonlySet<string> = new Set(["0/0", "0/1", "0/6", "0/7", "8/1", "8/2", "8/4"]);

let boards: Watched[] = [];

/** A new run begins: no board has been asked for anything. */
export function forgetChanges(): void {
  boards = [];
}

/** Follows the commands of one board, so that {@link describeInterruption} can tell where it stands. */
export function followChanges(board: string) {
  const watched: Watched = { board };
  boards.push(watched);
  return (command: AnyCommand, request: unknown, answer: Promise<unknown>): void => {
    const key = `${command.group}/${command.id}`;
    if (command.op !== "write" || HARMLESS.has(key)) return;
    const fields = (request ?? {}) as Request;
    if (key === "1/1" || key === "8/0") {
      followUpload(watched, key === "1/1", fields, answer);
      return;
    }
    const before = watched.change;
    const sent: Change = { kind: "sent", command: command.name, isAnswered: false };
    watched.change = sent;
    answer.then(
      () => {
        if (watched.change === sent) watched.change = afterAnswer(key, fields, command, before);
      },
      // Refused: nothing has changed. Not answered: it stays unknown.
      (error: { code?: string }) => {
        if (watched.change !== sent) return;
        // A board often restarts before its answer has left.
        if (key === "0/5") watched.change = afterAnswer(key, fields, command, before);
        else if (error.code === "smp-error" || error.code === "group-error") setChange(watched, before);
      },
    );
  };
}

function setChange(watched: Watched, change: Change | undefined): void {
  if (change === undefined) delete watched.change;
  else watched.change = change;
}

function followUpload(
  watched: Watched,
  isImage: boolean,
  { off, len, name }: Request,
  answer: Promise<unknown>,
): void {
  const kind = isImage ? "image" : "file";
  if (off === 0 && typeof len === "number")
    watched.change = { kind, name: isImage ? "the image" : `${name as string}`, bytes: 0, total: len };
  answer.then(
    (response) => {
      const reached = (response as Request).off;
      const { change } = watched;
      if (change?.kind === kind && typeof reached === "number" && reached > change.bytes)
        watched.change = { ...change, bytes: reached };
    },
    // Lost chunks are sent again, and what the board refuses the verb itself reports.
    () => undefined,
  );
}

function afterAnswer(key: string, fields: Request, command: AnyCommand, before: Change | undefined): Change {
  if (key === "1/0") return { kind: fields.confirm === true ? "confirmed" : "marked" };
  if (key === "0/5") {
    const isUpdate = before?.kind === "marked" || before?.kind === "image";
    return { kind: isUpdate ? "new-image-started" : "restarting" };
  }
  return { kind: "sent", command: command.name, isAnswered: true };
}

const REPEAT = "Repeat the same command to continue.";

/** The state of a board, and what to try next: nothing where the board has ended with the command. */
function describeBoard({ board, change }: Watched): { message: string; hint?: string } {
  const described = describe(change);
  return isGoneAfterwards(board) ? { message: described.message } : described;
}

/** Where every board of this run stands. */
export function describeInterruption(): Interruption {
  const [only, ...others] = boards;
  if (only === undefined) return describeProgress();
  if (others.length === 0) {
    const { message, hint } = describeBoard(only);
    return { message: `interrupted. ${message}`, ...(hint === undefined ? {} : { hint }) };
  }
  const lines = boards.map((watched) => `${watched.board}: ${describeBoard(watched).message}`);
  const hint = boards.map((watched) => describeBoard(watched).hint).find((one) => one !== undefined);
  return { message: `interrupted. ${lines.join(" ")}`, ...(hint === undefined ? {} : { hint }) };
}

/** Where the board is not reached by SMP: USB DFU, ROM bootloaders, debug probes. */
function describeProgress(): Interruption {
  const progress = latestProgress();
  if (progress === undefined) return { message: "interrupted" };
  const { label, done, total, unit } = progress;
  return { message: `interrupted while ${label}: ${done} of ${total} ${unit} done.`, hint: REPEAT };
}

function describe(change: Change | undefined): { message: string; hint?: string } {
  switch (change?.kind) {
    case undefined:
      return { message: "Nothing was changed on the board." };
    case "image":
      return change.bytes < change.total
        ? {
            message: `The board has ${change.bytes} of ${change.total} bytes of the image and has not been asked to start it.`,
            hint: "Repeat the same command to continue the upload from there.",
          }
        : {
            message: `The board has all ${change.total} bytes of the image and has not been asked to start it.`,
            hint: REPEAT,
          };
    case "file":
      return change.bytes < change.total
        ? {
            message: `The board has ${change.bytes} of ${change.total} bytes of ${change.name}.`,
            hint: "Repeat the same command to continue the transfer from there.",
          }
        : { message: `The board has all ${change.total} bytes of ${change.name}; they were not compared.` };
    case "marked":
      return {
        message: "The new image is on the board and marked: the next restart starts it on trial.",
        hint: REPEAT,
      };
    case "new-image-started":
      return {
        message: "The board was restarted to start the new image, which is not confirmed.",
        hint: "Repeat the same command to check and confirm it, or run bootproof info to see which image runs. Do not switch the power off while the board swaps images.",
      };
    case "restarting":
      return { message: "The board was restarted.", hint: "bootproof info shows whether it is back." };
    case "confirmed":
      return { message: "The image is confirmed.", hint: "bootproof info shows which image runs." };
    case "sent":
      return change.isAnswered
        ? { message: `The last change on the board was: ${change.command}.` }
        : {
            message: `The board was sent "${change.command}" and has not answered: it may still carry it out.`,
          };
  }
}
