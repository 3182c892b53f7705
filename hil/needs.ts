import type { Need } from "./case.js";
import type { Stand } from "./stand.js";

/** Why a board, its bench entry or its images do not have what a case needs; undefined when they do. */
type Test = (stand: Stand) => string | undefined;

const unless = (is: boolean, why: string) => (is ? undefined : why);
const body =
  (behaviour: "no-confirm" | "hang" | "crash" | "self-confirm" | "fail-health"): Test =>
  ({ forge }) =>
    unless(
      forge.has(behaviour),
      `There is no image at hand that behaves as "${behaviour}" (bench field images.${behaviour}).`,
    );

export const NEEDS: Readonly<Record<Need, Test>> = {
  key: ({ forge }) =>
    unless(forge.canSign, "Without a signing key only damage can be made (--key, bench field keys.signing)."),
  signature: ({ forge }) => unless(forge.asksForSignature, "Images of this board carry no signature."),
  update: ({ forge }) =>
    unless(
      forge.canUpdate,
      "There is neither a signing key nor a second good image (--key, or bench field update).",
    ),
  counter: ({ forge }) =>
    unless(forge.counter !== undefined, "The board's own image carries no security counter."),
  "lower-version": ({ forge }) =>
    unless(forge.lowerVersion !== undefined, "The board's own version is 0.0.0: none is lower."),
  trial: ({ hasTrial, mode }) =>
    unless(hasTrial, `A bootloader in mode ${mode ?? "unknown"} has no trial boot.`),
  secondary: ({ home, mode }) =>
    unless(
      mode !== "single-slot" && mode !== "firmware-loader" && home.slots.some(({ image }) => image === 0),
      "The board shows no second slot for updates.",
    ),
  programmer: ({ canProgram }) =>
    unless(canProgram, "The board's flash cannot be read and written from outside."),
  power: ({ board }) =>
    unless(
      board.can.has("power") && !board.can.has("forgets"),
      board.can.has("forgets")
        ? "This machine forgets its flash with its power, so a power cut shows nothing."
        : "Nobody can switch the board's power (bench field power).",
    ),
  cut: ({ board }) =>
    unless(board.can.has("cut"), "Power cannot be made to fail at a chosen flash operation."),
  recovery: ({ recoveryProblem }) => recoveryProblem,
  emulated: ({ board }) =>
    unless(
      board.can.has("cut") || board.can.has("forgets"),
      "This may destroy the bootloader: emulated boards only.",
    ),
  "two-images": ({ home }) =>
    unless(
      home.slots.some(({ image }) => image === 1),
      "The board has one image only.",
    ),
  "accepted-key": ({ options }) =>
    unless(options.keys.accepted.length > 0, "The bench file names no further accepted key (keys.accepted)."),
  "refused-key": ({ options }) =>
    unless(
      options.keys.refused.length > 0,
      "The bench file names no key that must be refused (keys.refused).",
    ),
  "no-confirm": body("no-confirm"),
  hang: body("hang"),
  crash: body("crash"),
  "self-confirm": body("self-confirm"),
  "fail-health": body("fail-health"),
};
