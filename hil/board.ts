import { BootproofError, type ByteStream } from "bootproof";
import type { BoardEntry } from "./board-files/board-entry.js";
import type { LogBuffer } from "./log-buffer.js";

/** What a board can be made to do besides speaking. A case names what it needs of this. */
export type Ability =
  /** A reset that asks nobody: a button, a probe. */
  | "reset"
  /** Power off and on. */
  | "power"
  /** Power can fail at a chosen flash operation. */
  | "cut"
  /** Its flash can be read and, while it is off, written: a programmer. */
  | "program"
  /** A log of its own, besides the SMP line. */
  | "log"
  /** A stretch of its flash can be made to fail. */
  | "break"
  /** Its log says when it has started, and as what: {@link BoardUnderTest.started} then waits for that. */
  | "tells-start"
  /** It forgets everything with its power: each power-on is a board from the factory. */
  | "forgets";

/** Power fails at flash operation `operation` after power-on (1 is the first), before it or in the middle of it. */
export interface CutPlan {
  readonly operation: number;
  readonly kind: "before" | "half-done";
}

/** What a started board is, as far as it can be told without asking it. */
export type Start = "application" | "recovery" | "cut" | "unknown";

/**
 * A board that is to be judged, of whatever kind. Each kind implements what it can; asking for more throws
 * {@link AbilityError}, so `can` is looked at first.
 */
export interface BoardUnderTest {
  readonly entry: BoardEntry;
  /** One line for people: what this is. */
  readonly summary: string;
  readonly can: ReadonlySet<Ability>;
  readonly log: LogBuffer;
  /** Opens the SMP line. */
  open(signal: AbortSignal | undefined): Promise<ByteStream>;
  powerOn(cut?: CutPlan): Promise<void>;
  powerOff(): Promise<void>;
  reset(): Promise<void>;
  readFlash(offset: number, length: number): Uint8Array;
  writeFlash(offset: number, bytes: Uint8Array): void;
  /**
   * Waits for the end of a boot that began after log line `from`, for boards whose log tells; others say `unknown` at
   * once. Also `unknown` when `withinMs` is over. `count`: the end of that many boots, one after the other.
   */
  started(from: number, withinMs: number, count?: number): Promise<Start>;
  /** Called when power failed by itself: a planned cut, or the emulator ended. Returns how to stop listening. */
  onPowerLost(listener: () => void): () => void;
  /** These bytes of its flash can be neither read nor changed by the board from its next start on; length 0 mends them. */
  breakFlash?(offset: number, length: number): void;
  /** The flash was seen to outlive the power of a board that was taken to forget it. */
  keepsFlash?(): void;
  close(): Promise<void>;
}

/** A board was asked for something it cannot do. */
export class AbilityError extends BootproofError {
  declare readonly code: "unable";

  constructor(entry: BoardEntry, ability: Ability) {
    super("unable", `Board ${entry.name} has no "${ability}".`);
  }
}

/** A board cannot be used at all; the message is the reason. */
export class UnusableBoard extends BootproofError {
  declare readonly code: "board-unusable";
}
