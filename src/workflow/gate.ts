import { equal, toHex } from "../bytes.js";
import type { Image } from "../image/image.js";
import { type BootMode, largestImage } from "../image/largest-image.js";
import type { CheckName, Verdict } from "../image/verify.js";
import {
  compareVersions,
  formatVersion,
  parseVersion,
  type Version,
  VersionError,
} from "../image/version.js";
import { type WeakSpot, weakSpotOf } from "../image/weak-spots.js";
import { type BoardFacts, runningSlot, type SlotContent, type SlotFacts, slotsOf } from "./facts.js";

/**
 * `fail` stops the flash before a byte is sent. `warn`: allowed, but worth knowing. `unknown`: the board does not
 * report what it would take to judge.
 */
export type GateResult = "pass" | "fail" | "warn" | "unknown";

export type GateCheckName =
  /** What can be said of the file alone; see {@link CheckName}. */
  | Exclude<CheckName, "size">
  | "trusted-key"
  | "fits-slot"
  | "version"
  | "slot-free"
  | "way-back"
  | "power-cut";

/** All names, in the order in which the checks are made. */
export const GATE_CHECKS: readonly GateCheckName[] = [
  "structure",
  "flags",
  "bootable",
  "tlv-types",
  "hash",
  "signature",
  "trusted-key",
  "fits-slot",
  "security-counter",
  "version",
  "slot-free",
  "way-back",
  "power-cut",
];

export interface GateCheck {
  name: GateCheckName;
  result: GateResult;
  /** One sentence: what was compared with what. */
  says: string;
  /** For a failure: what to do about it. */
  hint?: string;
}

/** What a check sees. */
export interface GateInput {
  image: Image;
  facts: BoardFacts;
  /** Which pair of slots the image is for. */
  imageNumber: number;
  /** The user has agreed to write the primary slot through serial recovery. */
  throughRecovery: boolean;
}

/** MCUmgr's mode numbers in the words of the image room; the rest cannot be judged. */
const MODES: Readonly<Record<number, BootMode>> = {
  0: "single-slot",
  1: "swap-scratch",
  2: "overwrite-only",
  3: "swap-move",
  4: "direct-xip",
  5: "direct-xip",
  6: "ram-load",
  7: "firmware-loader",
  9: "swap-offset",
};

/** Modes in which an image that is not confirmed is replaced by the old one at the next reset. */
const MODES_WITH_REVERT: readonly number[] = [1, 3, 5, 9];

type Judgement = Omit<GateCheck, "name">;
type BoardCheck = readonly [name: GateCheckName, judge: (input: GateInput) => Judgement];

/** The checks that need the board, in the order they are told. */
const BOARD_CHECKS: readonly BoardCheck[] = [
  ["trusted-key", trustedKey],
  ["fits-slot", fitsSlot],
  ["security-counter", securityCounter],
  ["version", version],
  ["slot-free", slotFree],
  ["way-back", wayBack],
  ["power-cut", powerCut],
];

/** What the file alone must be; its size and counter are held against the board instead. */
const FILE_CHECKS: readonly CheckName[] = [
  "structure",
  "flags",
  "bootable",
  "tlv-types",
  "hash",
  "signature",
];

/** The checks of the file. A signature that nobody could check stops the flash like a wrong one. */
export function checkFile(verdict: Verdict): GateCheck[] {
  return verdict.checks
    .filter(({ name }) => FILE_CHECKS.includes(name))
    .map(({ name, result, sentence }) => ({
      name: name as GateCheckName,
      ...fileJudgement(name, result, sentence),
    }));
}

function fileJudgement(
  name: CheckName,
  result: Verdict["checks"][number]["result"],
  says: string,
): Judgement {
  if (name === "signature" && result === "not-checked") {
    return {
      result: "fail",
      says,
      hint: "Give the public key with --key FILE, or send it unchecked with --skip signature.",
    };
  }
  if (result === "fail")
    return {
      result,
      says,
      hint: "Nothing was sent. Build and sign the image again, or look whether it is the right file.",
    };
  return { result: result === "pass" ? "pass" : "unknown", says };
}

