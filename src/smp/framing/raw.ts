import { concat, u8 } from "../../bytes.js";
import { decodeHeader, HEADER_SIZE, MAX_PAYLOAD } from "../header.js";
import type { Decoder, DecoderLimits, Framing, Received } from "./framing.js";

/**
 * No framing at all: messages back to back, told apart by the length in their headers. Raw UART (Zephyr 4.4, MCUboot
 * after 2.4.0); a datagram carries the same bytes. Nothing marks where a message begins, so after lost bytes a decoder
 * can wait for a rest that never comes: {@link Decoder.flush} after a silence is the way out.
 */
export const rawFraming: Framing = {
  name: "raw",
  encode: (message) => message.slice(),
  decoder: (limits) => new RawDecoder(limits),
  largestMessage: (bufSize) => bufSize,
};

const NO_HEADER = 0;
const LONGEST_MESSAGE = HEADER_SIZE + MAX_PAYLOAD;

class RawDecoder implements Decoder {
  private readonly maxMessage: number;
  /** Chunks not yet part of a message, and how many bytes they have; joined only when a message can be cut off. */
  private chunks: Uint8Array[] = [];
  private held = 0;
  /** Bytes the next step needs. */
  private wanted = HEADER_SIZE;

  constructor(limits: DecoderLimits = {}) {
    this.maxMessage = Math.min(limits.maxMessage ?? LONGEST_MESSAGE, LONGEST_MESSAGE);
  }

  push(chunk: Uint8Array): Received[] {
    const received: Received[] = [];
    this.chunks.push(chunk.slice());
    this.held += chunk.length;
    if (this.held >= this.wanted) this.cut(received);
    return received;
  }

  flush(): Received[] {
    const received: Received[] = [];
    const [expected, got] = [this.wanted, this.held];
    const detail = `The message ends after ${got} of ${expected} bytes.`;
    if (got > 0) received.push({ kind: "fault", code: "length", detail, expected, got });
    this.hold(new Uint8Array(0), HEADER_SIZE);
    return received;
  }

  /** Takes whole messages off what is held, and steps over what cannot begin one. */
  private cut(received: Received[]): void {
    const bytes = concat(...this.chunks);
    let at = 0;
    let orphans = 0;
    let size = this.sizeAt(bytes, at);
    while (size <= bytes.length - at) {
      if (size === NO_HEADER) {
        orphans++;
        at++;
      } else {
        orphans = reportOrphans(orphans, received);
        received.push({ kind: "message", bytes: bytes.slice(at, at + size) });
        at += size;
      }
      size = this.sizeAt(bytes, at);
    }
    reportOrphans(orphans, received);
    this.hold(bytes.slice(at), size);
  }

  private hold(bytes: Uint8Array, wanted: number): void {
    this.chunks = [bytes];
    this.held = bytes.length;
    this.wanted = wanted;
  }

  /** How many bytes the message at `at` needs, as far as known; {@link NO_HEADER} when none begins there. */
  private sizeAt(bytes: Uint8Array, at: number): number {
    if (bytes.length - at < HEADER_SIZE) return HEADER_SIZE;
    // Most bytes of noise are turned away here: an exception for each would take seconds.
    if ((u8(bytes, at) & NEVER_IN_FIRST) !== 0 || u8(bytes, at + 1) !== 0) return NO_HEADER;
    const size = HEADER_SIZE + decodeHeader(bytes.subarray(at)).length;
    return size <= this.maxMessage ? size : NO_HEADER;
  }
}

/** Bits that are 0 in the first byte of every message: reserved ones, versions that do not exist, ops above 3. */
const NEVER_IN_FIRST = 0xf4;

/** Reports a run of bytes that begin no message; the run starts anew. */
function reportOrphans(got: number, received: Received[]): 0 {
  if (got > 0)
    received.push({
      kind: "fault",
      code: "orphan",
      detail: `${got} bytes are not the beginning of a message.`,
      got,
    });
  return 0;
}
