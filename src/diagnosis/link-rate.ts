import { dataRoom } from "../smp/capacity.js";
import type { Framing } from "../smp/framing/framing.js";
import { imageUpload } from "../smp/groups/image.js";

/** What decides how fast an upload can be over a line. */
export interface LineShape {
  readonly framing: Framing;
  /** Server buffer, bytes. */
  readonly bufSize: number;
  /** Bits a second; absent where nothing but the delay counts. */
  readonly baudRate?: number | undefined;
  /** Spent in each round besides the bytes' own time on the line: adapter, host, server. */
  readonly latencyMs: number;
  /** Requests under way. */
  readonly window: number;
}

/** Start, eight, stop. */
const BITS_A_BYTE = 10;
/** An offset that takes as many bytes as those of most of an image. */
const TYPICAL_OFFSET = 65536;
/** An upload's answer: header, map, "rc" and "off". */
const ANSWER_SIZE = 23;

/** Time on the line for a message, in milliseconds. */
export function lineMs(framing: Framing, messageSize: number, baudRate: number | undefined): number {
  if (baudRate === undefined) return 0;
  return (framing.encode(new Uint8Array(messageSize)).length * BITS_A_BYTE * 1000) / baudRate;
}

/**
 * Bytes of an image a second that such a line can carry at best. With one request under way a round is request, answer and
 * latency; with more the next request hides them, as far as the window reaches. Flash time is in the latency or not counted.
 */
export function uploadRate({ framing, bufSize, baudRate, latencyMs, window }: LineShape): number {
  const maxMessage = framing.largestMessage(bufSize);
  const data = dataRoom(imageUpload, { off: TYPICAL_OFFSET }, { maxMessage });
  const requestMs = lineMs(framing, maxMessage, baudRate);
  const roundMs = requestMs + lineMs(framing, ANSWER_SIZE, baudRate) + latencyMs;
  const stepMs = window > 1 ? Math.max(requestMs, roundMs / window) : roundMs;
  return stepMs > 0 ? (data * 1000) / stepMs : Number.POSITIVE_INFINITY;
}
