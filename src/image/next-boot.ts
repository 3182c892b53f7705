import { IMAGE_F } from "./header.js";
import type { Image } from "./image.js";
import type { Slot } from "./slot.js";
import { decideSwapType, isConfirmed, type SwapMode, type SwapType } from "./swap-type.js";
import type { Verdict } from "./verify.js";
import { formatVersion } from "./version.js";

/** A slot and, if its image was checked, what came of it. */
export interface CheckedSlot {
  readonly slot: Slot;
  readonly verdict?: Verdict;
}

/** What happens to the two slots of an image when the board is reset. */
export interface NextBoot {
  /** What the trailers ask for; `resumed` when a swap was cut short and goes on. */
  readonly swapType: SwapType;
  readonly resumed: boolean;
  /** Why, from the trailers. */
  readonly because: string;
  /**
   * `swap`: the slots are exchanged, or overwritten; `keep`: nothing changes; `drop`: the request is taken back and the
   * old image runs; `erase`: so is it, and the secondary is erased; `stuck`: no image starts.
   */
  readonly outcome: "swap" | "keep" | "drop" | "erase" | "stuck";
  /** Sentences for people, in the order of events. */
  readonly story: readonly string[];
}

/**
 * What MCUboot does at the next boot with these two slots, and why (bootutil_public.c, loader.c; corrections from
 * recordings of it). Where a slot's image was not checked, the story says on what it depends.
 */
export function nextBoot(mode: SwapMode, primary: CheckedSlot, secondary: CheckedSlot): NextBoot {
  const cut = interrupted(mode, primary.slot, secondary.slot);
  const asked = cut ?? decideSwapType(mode, primary.slot.trailer, secondary.slot.trailer);
  const result = (outcome: NextBoot["outcome"], ...story: string[]): NextBoot => ({
    swapType: asked.type,
    resumed: cut !== undefined,
    because: asked.because,
    outcome,
    story,
  });
  if (cut)
    return result("swap", "The swap goes on where it stopped; which image runs then depends on its kind.");
  if (asked.type === "none") return afterNothing(primary, result);
  const obstacle = obstacleTo(mode, asked.type, primary, secondary);
  if (obstacle) return result(obstacle.outcome, obstacle.why, ...startOf(obstacle.outcome, primary));
  return result("swap", ...swapStory(mode, asked.type, secondary));
}

type Result = (outcome: NextBoot["outcome"], ...story: string[]) => NextBoot;

/** A swap that was cut short in these modes notes its kind in the primary's trailer. */
function interrupted(mode: SwapMode, primary: Slot, secondary: Slot) {
  const { magic, copyDone, swapInfo } = primary.trailer;
  if (mode !== "swap-move" && mode !== "swap-offset") return undefined;
  if (magic !== "good" || copyDone !== "unset" || secondary.trailer.magic === "good") return undefined;
  const type = swapInfo?.type ?? "none";
  if (type === "none") return undefined;
  return { type, because: "the primary's trailer notes a swap that has begun and not ended" };
}

function afterNothing(primary: CheckedSlot, result: Result): NextBoot {
  const problem = problemOf(primary);
  if (problem)
    return result("stuck", `No image starts: ${problem}. There is no falling back to the secondary.`);
  const unconfirmed = isConfirmed(primary.slot.trailer) ? "" : ", not confirmed, and nothing will revert it";
  return result("keep", `${named(primary, "The image")} in the primary runs on${unconfirmed}.`);
}

interface Obstacle {
  readonly outcome: "drop" | "erase" | "stuck";
  readonly why: string;
}

/** What stands between a request and its swap. */
function obstacleTo(
  mode: SwapMode,
  type: SwapType,
  primary: CheckedSlot,
  secondary: CheckedSlot,
): Obstacle | undefined {
  const { slot, verdict } = secondary;
  const moves = mode === "swap-move" || mode === "swap-offset";
  if (moves && !primary.slot.image)
    return {
      outcome: "stuck",
      why: "The primary holds no readable image, and this mode does not update without one.",
    };
  if (!slot.image && slot.empty)
    return mode === "overwrite-only"
      ? { outcome: "drop", why: "The secondary is empty; the request stays and waits for an image." }
      : { outcome: "drop", why: "The secondary is empty; its trailer is erased." };
  if (mode === "swap-offset" && type !== "revert" && slot.imageOffset === 0)
    return {
      outcome: "erase",
      why: "The image is in the first sector of the secondary, where this mode keeps backups; it is erased.",
    };
  if (!slot.image)
    return {
      outcome: "erase",
      why: `The secondary is refused and erased: ${slot.problem?.message ?? "no image"}`,
    };
  if ((slot.image.header.flags & IMAGE_F.NON_BOOTABLE) !== 0)
    return {
      outcome: "drop",
      why: "The image in the secondary is flagged NON_BOOTABLE; its trailer is erased.",
    };
  const failed = verdict?.checks.find(({ result }) => result === "fail");
  if (failed)
    return { outcome: "erase", why: `The image in the secondary is refused and erased: ${failed.sentence}` };
  return undefined;
}

function startOf(outcome: Obstacle["outcome"], primary: CheckedSlot): string[] {
  if (outcome === "stuck") return ["No image starts until the primary holds one."];
  const problem = problemOf(primary);
  return [problem ? `No image starts: ${problem}.` : `${named(primary, "The old image")} runs on.`];
}

const ENDINGS: Readonly<Record<"test" | "perm" | "revert", string>> = {
  test: "Unless it is confirmed, the next boot brings the old image back.",
  perm: "It stays.",
  revert: "It counts as confirmed.",
};

function swapStory(mode: SwapMode, type: SwapType, secondary: CheckedSlot): string[] {
  const image = named(secondary, "The image");
  const checked = secondary.verdict
    ? []
    : ["The image in the secondary is checked first; if it fails, it is erased."];
  if (mode === "overwrite-only")
    return [...checked, `${image} is copied over the primary and runs. There is no way back.`];
  return [
    ...checked,
    `${image} is swapped into the primary and runs.`,
    ENDINGS[type as "test" | "perm" | "revert"],
  ];
}

function problemOf({ slot, verdict }: CheckedSlot): string | undefined {
  if (!slot.image) return slot.empty ? "the primary is empty" : "the primary holds no readable image";
  const failed = verdict?.checks.find(({ result }) => result === "fail");
  return failed && `the primary's image is refused (${failed.sentence.replace(/\.$/, "")})`;
}

function named({ slot }: CheckedSlot, what: string): string {
  return slot.image ? `${what} ${versionOf(slot.image)}` : what;
}

function versionOf(image: Image): string {
  return formatVersion(image.version);
}
