import { equal, toHex } from "../../bytes.js";
import type { Image } from "../../image/image.js";
import { formatVersion } from "../../image/version.js";
import { type BoardFacts, runningSlot, type SlotContent, slotsOf } from "../facts.js";
import { mayRevert } from "../gate.js";
import type { FlashOptions } from "./story.js";

/** Which image is meant, and for which pair of slots. */
export interface Target {
  hash: Uint8Array;
  imageNumber: number;
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
    ({ content }) => content?.pending && isTarget(content, target),
  )
    ? "marked"
    : "absent";
}

const isTarget = (content: SlotContent | undefined, { hash }: Target): boolean =>
  content?.hash !== undefined && equal(content.hash, hash);

/** True when the board says that it runs this image. The bootloader lists what lies in the primary slot unstarted. */
export function runs(facts: BoardFacts, target: Target): boolean {
  return facts.server !== "recovery" && isTarget(runningSlot(facts, target.imageNumber)?.content, target);
}

/** What will happen, in words, before it happens. */
export function plan(facts: BoardFacts, image: Image, stage: Stage, options: FlashOptions): string[] {
  const { imageNumber = 0, confirm = true } = options;
  const running = runningSlot(facts, imageNumber)?.content;
  const next = formatVersion(image.version);
  const short = (hash: Uint8Array | undefined) =>
    hash === undefined ? "" : ` (${toHex(hash).slice(0, 12)})`;
  const change = `${facts.name}: ${running ? `${running.version}${short(running.hash)}` : "no image"} -> ${next}${short(image.imageHash?.value)}`;
  if (facts.server === "recovery") {
    return [change, `Write ${image.size} bytes straight over the primary slot, reset, see whether it runs.`];
  }
  const end = confirm ? "confirm it if it is well" : "leave it on trial";
  const begin: Readonly<Record<Exclude<Stage, "confirmed">, string>> = {
    absent: `Send ${image.size} bytes to the free slot, mark them for ${mayRevert(facts) ? "a test" : "the next"} boot, reset, see whether it runs`,
    marked: "The board holds this image, marked for the next boot: reset, see whether it runs",
    "on-trial": "The board runs this image already, on trial: see whether it keeps running",
  };
  return [change, `${begin[stage as Exclude<Stage, "confirmed">]}, ${end}.`];
}
