import type { ProofEvent } from "bootproof/prove";
import type { RecoverEvent } from "../../recovery/recover-events.js";
import type { FlashEvent } from "../../update/flash.js";
import type { ImagesEvent } from "../../update/images-events.js";

/** What an event of a workflow means for a board's line or tile. Nothing in it: it need not be shown. */
export interface BoardStep {
  /** What the board does now, in a word or two. */
  readonly step?: string;
  /** How far it is with that. */
  readonly progress?: { readonly done: number; readonly total: number };
  /** Sentences that somebody should read. */
  readonly notes?: readonly string[];
}

const FLASH_STEPS: Readonly<Partial<Record<FlashEvent["step"], string>>> = {
  board: "preflight",
  marked: "marked",
  reset: "restarting",
  // Not "away": that comes with a restart, which has its own word, or after a lost link.
  "link-lost": "link lost",
  back: "observing",
  health: "health",
  confirmed: "confirmed",
  settled: "settled",
};

export function stepOfFlash(event: ImagesEvent): BoardStep {
  if (event.step === "image") return { notes: [`image ${event.image}: ${event.name}`] };
  if (event.step === "sent") return { step: "uploading", progress: { done: event.sent, total: event.total } };
  const step = FLASH_STEPS[event.step];
  const notes = notesOf(event);
  return { ...(step === undefined ? {} : { step }), ...(notes.length > 0 && { notes }) };
}

function notesOf(event: FlashEvent): string[] {
  switch (event.step) {
    case "preflight":
      return event.checks
        .filter(({ result }) => result === "fail")
        .map(({ name, message }) => `FAIL ${name}: ${message}`);
    case "restarted":
      return ["The board restarted by itself."];
    case "sent-again":
      return [`The slot contained this file already, but it cannot be marked: ${event.why}`];
    case "health":
      return event.ok ? [] : [`FAIL health: ${event.name}: ${event.message}`];
    case "link-lost":
      return [`The link was lost: ${event.why} Waiting for the board...`];
    default:
      return [];
  }
}

export function stepOfRecover(event: RecoverEvent): BoardStep {
  switch (event.step) {
    case "file":
    case "found":
      return { step: "looking" };
    case "alive":
      return { notes: [`alive: ${event.message}`] };
    case "method":
      return { step: "entering", notes: [`${event.method.name}: ${event.method.summary}`] };
    case "failed":
      return { notes: [`${event.method} failed: ${event.why}`] };
    case "again":
      return { notes: [`Starting again from the beginning: ${event.why}`] };
    case "in-recovery":
      return { step: "recovery" };
    case "writing":
      return { step: "writing", progress: { done: event.done, total: event.total } };
    case "passed-over":
    case "written":
      return {};
    default:
      return stepOfFlash(event);
  }
}

export function stepOfProof(event: ProofEvent): BoardStep {
  switch (event.kind) {
    case "board":
      return { step: "preparing" };
    case "case":
      return {
        step: event.id,
        ...(event.spends !== undefined && { notes: [`${event.id}: ${event.spends}`] }),
      };
    case "cut":
      return { step: "power cuts", progress: { done: event.done, total: event.total } };
    case "result": {
      const { id, verdict, observed } = event.result;
      return verdict === "does-not-hold" ? { notes: [`does not hold: ${id}: ${observed}`] } : {};
    }
    case "put-back":
      return event.ok ? { step: "put back" } : { notes: [`NOT PUT BACK: ${event.message}`] };
  }
}
