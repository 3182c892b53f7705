import { equal, toHex } from "../bytes.js";
import { statedUnpacked } from "../mcuboot/compression.js";
import { largestImage } from "../mcuboot/largest-image.js";
import { upgradeModeOfNumber } from "../mcuboot/upgrade-modes.js";
import { compareVersions, formatVersion } from "../mcuboot/version.js";
import { runningSlot, slotsOf } from "../session/board-facts.js";
import type { BoardFacts, SlotContent, SlotFacts } from "../session/facts.js";
import { judgeCompression } from "./compression-check.js";
import { securityCounter } from "./counter-check.js";
import {
  judgeDependencies,
  judgeModes,
  judgeSizeInAnyMode,
  judgeTaker,
  passedOver,
  picksByVersion,
  readVersion,
  replacedImage,
  targetSlot,
} from "./mode-checks.js";
import type { Judgement, PreflightCheck, PreflightCheckName, PreflightInput } from "./preflight-check.js";
import { powerCut, revertPossible } from "./revert-checks.js";
import { judgeStart } from "./start-check.js";

/** Nothing: the check does not concern this image. */
type BoardCheck = readonly [
  name: PreflightCheckName,
  judge: (input: PreflightInput) => Judgement | undefined,
];

/** The checks that need the board, in the order they are told. */
const BOARD_CHECKS: readonly BoardCheck[] = [
  ["dependencies", judgeDependencies],
  ["upgrade-mode", judgeModes],
  ["compression", judgeCompression],
  ["trusted-key", trustedKey],
  ["fits-slot", fitsSlot],
  ["security-counter", securityCounter],
  ["version", version],
  ["start", judgeStart],
  ["slot-free", slotFree],
  ["revert-possible", revertPossible],
  ["power-cut-safe", powerCut],
];

/** Holds an image against the board it is meant for. Pure: nothing is sent. */
export function checkAgainstBoard(input: PreflightInput): PreflightCheck[] {
  return BOARD_CHECKS.flatMap(([name, judge]) => {
    const judged = judge(input);
    return judged === undefined ? [] : [{ name, ...judged }];
  });
}

function trustedKey({ image, facts }: PreflightInput): Judgement {
  if (facts.trustedKeys === undefined)
    return { result: "unknown", message: "The board does not report which keys it trusts." };
  const trusted = facts.trustedKeys;
  const match = image.keyHashes.find((hash) => trusted.some((key) => equal(key.hash, hash)));
  if (match)
    return {
      result: "pass",
      message: `The board trusts key ${toHex(match).slice(0, 12)}, which the image names; the signature is checked separately.`,
    };
  if (trusted.length === 0)
    return { result: "warn", message: "The board trusts no key: it does not check signatures." };
  const named = image.keyHashes.map((hash) => toHex(hash).slice(0, 12)).join(", ");
  const known = trusted.map((key) => toHex(key.hash).slice(0, 12)).join(", ");
  return {
    result: "fail",
    message: `The image names ${named === "" ? "no key" : `key ${named}`}; the board trusts ${known}.`,
    hint: "Sign it with the key this board was provisioned with, or check that this is the right board.",
  };
}

function fitsSlot({ image, facts, imageNumber }: PreflightInput): Judgement {
  // What is unpacked must fit as well.
  const size = Math.max(image.size, statedUnpacked(image)?.size ?? 0);
  const target = targetSlot(facts, imageNumber);
  if (target === undefined) {
    const count = facts.images.length;
    if (count > 0 && !facts.images.some((entry) => entry.image === imageNumber)) {
      return {
        result: "fail",
        message: `The board has no image number ${imageNumber}: it has ${count}, numbered from 0.`,
        hint: "Omit --image for boards with one image.",
      };
    }
  }
  const limit = sizeLimit(facts, target, imageNumber);
  if (limit === undefined && target?.size !== undefined) return judgeSizeInAnyMode(size, target.size);
  if (limit === undefined)
    return {
      result: "unknown",
      message: `The image has ${size} bytes; the board does not report its slot sizes.`,
    };
  const { bytes, sure, why } = limit;
  if (size <= bytes) return { result: "pass", message: `${size} bytes fit the ${bytes} that ${why}.` };
  return {
    result: sure ? "fail" : "warn",
    message: `${size} bytes are ${size - bytes} more than the ${bytes} that ${why}.`,
    ...(sure ? { hint: "Make the firmware smaller, or the slots of the board larger." } : {}),
  };
}