/** Holds an image against the board it is meant for. Pure: nothing is sent. */
export function checkAgainstBoard(input: GateInput): GateCheck[] {
  return BOARD_CHECKS.map(([name, judge]) => ({ name, ...judge(input) }));
}

function trustedKey({ image, facts }: GateInput): Judgement {
  if (facts.trustedKeys === undefined)
    return { result: "unknown", says: "The board does not report which keys it trusts." };
  const trusted = facts.trustedKeys;
  const match = image.keyHashes.some((hash) => trusted.some((key) => equal(key.hash, hash)));
  if (match) return { result: "pass", says: "The image names a key that the board trusts." };
  if (trusted.length === 0)
    return { result: "warn", says: "The board trusts no key: it cannot tell whose image this is." };
  const named = image.keyHashes.map((hash) => toHex(hash).slice(0, 12)).join(", ") || "none";
  const known = trusted.map((key) => toHex(key.hash).slice(0, 12)).join(", ");
  return {
    result: "fail",
    says: `The image names key ${named}; the board trusts ${known}.`,
    hint: "Sign it with the key this board was provisioned with, or look whether this is the right board.",
  };
}

function fitsSlot({ image, facts, imageNumber }: GateInput): Judgement {
  const target = targetSlot(facts, imageNumber);
  if (target === undefined) {
    const count = facts.images.length;
    if (count > 0 && !facts.images.some((entry) => entry.image === imageNumber)) {
      return {
        result: "fail",
        says: `The board has no image number ${imageNumber}: it has ${count}, counted from 0.`,
        hint: "Leave --image away for boards with one image.",
      };
    }
  }
  const limit = sizeLimit(facts, target);
  if (limit === undefined)
    return {
      result: "unknown",
      says: `The image has ${image.size} bytes; the board does not report its slot sizes.`,
    };
  const { bytes, sure, why } = limit;
  if (image.size <= bytes)
    return { result: "pass", says: `${image.size} bytes fit the ${bytes} that ${why}.` };
  return {
    result: sure ? "fail" : "warn",
    says: `${image.size} bytes are ${image.size - bytes} more than the ${bytes} that ${why}.`,
    ...(sure ? { hint: "Make the firmware smaller, or the slots of the board larger." } : {}),
  };
}

/** The largest image the board can take, as far as it tells. */
function sizeLimit(
  facts: BoardFacts,
  target: SlotFacts | undefined,
): { bytes: number; sure: boolean; why: string } | undefined {
  if (target?.maxImageSize !== undefined)
    return { bytes: target.maxImageSize, sure: true, why: "the bootloader allows" };
  if (target?.size === undefined) return undefined;
  const mode = MODES[facts.bootloader?.mode ?? -1];
  const room = largestImage(mode ?? "overwrite-only", { primarySize: target.size, sectorSize: 4096 });
  if (mode === undefined)
    return { bytes: room, sure: true, why: `a slot of ${target.size} bytes has room for` };
  // Sector size and sector count are the usual ones, not the board's own, in the modes where they matter.
  const guessed = mode.startsWith("swap");
  return {
    bytes: room,
    sure: !guessed,
    why: `a slot of ${target.size} bytes usually has room for in this mode`,
  };
}

