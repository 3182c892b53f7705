import type { Key } from "bootproof";
import type { UpgradeMode } from "bootproof/mcuboot";
import type { BoardUnderTest } from "../board.js";
import type { RecorderOptions } from "../evidence.js";
import type { FlashLayout } from "../flash-layout.js";
import type { ImageFactory } from "../images/image-factory.js";

/** What a board on its test stand is given for a run. */
export interface HarnessOptions {
  readonly board: BoardUnderTest;
  readonly factory: ImageFactory;
  readonly layout: FlashLayout | undefined;
  /** From the board file; else what the board reports. */
  readonly mode: UpgradeMode | undefined;
  /** The board file claims that the bootloader unpacks compressed images. */
  readonly decompresses: boolean;
  /** How images get into the secondary slot where there is a choice. */
  readonly through: "smp" | "programmer";
  readonly seed: number;
  /** Power cuts per scenario and kind; random ones altogether. */
  readonly cuts: number;
  readonly randomCuts: number;
  /** How long a boot takes, about: moments of power cuts are chosen within it. */
  readonly bootMs: number;
  readonly keys: { readonly accepted: readonly NamedKey[]; readonly refused: readonly NamedKey[] };
  /** What is kept of each case beyond what a report needs. */
  readonly record?: RecorderOptions | undefined;
  readonly onCut?: ((done: number, total: number) => void) | undefined;
  readonly signal: AbortSignal;
}

export interface NamedKey {
  readonly name: string;
  readonly key: Key;
}
