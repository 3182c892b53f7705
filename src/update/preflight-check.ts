import type { Image } from "../mcuboot/image.js";
import type { CheckName } from "../mcuboot/verify.js";
import type { Version } from "../mcuboot/version.js";
import type { BoardFacts } from "../session/facts.js";

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

export type Judgement = Omit<PreflightCheck, "name">;
