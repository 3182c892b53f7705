import {
  type FileTail,
  madeTrailerSize,
  type TrailerIntent,
  tailOf,
  withMadeTrailer,
} from "../mcuboot/file-tail.js";
import type { Image } from "../mcuboot/image.js";
import { erasedValueOf } from "../mcuboot/slot.js";
import { upgradeModesOfNumber } from "../mcuboot/upgrade-modes.js";
import type { BoardFacts } from "../session/facts.js";
import { targetSlot } from "./mode-checks.js";
import type { PreflightCheck } from "./preflight-check.js";

/** What a command wants of the trailer. */
export interface TrailerWish {
  /** Which pair of slots; default 0. */
  imageNumber?: number | undefined;
  /** The image shall stay in the end. Default true. */
  confirm?: boolean | undefined;
  /** Make this trailer, or none, whatever the board tells. Default: one where the bootloader starts nothing without. */
  trailer?: TrailerIntent | "none" | undefined;
  /** Of the slot, bytes, where the board does not tell it. */
  slotSize?: number | undefined;
  /** What erased flash reads as: 0 or 0xff. Default: as the file's padding, else 0xff. */
  erasedValue?: number | undefined;
}

/** What travels to the board, and why it is that. */
export interface Payload {
  /** The image, header to last TLV; with a made trailer the whole slot. */
  readonly bytes: Uint8Array;
  /** What followed the image in the file. It is never sent. */
  readonly tail: FileTail;
  /** A trailer that was made on purpose. */
  readonly made?: TrailerIntent;
  readonly check: Omit<PreflightCheck, "name">;
}

/**
 * The bytes to send of a file with an image: the image alone, whatever follows it. Bootloaders that erase a slot without a
 * good trailer (direct-XIP and RAM load with revert) get a trailer made for the slot when serial recovery writes it; an
 * application writes it itself when it marks the image.
 *
 * `facts`: what the board tells; undefined when it does not answer.
 *
 * @param file - that holds the image
 * @param image - parsed from `file`
 * @param facts - what the board tells; undefined when it does not answer
 * @param wish - a trailer that was asked for, and the slot's size in bytes
 * @returns the bytes to send, and what the preflight should say of them
 */
export function payloadFor(
  file: Uint8Array,
  image: Image,
  facts: BoardFacts | undefined,
  wish: TrailerWish = {},
): Payload {
  const tail = tailOf(file, image);
  const plain = { bytes: file.subarray(0, image.size), tail };
  const intent = wish.trailer === "none" ? undefined : (wish.trailer ?? neededTrailer(facts, wish));
  if (intent === undefined) return { ...plain, check: judgeTail(tail, facts, wish) };

  const maxAlign = tail.kind === "trailer" ? tail.maxAlign : undefined;
  const slotSize = slotSizeOf(file, tail, facts, wish);
  if (slotSize === undefined) {
    const message =
      "The image needs a trailer at the end of its slot, and the board does not report the slot's size.";
    const hint = "Give a file that imgtool padded to the slot (--pad or --confirm): its length is used.";
    return { ...plain, check: { result: "fail", message, hint } };
  }
  const room = slotSize - madeTrailerSize({ maxAlign });
  if (image.size > room) {
    const message = `The image has ${image.size} bytes; with a trailer the slot of ${slotSize} has room for ${room}.`;
    return { ...plain, check: { result: "fail", message, hint: "Make the firmware smaller." } };
  }
  const erasedValue = wish.erasedValue ?? (tail.kind === "none" ? 0xff : erasedValueOf(file, image));
  const bytes = withMadeTrailer(file, image, { intent, slotSize, maxAlign, erasedValue });
  const filled = erasedValue === 0xff ? "" : ", erased flash is 0";
  const message = `A trailer is made for the slot of ${slotSize} bytes: ${MADE[intent]} (alignment ${maxAlign ?? 8}${filled}).`;
  return { bytes, tail, made: intent, check: { result: "warn", message } };
}

const MADE: Readonly<Record<TrailerIntent, string>> = {
  test: "the image boots once and has to be confirmed",
  confirmed: "the image counts as confirmed",
};

function neededTrailer(
  facts: BoardFacts | undefined,
  { confirm = true }: TrailerWish,
): TrailerIntent | undefined {
  if (facts?.server !== "recovery") return undefined;
  const modes = upgradeModesOfNumber(facts.bootloader?.mode);
  const needs = modes.some(({ picks, marked }) => picks === "version" && marked);
  if (!needs) return undefined;
  return confirm ? "confirmed" : "test";
}

function slotSizeOf(
  file: Uint8Array,
  tail: FileTail,
  facts: BoardFacts | undefined,
  { imageNumber = 0, slotSize }: TrailerWish,
): number | undefined {
  const reportedSize = facts && targetSlot(facts, imageNumber)?.size;
  return reportedSize ?? slotSize ?? (tail.kind === "trailer" ? file.length : undefined);
}

function judgeTail(
  tail: FileTail,
  facts: BoardFacts | undefined,
  { confirm = true, trailer }: TrailerWish,
): Payload["check"] {
  switch (tail.kind) {
    case "none":
      return { result: "pass", message: "Nothing follows the image in the file." };
    case "padding":
      return {
        result: "pass",
        message: `${tail.bytes} bytes of padding follow the image; they are not sent.`,
      };
    case "data":
      return {
        result: "warn",
        message: `${tail.bytes} bytes that are neither padding nor a trailer follow the image; they are not sent.`,
      };
    case "trailer":
  }
  const left = `${tail.bytes} bytes follow the image, with a trailer`;
  if (facts?.server === "recovery" || facts === undefined)
    return { result: "warn", message: `${left} made for an update slot; they are not sent.` };
  if (tail.intent === "test")
    return { result: "pass", message: `${left} that asks for a test boot; they are not sent.` };
  const message = `${left} that makes the image permanent without a trial boot`;
  if (confirm || trailer !== undefined) return { result: "warn", message: `${message}; they are not sent.` };
  return {
    result: "fail",
    message: `${message}, and the command leaves it on trial.`,
    hint: "Send the file without a trailer (*.signed.bin), or omit the trailer with --skip trailer.",
  };
}
