import {
  type BootPolicy,
  type CheckedSlot,
  isCompressed,
  type NextBoot,
  openVerdicts,
} from "./boot-prediction.js";
import { COMPRESSION_FLAGS, statedUnpacked } from "./compression.js";
import { IMAGE_F } from "./header.js";
import type { Image } from "./image.js";
import { largestImage } from "./largest-image.js";
import { nextBootWithoutSwap } from "./next-boot-without-swap.js";
import type { Slot } from "./slot.js";
import { decideSwapType, isConfirmed, type SwapType } from "./swap-type.js";
import { type SwapMode, swapModeOf, type UpgradeMode, upgradeMode } from "./upgrade-modes.js";
import { compareVersions, formatVersion } from "./version.js";

export type { BootPolicy, CheckedSlot, NextBoot } from "./boot-prediction.js";

/**
 * What MCUboot does at the next boot with these two slots, and why (bootutil_public.c, loader.c; corrections from
 * recordings of it). Where a slot's image was not checked, the steps say on what it depends.
 *
 * @param mode - of the bootloader
 * @param primary - by {@link parseSlot}, with a verdict where its image was checked
 * @param secondary - the same
 * @param policy - what else the bootloader was built with
 * @returns what the trailers ask for, what comes of it, and why in sentences
 *
 * @example
 * ```ts
 * import { generateKey, signImage, verifyImage } from "bootproof";
 * import { nextBoot, parseSlot } from "bootproof/mcuboot";
 * const common = { key: await generateKey("ed25519"), headerSize: 32, padHeader: true, slotSize: 0x8000 };
 * const old = await signImage(new Uint8Array(512), { ...common, version: "1.0.0", trailer: "confirmed" });
 * const update = await signImage(new Uint8Array(512), { ...common, version: "2.0.0", trailer: "test" });
 * const keys = [common.key.publicKey];
 * const look = async ({ bytes }: { bytes: Uint8Array }) => ({
 *   slot: parseSlot(bytes),
 *   verdict: await verifyImage(bytes, { keys }),
 * });
 * const { swapType, outcome } = nextBoot("swap-move", await look(old), await look(update));
 * if (swapType !== "test" || outcome !== "swap") throw new Error(`${swapType}: ${outcome}`);
 * ```
 */
export function nextBoot(
  mode: UpgradeMode,
  primary: CheckedSlot,
  secondary: CheckedSlot,
  policy: BootPolicy = {},
): NextBoot {
  const swapMode = swapModeOf(mode);
  if (swapMode === undefined) return nextBootWithoutSwap(mode, primary, secondary, policy);
  return nextSwap(swapMode, primary, secondary, policy);
}

function nextSwap(
  mode: SwapMode,
  primary: CheckedSlot,
  secondary: CheckedSlot,
  policy: BootPolicy,
): NextBoot {
  const cut = interrupted(mode, primary.slot, secondary.slot);
  const asked = cut ?? decideSwapType(mode, primary.slot.trailer, secondary.slot.trailer);
  const result = (outcome: NextBoot["outcome"], ...steps: string[]): NextBoot => ({
    swapType: asked.type,
    resumed: cut !== undefined,
    reason: asked.reason,
    outcome,
    steps,
    starts: outcome === "stuck" || (outcome !== "swap" && problemOf(primary, policy)) ? "none" : "primary",
    dependsOn: openQuestions(mode, asked.type, primary, secondary, policy),
  });
  if (cut)
    return result(
      "swap",
      "The swap continues where it stopped; which image runs then depends on the swap type.",
    );
  if (policy.bootstraps && isBootstrapped(mode, primary, secondary, policy))
    return result(
      "swap",
      `${named(secondary, "The image")} in the secondary replaces the primary, which cannot start (bootstrap). It counts as confirmed.`,
    );
  if (asked.type === "none") return afterNothing(primary, policy, result);
  const obstacle = obstacleTo(mode, asked.type, primary, secondary, policy);
  if (obstacle) return result(obstacle.outcome, obstacle.why, ...startOf(obstacle.outcome, primary, policy));
  return result("swap", ...swapSteps(mode, asked.type, secondary));
}

type Result = (outcome: NextBoot["outcome"], ...steps: string[]) => NextBoot;

