import { BootproofError } from "../errors.js";
import type { SilenceClue } from "../transport/transport.js";
import type { ReceiveDiagnostics, ReceivedInstead } from "./receive-diagnostics.js";

/** A command was sent, as often as it may be, and no answer came. */
export class RequestTimeout extends BootproofError {
  declare readonly code: "timeout";
  readonly command: string;
  readonly attempts: number;
  /** Waited for each attempt. */
  readonly timeoutMs: number;
  readonly received: ReceivedInstead;
  /** The end of the text that was heard, on one line. */
  readonly text: string;

  constructor(
    pipe: string,
    request: { command: string; attempts: number; timeoutMs: number },
    diagnostics: ReceiveDiagnostics,
    clue?: SilenceClue,
  ) {
    const { command, attempts, timeoutMs } = request;
    const asked = attempts === 1 ? "one request" : `${attempts} requests`;
    const { message: sentence, hint } = SILENCES[diagnostics.received];
    const quote =
      (diagnostics.received === "text" || diagnostics.received === "boot") && diagnostics.quote !== ""
        ? ` ("${diagnostics.quote}")`
        : "";
    const message = `${command}: ${pipe} did not answer ${asked} of ${Math.round(timeoutMs)} ms each; heard ${sentence}${quote}.`;
    // Text and an echo explain themselves.
    const found = ["text", "boot", "echo"].includes(diagnostics.received) ? undefined : clue;
    const sentences = found === undefined ? message : `${message} ${found.message}`;
    super("timeout", sentences, {
      hint: found === undefined ? hint : `${found.hint} Otherwise: ${hint}`,
    });
    this.command = command;
    this.attempts = attempts;
    this.timeoutMs = Math.round(timeoutMs);
    this.received = diagnostics.received;
    this.text = diagnostics.quote;
  }
}

/** What a silence sounds like, and what it usually means. */
export const SILENCES: Readonly<Record<ReceivedInstead, { message: string; hint: string }>> = {
  nothing: {
    message: "nothing at all",
    hint: "Is the board on, is this its SMP port and not its log port, and does its firmware have an SMP server?",
  },
  text: {
    message: "only log text",
    hint: "This is the log or shell port, or the firmware has no SMP server on it. Try the board's other port, or enter serial recovery.",
  },
  boot: {
    message: "only its boot messages",
    hint: "It may still be starting or swapping images: leave its power on, wait, then try again. If this is its log port, try the other one.",
  },
  noise: {
    message: "bytes that are not text",
    hint: "The baud rate is probably wrong: set the board's rate with ?baud=, for example ?baud=1000000.",
  },
  damaged: {
    message: "damaged frames",
    hint: "Bytes get lost on the way: try a lower baud rate, a shorter cable, or close other programs on this port.",
  },
  echo: {
    message: "only its own requests, echoed",
    hint: "Something echoes: TX and RX are connected, or a terminal is in echo mode.",
  },
  "other-answers": {
    message: "answers to other requests",
    hint: "Another program talks to this board, or the board is slower than the timeout: try a longer --timeout.",
  },
};
