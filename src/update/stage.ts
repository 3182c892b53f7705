import { toHex } from "../bytes.js";
import type { Image } from "../mcuboot/image.js";
import { formatVersion } from "../mcuboot/version.js";
import { runningSlot, slotsOf } from "../session/board-facts.js";
import type { BoardFacts, SlotContent } from "../session/facts.js";
import type { FlashOptions } from "./events.js";
import { isImage, modesOf } from "./mode-checks.js";
import type { PreflightCheck } from "./preflight-check.js";
import { revertsUnconfirmed } from "./revert-checks.js";

/** Which image is meant, and for which pair of slots. */
export interface Target {
  /** The image hash that the board shall report in the end. */
  hash: Uint8Array;
  /** Of a compressed image: the hash by which it is listed until it is unpacked. */
  sentHash?: Uint8Array | undefined;
  imageNumber: number;
  /** What was sent, where it is at hand: boards that pick by version are judged by it. */
  image?: Pick<Image, "version" | "body" | "encrypted" | "header">;
}

/**
 * How far this very image has come on the board. An update that was cut short (a host that crashed, a power cut) is
 * taken up where it stands: what is marked is not sent again, what runs on trial is not restarted.
 */
export type Stage = "absent" | "marked" | "on-trial" | "confirmed";

export function stageOf(facts: BoardFacts, target: Target): Stage {
  if (facts.server === "recovery") return "absent";
  const running = runningSlot(facts, target.imageNumber)?.content;
  if (running?.active && isTarget(running, target)) return running.confirmed ? "confirmed" : "on-trial";
  return slotsOf(facts, target.imageNumber).some(
    ({ content }) => content?.pending && isImage(content, listedHash(target)),
  )
    ? "marked"
    : "absent";
}

/** The hash by which the slot that it was sent to lists it. */
export function listedHash({ hash, sentHash }: Pick<Target, "hash" | "sentHash">): Uint8Array {
  return sentHash ?? hash;
}

const isTarget = (content: SlotContent | undefined, { hash }: Target): boolean => isImage(content, hash);

/** True when the board says that it runs this image. The bootloader lists what lies in the primary slot unstarted. */
export function runs(facts: BoardFacts, target: Target): boolean {
  return facts.server !== "recovery" && isTarget(runningSlot(facts, target.imageNumber)?.content, target);
}

/** What will happen, in words, before it happens. */
export function plan(
  facts: BoardFacts,
  image: Image,
  stage: Stage,
  options: Pick<FlashOptions, "imageNumber" | "confirm"> & { bytes: number; plainBytes?: number | undefined },
): string[] {
  const { imageNumber = 0, confirm = true, bytes, plainBytes } = options;
  const running = runningSlot(facts, imageNumber)?.content;
  const next = formatVersion(image.version);
  const short = (hash: Uint8Array | undefined) =>
    hash === undefined ? "" : ` (${toHex(hash).slice(0, 12)})`;
  const change = `${facts.name}: ${running ? `${running.version}${short(running.hash)}` : "no image"} -> ${next}${short(image.imageHash?.value)}`;
  if (facts.server === "recovery") {
    return [change, `Overwrite the primary slot with ${bytes} bytes, reset, check whether it runs.`];
  }
  const end = confirm ? "confirm it if it is healthy" : "leave it on trial";
  const begin: Readonly<Record<Exclude<Stage, "confirmed">, string>> = {
    absent: `Send ${bytes} bytes${plainBytes === undefined ? "" : ` (compressed; ${plainBytes} uncompressed)`} to the free slot, ${markWords(facts)}reset, check whether it runs`,
    marked: "The board holds this image, marked for the next boot: reset, check whether it runs",
    "on-trial": "The board already runs this image on trial: check whether it keeps running",
  };
  return [change, `${begin[stage as Exclude<Stage, "confirmed">]}, ${end}.`];
}

function markWords(facts: BoardFacts): string {
  const modes = modesOf(facts);
  if (modes.length > 0 && modes.every(({ marked }) => !marked)) return "";
  return `mark them for ${revertsUnconfirmed(facts) ? "a test" : "the next"} boot, `;
}

/**
 * How a run that only looks ends. Failures that were to be ignored do not count as passed.
 *
 * @param checks - of all images
 * @returns one sentence
 */
export function dryRunMessage(checks: readonly Pick<PreflightCheck, "name" | "result">[]): string {
  const failed = [...new Set(checks.filter(({ result }) => result === "fail").map(({ name }) => name))];
  if (failed.length === 0) return "The preflight passed; nothing was sent.";
  return `Nothing was sent. The preflight failed in ${failed.join(", ")}, and would be ignored.`;
}
