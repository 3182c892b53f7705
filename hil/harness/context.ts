import { BootproofError, RequestTimeout, TransportError } from "bootproof";
import type { BoardUnderTest, Start } from "../board.js";
import type { Recorder } from "../evidence.js";
import type { ImageFactory } from "../images/image-factory.js";
import type { Snapshot } from "../snapshot.js";
import type { HarnessOptions } from "./options.js";
import type { Traits } from "./traits.js";

/** The least that tells how a board is, for when it is looked at a thousand times. */
export interface QuickCheck {
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
  /**
   * After how many starts the board is looked at, default 1. An image that ends by itself a moment after its start would
   * otherwise be seen in one run and not in the next. Boards whose log does not report starts are looked at immediately.
   */
  readonly starts?: number;
}

/** What the parts of a test stand share: the board, what is known of it, and where it is written down. */
export interface HarnessContext {
  readonly board: BoardUnderTest;
  readonly options: HarnessOptions;
  readonly traits: Traits;
  readonly factory: ImageFactory;
  /** How the board stood at the start. */
  readonly initial: Snapshot;
  /** Aborted by Ctrl-C, until the board is put back. */
  readonly signal: AbortSignal;
  readonly recorder: Recorder;
  note(message: string): void;
  /** Says that the board is no longer as it stood at the start. */
  touch(): void;
  /** What the board shows now. A board that restarts meanwhile is waited for; one that stays away is `silent`. */
  takeSnapshot(label: string): Promise<Snapshot>;
  /** One boot and what the board is afterwards. */
  boot(how?: Restart, label?: string, starts?: number): Promise<Snapshot>;
  /** Into serial recovery, unless it is there. */
  toRecovery(): Promise<void>;
  /** What was seen last before the last boot. */
  readonly beforeBoot: Snapshot | undefined;
}

/** Off and on, or a reset by button or by asking. */
export type Restart = "power" | "reset";

/** Firmware of the user's in an emulator of the user's. */
export function isMachine({ entry }: BoardUnderTest): boolean {
  return entry.reach.kind === "machine";
}

/** Emulated boards answer in a moment or never. */
const EMULATED_SILENCE_MS = 5000;

/** After so long without an answer a board is silent. */
export function silenceMs({ traits, board }: HarnessContext): number {
  return traits.canProgram ? EMULATED_SILENCE_MS : board.entry.startsWithinMs;
}

/** The board does not answer, or the way to it is gone: worth another look. */
export function isUnreachable(error: BootproofError): boolean {
  return error instanceof RequestTimeout || error instanceof TransportError || error.code === "away";
}

/** A board whose power nobody can switch is on. */
export function unlessUnable(error: unknown): void {
  if (!(error instanceof BootproofError) || error.code !== "unable") throw error;
}