/** A swap that was cut short in these modes notes its kind in the primary's trailer. */
function interrupted(mode: SwapMode, primary: Slot, secondary: Slot) {
  const { magic, copyDone, swapInfo } = primary.trailer;
  if (upgradeMode(mode).swap?.progressIn !== "primary") return undefined;
  if (magic !== "good" || copyDone !== "unset" || secondary.trailer.magic === "good") return undefined;
  const type = swapInfo?.type ?? "none";
  if (type === "none") return undefined;
  return { type, reason: "the primary's trailer records a swap that has begun but not ended" };
}

/** What is not told and may change the prediction. */
function openQuestions(
  mode: SwapMode,
  type: SwapType,
  primary: CheckedSlot,
  secondary: CheckedSlot,
  policy: BootPolicy,
): string[] {
  const [old, next] = [primary.slot.image, secondary.slot.image];
  const asks = type === "test" || type === "perm";
  const isLower = asks && old && next && compareVersions(next.version, old.version) < 0;
  const problem = problemOf(primary, policy);
  const checked = [
    ...(policy.validatesPrimary === false ? [] : [primary]),
    ...(asks || policy.bootstraps ? [secondary] : []),
  ];
  const counted = [old, asks ? next : undefined].some((image) => image?.securityCounter !== undefined);
  return [
    ...openVerdicts(checked),
    ...(asks && isUnpackable(mode, secondary) && policy.decompresses === undefined
      ? ["whether the bootloader decompresses images (--decompresses, or --no-decompresses)"]
      : []),
    ...(problem && policy.bootstraps === undefined && isBootstrapped(mode, primary, secondary, policy)
      ? ["whether the bootloader replaces a primary that cannot start (--bootstrap, or --no-bootstrap)"]
      : []),
    ...(problem && old && policy.validatesPrimary === undefined
      ? ["whether the bootloader checks the primary (--validate-primary, or --no-validate-primary)"]
      : []),
    ...(isLower && policy.preventsDowngrade === undefined
      ? ["whether the bootloader prevents downgrades (--prevent-downgrade, or --no-prevent-downgrade)"]
      : []),
    ...(counted && !policy.knowsStoredCounter ? ["the stored security counter (--stored-counter)"] : []),
    ...(asks && old && policy.geometry === undefined
      ? ["whether the running image leaves enough room for the swap (--sector-size)"]
      : []),
  ];
}

/** An image that would start where the primary does not: there is none, it is refused, or flagged NON_BOOTABLE. */
function isBootstrapped(
  mode: SwapMode,
  primary: CheckedSlot,
  secondary: CheckedSlot,
  policy: BootPolicy,
): boolean {
  const { image } = secondary.slot;
  return (
    problemOf(primary, policy) !== undefined && image !== undefined && !refusalOf(mode, secondary, policy)
  );
}

function refusalOf(mode: SwapMode, secondary: CheckedSlot, policy: BootPolicy): string | undefined {
  const { slot, verdict } = secondary;
  if (isNonBootable(slot)) return "it is flagged NON_BOOTABLE";
  return packedProblem(mode, secondary, policy) ?? failureIn(verdict);
}

/** May stand beside the kind of compression. */
const FILTER = IMAGE_F.COMPRESSED_ARM_THUMB_FLT;

/** The one mode in which nothing has to be kept of the old image. */
function isUnpackable(mode: SwapMode, secondary: CheckedSlot): boolean {
  return mode === "overwrite-only" && isCompressed(secondary);
}

/** Why a compressed image in the secondary is refused; undefined when it is not, or is none. */
function packedProblem(mode: SwapMode, secondary: CheckedSlot, policy: BootPolicy): string | undefined {
  if (!isCompressed(secondary)) return undefined;
  if (mode !== "overwrite-only")
    return "It is compressed, and bootloaders unpack such images only in overwrite-only mode.";
  if ((secondary.slot.image!.header.flags & COMPRESSION_FLAGS & ~FILTER) !== IMAGE_F.COMPRESSED_LZMA2)
    return "It is not compressed with LZMA2 alone, and bootloaders unpack nothing else.";
  if (policy.decompresses === false) return "It is compressed, and this bootloader unpacks nothing.";
  const unpacked = statedUnpacked(secondary.slot.image!);
  const room = policy.geometry && largestImage(mode, policy.geometry);
  if (!unpacked || !room || unpacked.size <= room) return undefined;
  return `It is compressed and becomes ${unpacked.size} bytes, of which this mode takes ${room}.`;
}

function failureIn(verdict: CheckedSlot["verdict"]): string | undefined {
  return verdict?.checks.find(({ result }) => result === "fail")?.sentence;
}

function isNonBootable({ image }: Slot): boolean {
  return image !== undefined && (image.header.flags & IMAGE_F.NON_BOOTABLE) !== 0;
}

