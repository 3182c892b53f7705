import { concat } from "../bytes.js";
import type { FaultCode } from "../smp/framing/framing.js";

/** What came from the device while an answer was waited for: the best evidence of why there was none. */
export type ReceivedInstead =
  /** Not one byte. */
  | "nothing"
  /** Readable text only. */
  | "text"
  /** The text of a board that starts, and nothing more. */
  | "boot"
  /** Bytes that are mostly no text. */
  | "noise"
  /** Frames that arrived damaged. */
  | "damaged"
  /** Our own requests, sent back to us. */
  | "echo"
  /** Whole messages, but answers to something else. */
  | "other-answers";

/** Bytes kept to judge by, and characters kept to quote. */
const SAMPLE_SIZE = 512;
const QUOTE_LENGTH = 80;
/** With a wrong baud rate a third to all of the bytes are unprintable; log text with colours has a few in a hundred. */
const NOISE_SHARE = 0.2;

/** What MCUboot, Zephyr and other first programs of a board say of themselves. */
const BOOT_TEXT =
  /\*\*\* (Booting|Using Zephyr)|Starting bootloader|Jumping to the |Image index: \d|Swap type: |\bU-Boot \d|\brst:0x/;

/** True when a line of text is one that a board writes while it starts. */
export const isBootText = (line: string): boolean => BOOT_TEXT.test(line);

/** Collects what is heard from one moment on, in bounded memory. */
export class ReceiveDiagnostics {
  bytes = 0;
  /** Whole messages that answered something else, or nothing that was asked. */
  otherAnswers = 0;
  /** Requests heard: nobody but us sends any. */
  echoes = 0;
  readonly faults: Partial<Record<FaultCode, number>> = {};
  #boot: boolean;
  #sample: Uint8Array = new Uint8Array(0);
  #text = "";

  /** `duringBoot`: the board was heard starting before. */
  constructor(duringBoot = false) {
    this.#boot = duringBoot;
  }

  receiveBytes(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    const room = SAMPLE_SIZE - this.#sample.length;
    if (room > 0) this.#sample = concat(this.#sample, chunk.subarray(0, room));
  }

  receiveText(text: string): void {
    this.#boot ||= isBootText(text);
    this.#text = `${this.#text} ${text.slice(-QUOTE_LENGTH)}`.slice(-QUOTE_LENGTH);
  }

  receiveFault(code: FaultCode): void {
    this.faults[code] = (this.faults[code] ?? 0) + 1;
  }

  /** The end of the text heard, on one line and without control characters. */
  get quote(): string {
    return this.#text
      .replace(/\p{C}|\uFFFD/gu, " ")
      .replace(/\s+/g, " ")
      .trim();
  }

  get received(): ReceivedInstead {
    if (this.bytes === 0) return this.#boot ? "boot" : "nothing";
    if (this.otherAnswers > 0) return "other-answers";
    if (this.echoes > 0) return "echo";
    if (shareOfNoise(this.#sample) > NOISE_SHARE) return "noise";
    if (Object.keys(this.faults).length > 0) return "damaged";
    return this.#boot ? "boot" : "text";
  }
}

/** Tab, line ends, backspace and escape of a log with colours; the four bytes of frame markers. */
const ORDINARY_CONTROLS = new Set(["\t", "\r", "\n", "\b", "\u001b", "\u0004", "\u0006", "\u0014"]);

/** Characters that text does not have, of all; bytes that are no UTF-8 are such. */
function shareOfNoise(bytes: Uint8Array): number {
  const characters = [...Buffer.from(bytes).toString("utf8")];
  const odd = characters.filter((c) => c === "\uFFFD" || (/\p{Cc}/u.test(c) && !ORDINARY_CONTROLS.has(c)));
  return characters.length === 0 ? 0 : odd.length / characters.length;
}
