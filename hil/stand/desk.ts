import { type BootMode, BootproofError, type Key, RequestTimeout, TransportError } from "bootproof";
import type { LayoutFacts } from "../bench.js";
import type { BenchBoard, Start } from "../board.js";
import type { Recorder } from "../evidence.js";
import type { Forge } from "../forge.js";

/** A case cannot be judged: something it takes for granted is not so. The message says what. */
export class NotJudged extends BootproofError {
  declare readonly code: "not-judged";

  constructor(why: string) {
    super("not-judged", why);
  }
}

export interface StandOptions {
  readonly board: BenchBoard;
  readonly forge: Forge;
  readonly layout: LayoutFacts | undefined;
  /** From the bench; else what the board reports. */
  readonly mode: BootMode | undefined;
  /** How images get into the secondary slot where there is a choice. */
  readonly through: "smp" | "programmer";
  readonly seed: number;
  /** Power cuts per story and kind; random ones altogether. */
  readonly cuts: number;
  readonly randomCuts: number;
  /** How long a boot takes, about: moments of power cuts are chosen within it. */
  readonly bootMs: number;
  readonly keys: { readonly accepted: readonly NamedKey[]; readonly refused: readonly NamedKey[] };
  readonly onCut?: ((done: number, total: number) => void) | undefined;
  readonly signal: AbortSignal;
}

export interface NamedKey {
  readonly name: string;
  readonly key: Key;
}

/** The least that tells how a board is, for when it is looked at a thousand times. */
export interface Glance {
  readonly start: Start;
  readonly hash?: string | undefined;
  /** Stored security counter. */
  readonly counter?: number | undefined;
}

export interface OfferOptions {
  readonly what: string;
  /** Image number. */
  readonly image?: number;
  /** Ask for it for good instead of once. */
  readonly permanent?: boolean;
  readonly through?: "smp" | "programmer";
  readonly upgrade?: boolean;
  /** Leave it in the slot, not asked for. */
  readonly noRequest?: boolean;
}

/** What the parts of a stand share: the board, and where what is done and seen is written down. */
export interface Desk {
  readonly board: BenchBoard;
  readonly options: StandOptions;
  /** Aborted by Ctrl-C, until the board is put back. */
  readonly signal: AbortSignal;
  readonly recorder: Recorder;
  readonly canProgram: boolean;
  note(says: string): void;
  /** Says that the board is no longer as it stood at the start. */
  touch(): void;
}

/** Emulated boards answer in a moment or never. */
const EMULATED_SILENCE_MS = 5000;

/** After so long without an answer a board is silent. */
export function silenceMs({ canProgram, board }: Desk): number {
  return canProgram ? EMULATED_SILENCE_MS : board.entry.startsWithinMs;
}

/** The board does not answer, or the way to it is gone: worth another look. */
export function isLost(error: BootproofError): boolean {
  return error instanceof RequestTimeout || error instanceof TransportError || error.code === "away";
}

/** A board whose power nobody can switch is on. */
export function unlessUnable(error: unknown): void {
  if (!(error instanceof BootproofError) || error.code !== "unable") throw error;
}
