import type { FlagState, MagicState, SwapInfoType } from "./trailer.js";

/** Whose trailer is written to: the slot that runs, or the other one. */
export type SetNextTarget = "active" | "inactive";

/** One row: what the trailer must be (left out: anything), what is asked, and what is written in this order. */
export interface SetNextRule {
  readonly target: SetNextTarget;
  readonly magic: MagicState;
  readonly imageOk?: FlagState;
  /** `true`: make it permanent, or confirm what runs. `false`: try it once. */
  readonly confirm?: boolean;
  readonly writes: readonly TrailerWrite[];
  /** MCUboot's number of the error (bootutil_public.h): 3 BADIMAGE, 4 BADVECT. Absent: it answers that all is well. */
  readonly error?: 3 | 4;
  readonly reason: string;
}

export type TrailerWrite =
  | { readonly field: "magic" }
  | { readonly field: "imageOk" }
  | { readonly field: "swapInfo"; readonly type: SwapInfoType };

const MAGIC = { field: "magic" } as const;
const IMAGE_OK = { field: "imageOk" } as const;
const swapInfo = (type: SwapInfoType) => ({ field: "swapInfo", type }) as const;

/**
 * MCUboot's boot_set_next (bootutil_public.c) for swap modes and overwrite-only: what the application, serial recovery
 * and a host with a programmer do to ask for an image or to confirm it. Read from the top; the first row that fits.
 */
export const SET_NEXT_RULES: readonly SetNextRule[] = [
  {
    target: "active",
    magic: "good",
    imageOk: "unset",
    writes: [IMAGE_OK],
    reason: "the running image is confirmed, whether that was asked for or not",
  },
  { target: "active", magic: "good", writes: [], reason: "the running image is confirmed already" },
  {
    target: "active",
    magic: "unset",
    writes: [],
    reason: "the running image was never swapped in and counts as confirmed",
  },
  {
    target: "active",
    magic: "bad",
    writes: [],
    error: 4,
    reason: "the running slot's magic is not known",
  },
  {
    target: "inactive",
    magic: "unset",
    confirm: false,
    writes: [MAGIC, swapInfo("test")],
    reason: "the image is asked for, once",
  },
  {
    target: "inactive",
    magic: "unset",
    confirm: true,
    // Three writes: cut after the first, it is a request for a test.
    writes: [MAGIC, IMAGE_OK, swapInfo("perm")],
    reason: "the image is asked for, to stay",
  },
  {
    target: "inactive",
    magic: "good",
    writes: [],
    reason: "an image is asked for already, and the first request stands: a test does not become permanent",
  },
  { target: "inactive", magic: "bad", writes: [], error: 3, reason: "the slot's magic is not known" },
];

/**
 * What a request does to a trailer.
 *
 * @param target - which slot is asked for, and whether it runs
 * @param trailer - its state
 * @param confirm - for good instead of once
 * @returns what is written, or why nothing is
 */
export function decideSetNext(
  target: SetNextTarget,
  trailer: { readonly magic: MagicState; readonly imageOk: FlagState },
  confirm: boolean,
): SetNextRule {
  return SET_NEXT_RULES.find(
    (rule) =>
      rule.target === target &&
      rule.magic === trailer.magic &&
      (rule.imageOk === undefined || rule.imageOk === trailer.imageOk) &&
      (rule.confirm === undefined || rule.confirm === confirm),
  )!;
}
