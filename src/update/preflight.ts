import { equal, toHex } from "../bytes.js";
import { isPure } from "../mcuboot/checks.js";
import { statedUnpacked } from "../mcuboot/compression.js";
import type { Image } from "../mcuboot/image.js";
import { type KnownIssue, knownIssueOf } from "../mcuboot/known-issues.js";
import { largestImage } from "../mcuboot/largest-image.js";
import { oddLength, TLV } from "../mcuboot/tlv.js";
import { upgradeModeOfNumber, upgradeModesOfNumber } from "../mcuboot/upgrade-modes.js";
import type { CheckName, Verdict } from "../mcuboot/verify.js";
import { compareVersions, formatVersion, type Version } from "../mcuboot/version.js";
import {
  type BoardFacts,
  runningSlot,
  type SlotContent,
  type SlotFacts,
  slotsOf,
} from "../session/board-facts.js";
import { judgeCompression } from "./compression-check.js";
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

import { judgeStart } from "./start-check.js";

/**
 * `fail` stops the flash before a byte is sent. `warn`: allowed, but worth knowing. `unknown`: the board does not
 * report what it would take to judge.
 */
export type PreflightResult = "pass" | "fail" | "warn" | "unknown";

export type PreflightCheckName =
  /** What can be said of the file alone; see {@link CheckName}. */
  | Exclude<CheckName, "size">
  /** What follows the image in the file, and the trailer that is made for the slot. */
  | "trailer"
  /** Bootloader and application were built for the same way of starting images. */
  | "upgrade-mode"
  /** The board that the update's source was made for. */
  | "board"
  /** The bootloader unpacks compressed images; only of an image that is sent compressed. */
  | "compression"
  | "trusted-key"
  | "fits-slot"
  | "version"
  /** What this host remembers of the board; only where it is asked. */
  | "ratchet"
  /** Where the firmware starts, beside where the running one does. */
  | "start"
  | "slot-free"
  | "revert-possible"
  | "power-cut-safe"
  /** A rule of the policy, where there is one: it is overridden by the policy's own means and never skipped. */
  | `policy/${string}`;

/** All names, in the order in which the checks are made. */
export const PREFLIGHT_CHECKS: readonly PreflightCheckName[] = [
  "structure",
  "flags",
  "bootable",
  "tlv-types",
  "decryption",
  "hash",
  "signature",
  "compressed-body",
  "trailer",
  "dependencies",
  "board",
  "upgrade-mode",
  "compression",
  "trusted-key",
  "fits-slot",
  "security-counter",
  "version",
  "ratchet",
  "start",
  "slot-free",
  "revert-possible",
  "power-cut-safe",
];

export interface PreflightCheck {
  name: PreflightCheckName;
  result: PreflightResult;
  /** One sentence: what was compared with what. */
  message: string;
  /** For a failure: what to do about it. */
  hint?: string;
}

/** A check that may fail. A file without a structure holds nothing that could be sent or asked for. */
export function maySkip(
  name: PreflightCheckName,
  skip: readonly PreflightCheckName[] | "all" | undefined,
): boolean {
  if (name === "structure" || name.startsWith("policy/")) return false;
  return skip === "all" || (skip?.includes(name) ?? false);
}

/** What a check sees. */
export interface PreflightInput {
  image: Image;
  /** What is sent in its place: the same, compressed. Default: the image itself. */
  sent?: Image | undefined;
  facts: BoardFacts;
  /** Which pair of slots the image is for. */
  imageNumber: number;
  /** The user has agreed to write the primary slot through serial recovery. */
  throughRecovery: boolean;
  /** Versions of the other images that come with the same update, by number. */
  alongside?: ReadonlyMap<number, Version> | undefined;
}

type Judgement = Omit<PreflightCheck, "name">;
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

/** What the file alone must be; its size and counter are held against the board instead. */
const FILE_CHECKS: readonly (CheckName & PreflightCheckName)[] = [
  "structure",
  "flags",
  "bootable",
  "tlv-types",
  "decryption",
  "hash",
  "signature",
  "compressed-body",
];

/** The checks of the file. A signature that nobody could check stops the flash like a wrong one. */
export function checkFile(verdict: Verdict): PreflightCheck[] {
  const { image } = verdict;
  const isPureAndEncrypted = image?.encrypted === true && isPure(image);
  return verdict.checks
    .filter(({ name }) => FILE_CHECKS.some((check) => check === name))
    .map(({ name, result, sentence }) => ({
      name: name as PreflightCheckName,
      ...fileJudgement(name, result, sentence, {
        isPureAndEncrypted,
        isSigned: image?.signatures.length !== 0,
      }),
    }));
}

