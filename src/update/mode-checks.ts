import { equal } from "../bytes.js";
import { checkDependencyVersions } from "../mcuboot/dependencies.js";
import type { Image } from "../mcuboot/image.js";
import { largestImage } from "../mcuboot/largest-image.js";
import { oddLength, TLV } from "../mcuboot/tlv.js";
import { UPGRADE_MODES, upgradeModesOfNumber } from "../mcuboot/upgrade-modes.js";
import {
  compareVersions,
  formatVersion,
  parseVersion,
  type Version,
  VersionError,
} from "../mcuboot/version.js";
import { runningSlot, slotsOf } from "../session/board-facts.js";
import type { BoardFacts, SlotContent, SlotFacts } from "../session/facts.js";

/** What a check of the preflight came to; its name is added by the list of checks. */
interface Judged {
  result: "pass" | "fail" | "warn" | "unknown";
  message: string;
  hint?: string;
}

interface Update {
  image: Pick<Image, "version">;
  facts: BoardFacts;
  imageNumber: number;
  /** Versions of the other images that come with the same update, by number. */
  alongside?: ReadonlyMap<number, Version> | undefined;
}

/** The modes that the board's number stands for; none when it reports no mode, or one that is not known. */
export function modesOf({ bootloader }: Pick<BoardFacts, "bootloader">) {
  return upgradeModesOfNumber(bootloader?.mode);
}

/** The board starts the higher version of two slots, and nothing else asks for an image. */
export function picksByVersion(facts: Pick<BoardFacts, "bootloader">): boolean {
  const modes = modesOf(facts);
  return modes.length > 0 && modes.every(({ picks }) => picks === "version");
}

/** The bootloader exchanges the slots: what lies in the other slot afterwards was started, or was there before. */
export function swaps(facts: Pick<BoardFacts, "bootloader">): boolean {
  const modes = modesOf(facts);
  return modes.length > 0 && modes.every(({ swap }) => swap !== undefined);
}

/** The application is started unless the loader is asked for, which takes images for it. */
function hasLoader(facts: BoardFacts): boolean {
  const modes = modesOf(facts);
  return modes.length > 0 && modes.every(({ secondary }) => secondary === "loader");
}

/** The loader answers: its slot is active, and never confirmed. */
export function isLoader(facts: BoardFacts, imageNumber: number): boolean {
  return hasLoader(facts) && runningSlot(facts, imageNumber)?.slot === 1;
}

/** The slot that an upload goes to. */
export function targetSlot(facts: BoardFacts, imageNumber: number): SlotFacts | undefined {
  const wanted = facts.server === "recovery" ? 0 : 1;
  const running = runningSlot(facts, imageNumber);
  // Direct-XIP and firmware loaders may run from slot 1: uploads then go to slot 0.
  const other = running?.content?.active && running.slot === 1 ? 0 : wanted;
  return slotsOf(facts, imageNumber).find((slot) => slot.slot === other);
}

/** The image that an update replaces: what runs, or with a firmware loader the application in slot 0. */
export function replacedImage(facts: BoardFacts, imageNumber: number): SlotContent | undefined {
  if (isLoader(facts, imageNumber))
    return slotsOf(facts, imageNumber).find(({ slot }) => slot === 0)?.content;
  return runningSlot(facts, imageNumber)?.content;
}

/**
 * Whether a board that starts the higher version would start this one beside what it runs: of two equal versions MCUboot
 * takes slot 0, and build numbers do not count. Undefined when the running version is not reported.
 */
export function startsByVersion(
  { version }: Pick<Image, "version">,
  facts: BoardFacts,
  imageNumber: number,
): boolean | undefined {
  const running = runningSlot(facts, imageNumber);
  const theirs = running?.content && readVersion(running.content.version);
  if (running === undefined || theirs === undefined) return undefined;
  const order = compareVersions(version, theirs);
  return order === 0 ? running.slot === 1 : order > 0;
}

/** Why the image would not start on a board that picks by version; undefined when it would, or that is not known. */
export function passedOver({ image, facts, imageNumber }: Update): Judged | undefined {
  if (startsByVersion(image, facts, imageNumber) !== false) return undefined;
  const running = runningSlot(facts, imageNumber)!;
  const mine = formatVersion(image.version);
  const theirs = running.content!.version;
  const isEqual = compareVersions(image.version, readVersion(theirs)!) === 0;
  return {
    result: "fail",
    message: isEqual
      ? `Version ${mine} runs already, in slot ${running.slot}: of two equal versions this bootloader starts the one in slot 0.`
      : `Version ${mine} is lower than the running ${theirs}: this bootloader starts the higher version.`,
    hint: `Raise the version above ${theirs} and sign the image again: bootproof sign -v, or CONFIG_MCUBOOT_IMGTOOL_SIGN_VERSION in Zephyr, whose default is 0.0.0.`,
  };
}