/** The largest image the board can take, as far as it tells. */
function sizeLimit(
  facts: BoardFacts,
  target: SlotFacts | undefined,
  imageNumber: number,
): { bytes: number; sure: boolean; why: string } | undefined {
  // An empty slot is not listed by all boards; the limit is the same for both of an image.
  const allowed =
    target?.maxImageSize ?? facts.images.find(({ image }) => image === imageNumber)?.maxImageSize;
  if (allowed !== undefined) return { bytes: allowed, sure: true, why: "the bootloader allows" };
  if (target?.size === undefined) return undefined;
  const mode = upgradeModeOfNumber(facts.bootloader?.mode);
  if (mode === undefined) return undefined;
  const room = largestImage(mode.name, { primarySize: target.size, sectorSize: 4096 });
  // Sector size and sector count are the usual ones, not the board's own, in the modes where they matter.
  return {
    bytes: room,
    sure: mode.swap === undefined,
    why: `a slot of ${target.size} bytes usually has room for in this mode`,
  };
}

function version(input: PreflightInput): Judgement {
  const { image, facts, imageNumber } = input;
  const ignored = picksByVersion(facts) && facts.server !== "recovery" ? passedOver(input) : undefined;
  if (ignored) return ignored;
  const running = replacedImage(facts, imageNumber);
  const mine = formatVersion(image.version);
  const theirs = running && readVersion(running.version);
  if (running === undefined || theirs === undefined)
    return {
      result: "unknown",
      message: `The image is version ${mine}; the board does not report a running version.`,
    };
  const order = compareVersions(image.version, theirs);
  if (order > 0)
    return { result: "pass", message: `Version ${mine} is newer than the running ${running.version}.` };
  if (order === 0) return { result: "pass", message: `Version ${mine} is also the running version.` };
  if (facts.bootloader?.noDowngrade && facts.images.every((entry) => entry.storedCounter === undefined)) {
    return {
      result: "fail",
      message: `Version ${mine} is older than the running ${running.version}, and the bootloader refuses downgrades.`,
      hint: "Raise the version, or use a board without downgrade prevention.",
    };
  }
  return { result: "warn", message: `Version ${mine} is older than the running ${running.version}.` };
}

function slotFree({ image, sent = image, facts, imageNumber }: PreflightInput): Judgement {
  if (facts.noImageGroup)
    return {
      result: "fail",
      message: "The board has no image group: it accepts no images.",
      hint: "Build its firmware with CONFIG_MCUMGR_GRP_IMG, behind MCUboot; or enter serial recovery.",
    };
  if (facts.server === "recovery")
    return { result: "pass", message: "Serial recovery overwrites the primary slot." };
  const taker = judgeTaker(facts, imageNumber);
  if (taker) return taker;
  const isThis = (content: SlotContent, { imageHash } = sent) =>
    imageHash !== undefined && content.hash !== undefined && equal(content.hash, imageHash.value);
  const running = runningSlot(facts, imageNumber)?.content;
  if (running?.active && running.confirmed === false && isThis(running, image))
    return { result: "pass", message: "This image already runs on trial; it is not sent again." };
  if (running?.active && running.confirmed === false) {
    return {
      result: "fail",
      message: `The running image ${running.version} is on trial: writing now would destroy the image it can revert to.`,
      hint: "Confirm it with bootproof image confirm, or reset the board to revert it, then flash again.",
    };
  }
  const pending = slotsOf(facts, imageNumber).find((slot) => slot.content?.pending && !slot.content.active);
  if (pending?.content && isThis(pending.content))
    return {
      result: "pass",
      message: "This image is already marked for the next boot; it is not sent again.",
    };
  if (pending?.content) {
    return {
      result: "fail",
      message: `Slot ${pending.slot} holds ${pending.content.version}, which is already marked for the next boot.`,
      hint: "Reset the board, so that this update is installed first.",
    };
  }
  return { result: "pass", message: "The slot for the upload is free." };
}