function afterNothing(primary: CheckedSlot, policy: BootPolicy, result: Result): NextBoot {
  const problem = problemOf(primary, policy);
  if (problem) return result("stuck", `No image starts: ${problem}. There is no fallback to the secondary.`);
  const unconfirmed = isConfirmed(primary.slot.trailer) ? "" : ", not confirmed, and nothing will revert it";
  return result("keep", `${named(primary, "The image")} in the primary continues to run${unconfirmed}.`);
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
  policy: BootPolicy,
): Obstacle | undefined {
  const { slot, verdict } = secondary;
  const { swap } = upgradeMode(mode);
  if (swap?.progressIn === "primary" && !primary.slot.image)
    return {
      outcome: "stuck",
      why: "The primary holds no readable image, and this mode does not update without one.",
    };
  if (!slot.image && slot.empty)
    return swap
      ? { outcome: "drop", why: "The secondary is empty; its trailer is erased." }
      : { outcome: "drop", why: "The secondary is empty; the request stays and waits for an image." };
  if (swap?.updateSector === 1 && type !== "revert" && slot.imageOffset === 0)
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
  const failed = packedProblem(mode, secondary, policy) ?? failureIn(verdict);
  if (failed) return { outcome: "erase", why: `The image in the secondary is refused and erased: ${failed}` };
  const lower =
    primary.slot.image && compareVersions(slot.image.version, primary.slot.image.version) < 0
      ? slot.image
      : undefined;
  if (policy.preventsDowngrade && type !== "revert" && lower)
    return {
      outcome: "erase",
      why: `Version ${versionOf(lower)} is lower than the primary's ${versionOf(primary.slot.image!)}: it is erased (downgrade prevention).`,
    };
  const room = swap?.progressIn === "primary" && policy.geometry && largestImage(mode, policy.geometry);
  if (room && primary.slot.image && primary.slot.image.size > room)
    return {
      outcome: "stuck",
      why: `The primary's image has ${primary.slot.image.size} bytes, of which this mode can swap ${room}: nothing is swapped, and the request stays.`,
    };
  return undefined;
}

function startOf(outcome: Obstacle["outcome"], primary: CheckedSlot, policy: BootPolicy): string[] {
  if (outcome === "stuck")
    return [
      primary.slot.image
        ? "No image starts: the primary's is too large for this mode."
        : "No image starts until the primary holds one.",
    ];
  const problem = problemOf(primary, policy);
  return [problem ? `No image starts: ${problem}.` : `${named(primary, "The old image")} continues to run.`];
}

const ENDINGS: Readonly<Record<"test" | "perm" | "revert", string>> = {
  test: "Unless it is confirmed, the next boot brings the old image back.",
  perm: "It stays.",
  revert: "It counts as confirmed.",
};

function swapSteps(mode: SwapMode, type: SwapType, secondary: CheckedSlot): string[] {
  const image = named(secondary, "The image");
  const checked = secondary.verdict
    ? []
    : ["The image in the secondary is checked first; if it fails, it is erased."];
  if (isUnpackable(mode, secondary))
    return [...checked, `${image} is decompressed into the primary and runs. It cannot be reverted.`];
  if (!upgradeMode(mode).swap)
    return [...checked, `${image} is copied over the primary and runs. It cannot be reverted.`];
  return [
    ...checked,
    `${image} is swapped into the primary and runs.`,
    ENDINGS[type as "test" | "perm" | "revert"],
  ];
}

const PACKED_PRIMARY =
  "the primary's image is compressed, and bootloaders unpack only what lies in the secondary";

/** Why the primary's image does not start; undefined when it does. */
function problemOf({ slot, verdict }: CheckedSlot, policy: BootPolicy): string | undefined {
  if (!slot.image) return slot.empty ? "the primary is empty" : "the primary holds no readable image";
  // Without the check only the header's magic counts: even an image that must not be booted is.
  if (policy.validatesPrimary === false) return undefined;
  if (isNonBootable(slot)) return "the primary's image is flagged NON_BOOTABLE";
  if (isCompressed({ slot })) return PACKED_PRIMARY;
  const failed = failureIn(verdict);
  return failed && `the primary's image is refused (${failed.replace(/\.$/, "")})`;
}

function named({ slot }: CheckedSlot, what: string): string {
  return slot.image ? `${what} ${versionOf(slot.image)}` : what;
}

function versionOf(image: Image): string {
  return formatVersion(image.version);
}
