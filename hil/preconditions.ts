import type { Behaviour } from "./board-files/board-entry.js";
import type { Need } from "./case.js";
import { isMachine } from "./harness/context.js";
import type { Harness } from "./harness/harness.js";

/** Why a board, its entry in the board file or its images do not have what a case needs; undefined when they do. */
type Test = (harness: Harness) => string | undefined;

const unless = (is: boolean, why: string) => (is ? undefined : why);
const body =
  (behaviour: Behaviour): Test =>
  ({ factory, board: { entry } }) =>
    unless(
      factory.has(behaviour),
      entry.reach.kind === "qemu"
        ? `No image for ${entry.name} behaves as "${behaviour}"; wasm:${entry.reach.variant}, which runs the same bootloader, has one.`
        : `No image is given that behaves as "${behaviour}" (field images.${behaviour} of the board file).`,
    );

/** An image for the second slot would have to be linked for it, and nobody has one. */
export function lacksOtherSlot({ traits, primaryFactory }: Harness): boolean {
  return traits.runsWhereWritten && !primaryFactory.hasOtherSlot;
}

/** Bootloaders unpack where nothing has to be kept of the old image. A mode that nobody has told may be that one. */
export function cannotUnpack({ traits: { mode } }: Harness): boolean {
  return mode !== undefined && mode !== "overwrite-only";
}

export const NEEDS: Readonly<Record<Need, Test>> = {
  key: ({ factory }) =>
    unless(
      factory.canSign,
      "Without a signing key only damaged images can be made (--key, or field keys.signing of the board file).",
    ),
  signature: ({ factory }) => unless(factory.asksForSignature, "Images of this board carry no signature."),
  update: ({ factory }) =>
    unless(
      factory.canUpdate,
      "There is neither a signing key nor a second good image (--key, or field update of the board file).",
    ),
  counter: ({ factory }) =>
    unless(factory.counter !== undefined, "The board's own image carries no security counter."),
  "lower-counter": ({ factory }) =>
    unless(factory.counter !== 0, "The board's own image carries security counter 0: none is lower."),
  "lower-version": ({ factory }) =>
    unless(factory.lowerVersion !== undefined, "The board's own version is 0.0.0: none is lower."),
  trial: ({ traits: { hasTrial, mode } }) =>
    hasTrial === undefined
      ? "The board reports no upgrade mode, and none of its images ran on trial (field mode of the board file)."
      : unless(hasTrial, `A bootloader in mode ${mode} has no trial boot.`),
  secondary: (harness) => {
    if (lacksOtherSlot(harness))
      return "The board starts images in the slot that they are written to, and no image linked for the second slot is given (field other-slot of the board file).";
    if (harness.traits.hasOneSlot)
      return unless(
        harness.traits.canProgram || harness.base.recoveryProblem === undefined,
        "The board has one slot, which can be written neither by a programmer nor by serial recovery.",
      );
    return unless(
      harness.initial.slots.some(({ image }) => image === 0),
      "The board has no second slot for updates.",
    );
  },
  "server-upload": ({ traits: { hasOneSlot } }) =>
    unless(!hasOneSlot, "The board has one slot: its application accepts no updates."),
  programmer: ({ traits: { canProgram } }) =>
    unless(canProgram, "The board's flash cannot be read and written from outside."),
  "primary-writable": ({ traits: { canProgram }, base: { recoveryProblem } }) =>
    canProgram || recoveryProblem === undefined
      ? undefined
      : `The primary slot can be written neither by a programmer nor by serial recovery: ${recoveryProblem}`,
  power: ({ board }) =>
    unless(
      board.can.has("power") && !board.can.has("forgets"),
      board.can.has("forgets")
        ? "This machine loses its flash contents with its power, so a power cut shows nothing. (Set keeps-flash: true in the board file if it does not.)"
        : "The board's power cannot be switched (field power of the board file).",
    ),
  cut: ({ board }) =>
    unless(board.can.has("cut"), "Power cannot be made to fail at a chosen flash operation."),
  recovery: ({ base, traits: { mode } }) =>
    mode === "firmware-loader"
      ? "This bootloader starts its firmware loader where others have serial recovery."
      : base.recoveryProblem,
  emulated: ({ board }) =>
    unless(
      board.can.has("cut") || isMachine(board),
      "This may destroy the bootloader: emulated boards only.",
    ),
  "two-images": ({ initial }) =>
    unless(
      initial.slots.some(({ image }) => image === 1),
      "The board has one image only.",
    ),
  "accepted-key": ({ options }) =>
    unless(options.keys.accepted.length > 0, "The board file names no further accepted key (keys.accepted)."),
  "refused-key": ({ options }) =>
    unless(
      options.keys.refused.length > 0,
      "The board file names no key that must be refused (keys.refused).",
    ),
  "key-list": ({ initial }) =>
    unless(initial.trustedKeys !== undefined, "The board does not list the keys that it trusts."),
  decompresses: (harness) => {
    const { compression } = harness.initial;
    if (compression !== undefined)
      return unless(
        compression.includes("lzma2"),
        `The bootloader decompresses ${compression.join(", ")}, not lzma2.`,
      );
    if (harness.options.decompresses) return undefined;
    return cannotUnpack(harness)
      ? `Mode ${harness.traits.mode}: bootloaders decompress images only in overwrite-only mode.`
      : "The board does not report whether its bootloader decompresses images (claim decompression of the board file).";
  },
  "no-confirm": body("no-confirm"),
  hang: body("hang"),
  crash: body("crash"),
  "self-confirm": body("self-confirm"),
  "fail-health": body("fail-health"),
  "raise-counter": body("raise-counter"),
  encryption: ({ factory }) =>
    unless(
      factory.canEncrypt,
      "The key that updates of this board are encrypted for is not named (keys.encryption of the board file).",
    ),
  "slot-addresses": ({ traits, addressOf }) => {
    if (traits.mode === undefined)
      return "The board reports no upgrade mode, so it is not known whether images run where they are written (field mode of the board file).";
    return traits.runsWhereWritten
      ? unless(
          addressOf(0) !== undefined && addressOf(1) !== undefined,
          "The board's images do not say which address they are linked for (imgtool --rom-fixed).",
        )
      : "All images of this board run from the same address.";
  },
  "breakable-flash": ({ board }) =>
    unless(board.can.has("break"), "No part of this board's flash can be made to fail from here."),
  request: ({ traits: { asksForUpload } }) =>
    unless(asksForUpload, "The board chooses by version what to start: nothing is requested."),
};

/** Why this board does not have what a case needs; undefined when it does. */
export function lacks(harness: Harness, need: Need): string | undefined {
  return NEEDS[need](harness);
}
