import { BootproofError } from "../errors.js";
import type { Ear, HeardInstead } from "./ear.js";

/** A command was sent, as often as it may be, and no answer came. */
export class RequestTimeout extends BootproofError {
  declare readonly code: "timeout";
  readonly command: string;
  readonly attempts: number;
  /** Waited for each attempt. */
  readonly timeoutMs: number;
  readonly heard: HeardInstead;
  /** The end of the text that was heard, on one line. */
  readonly text: string;

  constructor(pipe: string, request: { command: string; attempts: number; timeoutMs: number }, ear: Ear) {
    const { command, attempts, timeoutMs } = request;
    const asked = attempts === 1 ? "one request" : `${attempts} requests`;
    const { says, hint } = SILENCES[ear.heard];
    const quote =
      (ear.heard === "text" || ear.heard === "boot") && ear.quote !== "" ? ` ("${ear.quote}")` : "";
    const message = `${command}: ${pipe} did not answer ${asked} of ${timeoutMs} ms each; heard ${says}${quote}.`;
    super("timeout", message, { hint });
    this.command = command;
    this.attempts = attempts;
    this.timeoutMs = timeoutMs;
    this.heard = ear.heard;
    this.text = ear.quote;
  }
}

/** What a silence sounds like, and what it usually means. */
export const SILENCES: Readonly<Record<HeardInstead, { says: string; hint: string }>> = {
  nothing: {
    says: "nothing at all",
    hint: "Is the board on, is this its SMP port and not its log port, and does its firmware have an SMP server?",
  },
  text: {
    says: "only log text",
    hint: "This is the log or shell port, or the firmware has no SMP server on it. Try the board's other port, or enter serial recovery.",
  },
  boot: {
    says: "only how it starts",
    hint: "It may start still, or be deaf since it was asked too early: try again, then switch it off and on. If this is its log port, try the other one.",
  },
  noise: {
    says: "bytes that are no text",
    hint: "Usually a wrong baud rate: give the board's own with ?baud=, for instance ?baud=1000000.",
  },
  damaged: {
    says: "damaged frames",
    hint: "Bytes get lost on the way: try a lower baud rate, a shorter cable, or close other programs on this port.",
  },
  echo: {
    says: "its own requests come back",
    hint: "Something echoes: transmit and receive are bridged, or a terminal is in echo mode.",
  },
  "other-answers": {
    says: "answers to other requests",
    hint: "Another program speaks to this board, or it is slower than the time given: try a longer --timeout.",
  },
};
