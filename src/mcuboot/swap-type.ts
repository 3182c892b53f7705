import type { FlagState, MagicState, TrailerState } from "./trailer.js";
import type { SwapMode } from "./upgrade-modes.js";

/** What a bootloader does to the two slots of an image at its next boot. */
export type SwapType = "none" | "test" | "perm" | "revert";

interface Pattern {
  readonly magic?: MagicState;
  readonly imageOk?: FlagState;
  readonly copyDone?: FlagState;
}

/** One row: what the trailers must be (left out: anything), and what follows. */
export interface SwapRule {
  readonly secondary: Pattern;
  readonly primary: Pattern;
  readonly type: SwapType;
  /** For people: what the trailers say. */
  readonly reason: string;
  /** Only in this mode. */
  readonly mode?: SwapMode;
}

/** MCUboot's boot_swap_tables (bootutil_public.c), read from the top; the first row that fits decides. */
export const SWAP_RULES: readonly SwapRule[] = [
  {
    mode: "swap-offset",
    secondary: { magic: "good", imageOk: "unset", copyDone: "set" },
    primary: {},
    type: "revert",
    reason: "a revert was begun and not finished",
  },
  {
    secondary: { magic: "good", imageOk: "unset" },
    primary: {},
    type: "test",
    reason: "the secondary slot asks for a test",
  },
  {
    secondary: { magic: "good", imageOk: "set" },
    primary: {},
    type: "perm",
    reason: "the secondary slot asks for a permanent upgrade",
  },
  {
    secondary: {},
    primary: { magic: "good", imageOk: "unset", copyDone: "set" },
    type: "revert",
    reason: "the running image was swapped in for a test and never confirmed",
  },
];

/**
 * What the trailers of a slot pair ask for. Whether it happens depends on the image: a secondary that does not validate
 * is erased and the old image boots.
 *
 * @param mode - of the bootloader
 * @param primary - by `parseTrailer`
 * @param secondary - by `parseTrailer`
 * @returns the swap, and the rule that decides it in words
 */
export function decideSwapType(
  mode: SwapMode,
  primary: TrailerState,
  secondary: TrailerState,
): { readonly type: SwapType; readonly reason: string } {
  const rule = SWAP_RULES.find(
    (row) =>
      (row.mode === undefined || row.mode === mode) &&
      fits(row.secondary, secondary) &&
      fits(row.primary, primary),
  );
  return rule ?? { type: "none", reason: "no trailer asks for a change" };
}

/**
 * Does the application count as confirmed? A primary without magic was never swapped in and has nothing to confirm.
 *
 * @param primary - by `parseTrailer`
 * @returns true when nothing would be reverted
 */
export function isConfirmed(primary: TrailerState): boolean {
  return primary.magic !== "good" || primary.imageOk === "set";
}

function fits(pattern: Pattern, state: TrailerState): boolean {
  const { magic, imageOk, copyDone } = pattern;
  return (
    (magic === undefined || magic === state.magic) &&
    (imageOk === undefined || imageOk === state.imageOk) &&
    (copyDone === undefined || copyDone === state.copyDone)
  );
}
