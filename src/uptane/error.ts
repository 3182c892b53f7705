import { BootproofError } from "../errors.js";

/** What is wrong with what a Director directs, or with what a vehicle reports. */
export type UptaneErrorCode =
  /** The Director delegates, which it may not. */
  | "director-delegates"
  /** A target of the Director names no ECU, or names one in no way that can be read. */
  | "bad-assignment"
  /** One ECU is directed to two targets. */
  | "ecu-twice"
  /** An ECU that is not one of this vehicle. */
  | "unknown-ecu"
  /** An image for other hardware than the ECU is. */
  | "wrong-hardware-id"
  /** The Director and the Image repository do not say the same of a target. */
  | "repositories-disagree"
  /** An older release than the one that is installed. */
  | "older-release"
  /** Directions for another vehicle, or an empty list that names none. */
  | "wrong-vehicle"
  /** A bundle for offline updates that lacks a file. */
  | "partial-bundle"
  /** A bundle whose parts do not belong together, or that holds several updates. */
  | "mixed-bundle"
  /** A folder or file that is no bundle for offline updates. */
  | "not-a-bundle"
  /** What this bench keeps of a vehicle is damaged. */
  | "bad-vehicle-state"
  /** Not a version manifest. */
  | "bad-manifest"
  /** A version manifest, or a report in it, that is not signed by its ECU. */
  | "manifest-unsigned"
  /** A report that was sent before, of an ECU that is missing, or from a time that cannot be. */
  | "manifest-implausible";

/** Directions that a vehicle must not follow, or a report that a Director must not believe. */
export class UptaneError extends BootproofError {
  declare readonly code: UptaneErrorCode;
  /** The target, the ECU or the file that is meant. */
  readonly subject: string;

  constructor(
    code: UptaneErrorCode,
    subject: string,
    message: string,
    options: { hint?: string; cause?: unknown } = {},
  ) {
    super(code, message, { hint: options.hint ?? HINTS[code], cause: options.cause });
    this.subject = subject;
  }
}

const ASK_THE_DIRECTOR = "Install nothing; tell the operator of the Director.";

const HINTS: Readonly<Record<UptaneErrorCode, string>> = {
  "director-delegates": ASK_THE_DIRECTOR,
  "bad-assignment": ASK_THE_DIRECTOR,
  "ecu-twice": ASK_THE_DIRECTOR,
  "unknown-ecu": "Name every ECU of the vehicle. If it is none of this vehicle, install nothing.",
  "wrong-hardware-id":
    "Compare the hardware id that you gave with the board; install nothing until they agree.",
  "repositories-disagree":
    "Install nothing: one of the two repositories is half updated, or its key is in other hands.",
  "older-release":
    "To go back on purpose, the Image repository must sign the old image again with a higher release counter.",
  "wrong-vehicle":
    "Give the id of this vehicle. If it is right, install nothing and tell the operator of the Director.",
  "partial-bundle": "Copy the bundle again, whole. If it was made so, have it made again.",
  "mixed-bundle": "Install nothing: get the bundle again from its publisher.",
  "not-a-bundle": "bootproof bundle make makes one.",
  "bad-vehicle-state":
    "Look at the boards with bootproof info; uptane install --abandon forgets the installation that is under way.",
  "bad-manifest": "Make it again, or ask its author.",
  "manifest-unsigned": "Do not believe it. Are these the public keys of this vehicle's ECUs?",
  "manifest-implausible": "Ask the vehicle for a new one.",
};