/** Whether the other images that this one needs are there. Nothing for an image that needs none. */
export function judgeDependencies({
  image,
  facts,
  imageNumber,
  alongside,
}: Update & { image: Image }): Judged | undefined {
  const odd = image.tlvs.filter(({ type }) => type === TLV.DEPENDENCY).flatMap((tlv) => oddLength(tlv) ?? []);
  if (odd[0] !== undefined)
    return { result: "fail", message: odd[0], hint: "Nothing was sent. Build and sign the image again." };
  if (image.dependencies.length === 0) return undefined;
  const states = checkDependencyVersions(image.dependencies, (number) =>
    number === imageNumber ? image.version : (alongside?.get(number) ?? versionToCome(facts, number)),
  );
  const missing = states.find(({ is }) => is === "missing");
  if (missing !== undefined) {
    const needed = `The image needs image ${missing.image} of version ${formatVersion(missing.version)} or later`;
    return {
      result: "fail",
      message: missing.found
        ? `${needed}; ${alongside?.has(missing.image) ? "the update brings" : "the board has"} version ${formatVersion(missing.found)} there.`
        : `${needed}; the board lists no such image.`,
      hint: `Send a newer image ${missing.image} first (--image ${missing.image}), or both in one update.`,
    };
  }
  const unknown = states.find(({ is }) => is === "unknown");
  if (unknown !== undefined)
    return {
      result: "unknown",
      message: `The image needs image ${unknown.image} of version ${formatVersion(unknown.version)} or later; the board does not report its version.`,
    };
  const met = states.map(({ image: number, found }) => `image ${number} ${formatVersion(found!)}`);
  return { result: "pass", message: `The dependencies of the image are met: ${met.join(", ")}.` };
}

/** The version of an image number after the next boot: what is pending counts, as for the bootloader. */
function versionToCome(facts: BoardFacts, imageNumber: number): Version | null | undefined {
  if (facts.images.length === 0) return undefined;
  const slots = slotsOf(facts, imageNumber);
  const content =
    slots.find((slot) => slot.content?.pending)?.content ?? runningSlot(facts, imageNumber)?.content;
  if (content !== undefined) return readVersion(content.version);
  // A pair of slots in which nothing is listed may hold an image that the board does not report.
  return slots.length > 0 ? undefined : null;
}

/** Boards whose running program is not the one to give an image to; undefined for all others. */
export function judgeTaker(facts: BoardFacts, imageNumber: number): Judged | undefined {
  if (facts.server === "recovery") return undefined;
  const modes = modesOf(facts);
  const mode = facts.bootloader?.modeName ?? "";
  if (modes.length > 0 && modes.every(({ secondary }) => secondary === "none"))
    return {
      result: "fail",
      message: `Mode ${mode}: the application runs in the only slot, so it cannot receive an image.`,
      hint: "Write the image through the bootloader: bootproof recover.",
    };
  if (!hasLoader(facts)) return undefined;
  if (isLoader(facts, imageNumber))
    return {
      result: "pass",
      message: "The firmware loader answers; it overwrites the application in slot 0.",
    };
  return {
    result: "fail",
    message: `Mode ${mode}: the application runs, and only the loader in slot 1 takes images; an upload now would overwrite it.`,
    hint: "Start the loader (its pin, or bootproof reset with its boot mode), then flash again.",
  };
}

/**
 * The application writes updates where its own mode wants them; a bootloader of another mode looks elsewhere. Nothing
 * where only one of the two tells.
 */
export function judgeModes({ facts }: { facts: BoardFacts }): Judged | undefined {
  const { modeName, applicationMode, applicationModeName } = facts.bootloader ?? {};
  if (applicationMode === undefined || facts.server === "recovery") return undefined;
  const [bootloader] = modesOf(facts);
  const [application] = upgradeModesOfNumber(applicationMode);
  const message = `The bootloader's mode is ${modeName}, the application was built for mode ${applicationModeName}.`;
  if (!bootloader || !application) return { result: "unknown", message };
  const sector = (mode: typeof bootloader) => mode.swap?.updateSector ?? 0;
  if (bootloader.picks === application.picks && sector(bootloader) === sector(application))
    return { result: "warn", message };
  const where =
    sector(bootloader) > sector(application)
      ? " Its uploads begin in the first sector of the secondary slot, where swap using offset keeps the old image: the bootloader erases them."
      : sector(bootloader) < sector(application)
        ? " Its uploads begin one sector into the secondary slot, where the bootloader does not look."
        : "";
  return {
    result: "fail",
    message: message + where,
    hint: "Build both for one mode (sysbuild: SB_CONFIG_MCUBOOT_MODE_..., application: CONFIG_MCUBOOT_BOOTLOADER_MODE_...); until then update through serial recovery: bootproof recover.",
  };
}

/** Sectors that most boards have, for sizes that the board does not report. */
const USUAL_SECTOR = 4096;

/**
 * The board reports neither a limit nor its mode: the modes differ in what they keep of a slot. Fits for certain when it
 * fits the strictest, and in no way when it does not fit the loosest.
 */
export function judgeSizeInAnyMode(imageSize: number, slotSize: number): Judged {
  const limits = UPGRADE_MODES.map(({ name, title }) => ({
    title,
    bytes: largestImage(name, { primarySize: slotSize, sectorSize: USUAL_SECTOR }),
  })).sort((a, b) => b.bytes - a.bytes);
  const [loosest, strictest] = [limits[0]!, limits.at(-1)!];
  if (imageSize > loosest.bytes)
    return {
      result: "fail",
      message: `${imageSize} bytes are ${imageSize - loosest.bytes} more than the ${loosest.bytes} that a slot of ${slotSize} bytes has room for in any mode.`,
      hint: "Make the firmware smaller, or the slots of the board larger.",
    };
  if (imageSize <= strictest.bytes)
    return {
      result: "pass",
      message: `${imageSize} bytes fit the ${strictest.bytes} that a slot of ${slotSize} bytes usually has room for in every mode.`,
    };
  const tight = limits.filter(({ bytes }) => bytes < imageSize);
  return {
    result: "warn",
    message: `${imageSize} bytes fit a slot of ${slotSize} bytes, but not in every mode, and the board does not report its mode: ${tight[0]!.title} takes ${tight[0]!.bytes} with sectors of ${USUAL_SECTOR}.`,
  };
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

/** The image that was sent, by its hash. */
export function isImage(content: SlotContent | undefined, hash: Uint8Array): boolean {
  return content?.hash !== undefined && equal(content.hash, hash);
}