function securityCounter({ image, facts, imageNumber }: GateInput): Judgement {
  const entry = facts.images.find((candidate) => candidate.image === imageNumber);
  const mine = image.securityCounter;
  const stored = entry?.storedCounter?.value;
  if (stored !== undefined) {
    if (mine === undefined) {
      return {
        result: "fail",
        says: `The image carries no security counter; the board has ${stored} stored and will refuse it.`,
        hint: `Sign it with a security counter of at least ${stored}.`,
      };
    }
    if (mine >= stored)
      return {
        result: "pass",
        says: `Security counter ${mine} is not below the ${stored} that the board has stored.`,
      };
    return {
      result: "fail",
      says: `Security counter ${mine} is below the ${stored} that the board has stored: anti-rollback will refuse it.`,
      hint: "An older build never runs again on this board; build a new one with a higher counter.",
    };
  }
  const running = runningSlot(facts, imageNumber)?.content?.securityCounter;
  if (running === undefined || mine === undefined) {
    return {
      result: "unknown",
      says: `The image's security counter is ${mine ?? "absent"}; the board does not report a stored one.`,
    };
  }
  const from = running.source === "known-file" ? "by a known file" : "by the device";
  if (mine >= running.value)
    return {
      result: "pass",
      says: `Security counter ${mine} is not below the running image's ${running.value} (${from}).`,
    };
  return {
    result: facts.reportsTrust ? "warn" : "fail",
    says: `Security counter ${mine} is below the running image's ${running.value} (${from}).`,
    ...(facts.reportsTrust
      ? {}
      : {
          hint: "If this board keeps security counters it will refuse the image; send it anyway with --skip security-counter.",
        }),
  };
}

function version({ image, facts, imageNumber }: GateInput): Judgement {
  const running = runningSlot(facts, imageNumber)?.content;
  const mine = formatVersion(image.version);
  const theirs = running && readVersion(running.version);
  if (running === undefined || theirs === undefined)
    return {
      result: "unknown",
      says: `The image is version ${mine}; the board does not report a running version.`,
    };
  const order = compareVersions(image.version, theirs);
  if (order > 0)
    return { result: "pass", says: `Version ${mine} is newer than the running ${running.version}.` };
  if (order === 0) return { result: "pass", says: `Version ${mine} is the running version too.` };
  if (facts.bootloader?.noDowngrade && facts.images.every((entry) => entry.storedCounter === undefined)) {
    return {
      result: "fail",
      says: `Version ${mine} is older than the running ${running.version}, and the bootloader refuses downgrades.`,
      hint: "Raise the version, or use a board without downgrade prevention.",
    };
  }
  return { result: "warn", says: `Version ${mine} is older than the running ${running.version}.` };
}

function slotFree({ image, facts, imageNumber }: GateInput): Judgement {
  if (facts.noImageGroup)
    return {
      result: "fail",
      says: "The board has no image group: it takes no images.",
      hint: "Build its firmware with CONFIG_MCUMGR_GRP_IMG, behind MCUboot; or enter serial recovery.",
    };
  if (facts.server === "recovery")
    return { result: "pass", says: "Serial recovery writes over the primary slot." };
  const hash = image.imageHash?.value;
  const isThis = (content: SlotContent) =>
    hash !== undefined && content.hash !== undefined && equal(content.hash, hash);
  const running = runningSlot(facts, imageNumber)?.content;
  if (running?.active && !running.confirmed && isThis(running))
    return { result: "pass", says: "This very image runs already, on trial: it need not be sent." };
  if (running?.active && !running.confirmed) {
    return {
      result: "fail",
      says: `The running image ${running.version} is on trial: writing now would destroy the image it can revert to.`,
      hint: "Confirm it with bootproof image confirm, or reset the board to revert it, then flash again.",
    };
  }
  const pending = slotsOf(facts, imageNumber).find((slot) => slot.content?.pending && !slot.content.active);
  if (pending?.content && isThis(pending.content))
    return {
      result: "pass",
      says: "This very image is marked for the next boot already: it need not be sent.",
    };
  if (pending?.content) {
    return {
      result: "fail",
      says: `Slot ${pending.slot} holds ${pending.content.version}, which is already marked for the next boot.`,
      hint: "Reset the board to let that update happen first.",
    };
  }
  return { result: "pass", says: "The slot for the upload is free." };
}