function fileJudgement(
  name: CheckName,
  result: Verdict["checks"][number]["result"],
  message: string,
  { isPureAndEncrypted, isSigned }: { isPureAndEncrypted: boolean; isSigned: boolean },
): Judgement {
  if (name === "signature" && result === "not-checked") {
    return {
      result: "fail",
      message,
      hint: isPureAndEncrypted
        ? "Give the key that decrypts it with --decrypt-key FILE, or send it unchecked with --skip signature."
        : "Give the public key with --key FILE, or send it unchecked with --skip signature.",
    };
  }
  if (result === "fail" && name === "decryption")
    return {
      result,
      message,
      hint: "Encrypt it for this board's key with bootproof sign --encrypt FILE, or give the private half of the key it is encrypted for.",
    };
  if (result === "fail" && name === "signature")
    return {
      result,
      message,
      hint: isSigned
        ? "Give the signer's public key with --key FILE, or sign the firmware with your own key."
        : "Sign it with bootproof sign --key FILE; for a board that requires no signature: --skip signature.",
    };
  if (result === "fail")
    return {
      result,
      message,
      hint: "Nothing was sent. Build and sign the image again, or check that it is the right file.",
    };
  return { result: result === "pass" ? "pass" : "unknown", message };
}

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

function securityCounter({ image, facts, imageNumber }: PreflightInput): Judgement {
  const odd = image.tlvs.filter(({ type }) => type === TLV.SEC_CNT).flatMap((tlv) => oddLength(tlv) ?? []);
  if (odd[0] !== undefined)
    return {
      result: "fail",
      message: `${odd[0]} A board that keeps security counters refuses it.`,
      hint: "Sign it again; or, for a board that keeps none, add --skip security-counter.",
    };
  const entry = facts.images.find((candidate) => candidate.image === imageNumber);
  const mine = image.securityCounter;
  const stored = entry?.storedCounter?.value;
  if (stored !== undefined) {
    if (mine === undefined) {
      return {
        result: "fail",
        message: `The image carries no security counter; the board has ${stored} stored and will refuse it.`,
        hint: `Sign it with a security counter of at least ${stored}.`,
      };
    }
    const next = counterOfNextRestart(facts, imageNumber);
    if (next !== undefined && mine >= stored && mine < next)
      return {
        result: "fail",
        message: `Security counter ${mine} is below the ${next} of the confirmed image that runs. ${pendingCounter(stored, next)}`,
        hint: "Build the image with a higher counter. To go back on purpose before that restart: --skip security-counter.",
      };
    if (mine > stored && entry?.counterStepsLeft === 0)
      return {
        result: "fail",
        message: `Security counter ${mine} is above the ${stored} that the board has stored, which has no steps left to be raised.`,
        hint: `Sign it with security counter ${stored}: this board cannot store a higher one any more.`,
      };
    if (mine >= stored)
      return {
        result: "pass",
        message: `Security counter ${mine} is not below the ${next ?? stored} that the board ${next === undefined ? "has stored" : "stores at its next restart"}.`,
      };
    return {
      result: "fail",
      message: `Security counter ${mine} is below the ${stored} that the board has stored: anti-rollback will refuse it.`,
      hint: "An older build can never run on this board again; build a new one with a higher counter.",
    };
  }
  const running = runningSlot(facts, imageNumber)?.content?.securityCounter;
  if (running === undefined || mine === undefined) {
    return {
      result: "unknown",
      message: `The image's security counter is ${mine ?? "absent"}; the board does not report a stored one.`,
    };
  }
  const from = running.source === "known-file" ? "by a known file" : "by the device";
  if (mine >= running.value)
    return {
      result: "pass",
      message: `Security counter ${mine} is not below the running image's ${running.value} (${from}).`,
    };
  return {
    result: facts.reportsTrust ? "warn" : "fail",
    message: `Security counter ${mine} is below the running image's ${running.value} (${from}).`,
    ...(facts.reportsTrust
      ? {}
      : {
          hint: "If this board keeps security counters it will refuse the image; send it anyway with --skip security-counter.",
        }),
  };
}

/**
 * The security counter that a board has stored; undefined when it does not report one.
 *
 * @param facts - by `readFacts`
 * @param imageNumber - as MCUboot counts images
 * @returns a number of 32 bits
 */
export function storedCounter(facts: BoardFacts, imageNumber: number): number | undefined {
  return facts.images.find(({ image }) => image === imageNumber)?.storedCounter?.value;
}

/** What the board will store at its next restart: the counter of a confirmed image that was not restarted since. */
function counterOfNextRestart(facts: BoardFacts, imageNumber: number): number | undefined {
  const running = runningSlot(facts, imageNumber)?.content;
  const next = running?.active && running.confirmed ? running.securityCounter?.value : undefined;
  const stored = storedCounter(facts, imageNumber);
  return next !== undefined && stored !== undefined && next > stored ? next : undefined;
}

/**
 * In words, that a counter is stored only at the next restart.
 *
 * @param stored - security counter of the board
 * @param next - the one that it will store
 * @returns a sentence
 */
export function pendingCounter(stored: number, next: number): string {
  return `The board has security counter ${stored} stored and stores ${next} at its next restart: until then images from ${stored} on are accepted.`;
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

function revertPossible({ facts, throughRecovery }: PreflightInput): Judgement {
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
function powerCut({ image, facts, imageNumber }: PreflightInput): Judgement {
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
