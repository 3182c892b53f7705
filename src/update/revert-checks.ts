import { type KnownIssue, knownIssueOf } from "../mcuboot/known-issues.js";
import { upgradeModeOfNumber, upgradeModesOfNumber } from "../mcuboot/upgrade-modes.js";
import { runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import type { Judgement, PreflightInput } from "./preflight-check.js";

export function revertPossible({ facts, throughRecovery }: PreflightInput): Judgement {
  if (facts.server === "recovery") {
    const message = "Serial recovery writes the image straight over the primary slot, without a trial boot.";
    if (throughRecovery) return { result: "warn", message };
    return {
      result: "fail",
      message,
      hint: "Add --recovery to do that, or reset the board into its application first.",
    };
  }
  const { mode, modeName } = facts.bootloader ?? {};
  if (mode === undefined)
    return {
      result: "unknown",
      message:
        "The board does not report its upgrade mode: whether it can revert is known only after the reset.",
    };
  const modes = upgradeModesOfNumber(mode);
  if (modes.length === 0)
    return {
      result: "unknown",
      message: `The board reports upgrade mode ${mode}, which is not known: whether it can revert is known only after the reset.`,
    };
  if (modes.every(({ reverts }) => reverts))
    return { result: "pass", message: `Mode ${modeName}: an image that is not confirmed is reverted.` };
  if (modes.every(({ reverts, picks }) => !reverts && picks === "version"))
    return {
      result: "warn",
      message: `Mode ${modeName}: there is no trial boot; of the two slots the higher version runs.`,
    };
  if (modes.some(({ reverts }) => reverts))
    return {
      result: "warn",
      message: `Mode ${modeName}: the board reports this number with and without revert, so expect no trial boot.`,
    };
  return {
    result: "warn",
    message: `Mode ${modeName}: there is no trial boot, and the board cannot revert to the old image.`,
  };
}

/** How its flash is cut into sectors no board reports: these are the usual ones, the commonest first. */
const USUAL_SECTORS = [4096, 2048, 1024] as const;

const KNOWN_ISSUES: Readonly<Record<KnownIssue, string>> = {
  "no-way-back": "a power cut in the middle can leave the new one unconfirmed and the old one lost",
  "no-boot": "a power cut in the middle can leave a board that no longer boots",
  stuck: "the old one leaves no room for the swap, and the bootloader can stop for good",
};

/** Known weak spots of MCUboot itself that depend on the sizes of the two images. Never a failure: most cuts miss them. */
export function powerCut({ image, facts, imageNumber }: PreflightInput): Judgement {
  const { mode: number, modeName } = facts.bootloader ?? {};
  const mode = upgradeModeOfNumber(number);
  if (facts.server === "recovery") return { result: "pass", message: "Serial recovery swaps nothing." };
  if (number === undefined)
    return { result: "unknown", message: "The board does not report its upgrade mode." };
  if (mode === undefined)
    return { result: "unknown", message: `The board reports upgrade mode ${number}, which is not known.` };
  if (!mode.swap) return { result: "pass", message: `Mode ${modeName} swaps nothing.` };
  const running = runningSlot(facts, imageNumber);
  const oldSize = running?.content?.imageSize?.value;
  if (oldSize === undefined) {
    const message = `Mode ${modeName}: the board does not report the size of the running image.`;
    return { result: "unknown", message: `${message} Some pairs of sizes do not survive every power cut.` };
  }
  const pair = { oldSize, newSize: image.size, primarySize: running?.size };
  const met = USUAL_SECTORS.flatMap((sectorSize) => {
    const spot = knownIssueOf(mode.name, { ...pair, sectorSize });
    return spot === undefined ? [] : [{ spot, sectorSize }];
  });
  const sizes = `from ${oldSize} to ${image.size} bytes`;
  if (!met[0]) return { result: "pass", message: `Mode ${modeName}: no known issue for a swap ${sizes}.` };
  return {
    result: "warn",
    message: `Mode ${modeName}, ${sizes} in sectors of ${met[0].sectorSize}: ${KNOWN_ISSUES[met[0].spot]} (MCUboot 2.4).`,
  };
}

/**
 * False when the board reports a mode without trial boots; one that reports none, or an unknown one, may have them.
 *
 * @param facts - by `readFacts`
 * @returns true when in doubt
 */
export function revertsUnconfirmed({ bootloader }: BoardFacts): boolean {
  return upgradeModeOfNumber(bootloader?.mode)?.reverts ?? true;
}