function wayBack({ facts, throughRecovery }: GateInput): Judgement {
  if (facts.server === "recovery") {
    const says =
      "The board is in serial recovery: the image is written straight over the primary slot, without a trial boot.";
    if (throughRecovery) return { result: "warn", says };
    return {
      result: "fail",
      says,
      hint: "Add --recovery to do that, or reset the board into its application first.",
    };
  }
  const { mode, modeName } = facts.bootloader ?? {};
  if (mode === undefined)
    return {
      result: "unknown",
      says: "The board does not report its upgrade mode: whether it can revert shows after the reset.",
    };
  if (MODES_WITH_REVERT.includes(mode))
    return { result: "pass", says: `Mode ${modeName}: an image that is not confirmed is reverted.` };
  return {
    result: "warn",
    says: `Mode ${modeName}: there is no trial boot and no way back to the old image.`,
  };
}

/** How its flash is cut into sectors no board reports: these are the usual ones, the commonest first. */
const USUAL_SECTORS = [4096, 2048, 1024] as const;

const WEAK_SPOTS: Readonly<Record<WeakSpot, string>> = {
  "no-way-back": "a power cut in the middle can leave the new one unconfirmed and no way back to the old one",
  "no-boot": "a power cut in the middle can leave a board that no longer boots",
  stuck: "the old one leaves the swap no room, and the bootloader can stop for good",
};

/** Known weak spots of MCUboot itself that depend on the sizes of the two images. Never a failure: most cuts miss them. */
function powerCut({ image, facts, imageNumber }: GateInput): Judgement {
  const { mode: number, modeName } = facts.bootloader ?? {};
  const mode = MODES[number ?? -1];
  if (facts.server === "recovery") return { result: "pass", says: "Serial recovery swaps nothing." };
  if (mode === undefined) return { result: "unknown", says: "The board does not report its upgrade mode." };
  if (!mode.startsWith("swap")) return { result: "pass", says: `Mode ${modeName} swaps nothing.` };
  const running = runningSlot(facts, imageNumber);
  const oldSize = running?.content?.imageSize?.value;
  if (oldSize === undefined) {
    const says = `Mode ${modeName}: how large the running image is, nobody reports.`;
    // Without the old image's size the other modes have nothing that is known to hurt in practice.
    if (mode !== "swap-offset") return { result: "pass", says };
    return { result: "unknown", says: `${says} Some pairs of sizes do not outlive every power cut.` };
  }
  const pair = { oldSize, newSize: image.size, primarySize: running?.size };
  const met = USUAL_SECTORS.flatMap((sectorSize) => {
    const spot = weakSpotOf(mode, { ...pair, sectorSize });
    return spot === undefined ? [] : [{ spot, sectorSize }];
  });
  const sizes = `from ${oldSize} to ${image.size} bytes`;
  if (!met[0])
    return { result: "pass", says: `Mode ${modeName}: no weak spot is known for a swap ${sizes}.` };
  return {
    result: "warn",
    says: `Mode ${modeName}, ${sizes} in sectors of ${met[0].sectorSize}: ${WEAK_SPOTS[met[0].spot]} (MCUboot 2.4).`,
  };
}

/** False when the board says that it has no trial boot; a board that does not say may have one. */
export function mayRevert({ bootloader }: BoardFacts): boolean {
  return bootloader?.mode === undefined || MODES_WITH_REVERT.includes(bootloader.mode);
}

/** The slot that an upload goes to. */
export function targetSlot(facts: BoardFacts, imageNumber: number): SlotFacts | undefined {
  const wanted = facts.server === "recovery" ? 0 : 1;
  const running = runningSlot(facts, imageNumber);
  const slots = slotsOf(facts, imageNumber);
  // direct-XIP may run from slot 1: uploads then go to slot 0.
  const other = running?.content?.active && running.slot === 1 ? 0 : wanted;
  return slots.find((slot) => slot.slot === other);
}

/** `1.2.3` or `1.2.3.4`, as a board writes it; undefined for `<???>`. */
export function readVersion(text: SlotContent["version"]): Version | undefined {
  const build = /^(\d+\.\d+\.\d+)\.(\d+)$/.exec(text);
  try {
    return parseVersion(build ? `${build[1]}+${build[2]}` : text);
  } catch (error) {
    if (error instanceof VersionError) return undefined;
    throw error;
  }
}
