import { BytesError, concat, fromBase64Codes, putBase64, putU16be, u16be } from "../../bytes.js";
import { crc16 } from "./crc16.js";
import type { Decoder, DecoderLimits, Framing, Received, ReceivedFault } from "./framing.js";

/**
 * SMP over console: length, message and CRC as base64 lines, each behind a two-byte marker, on a wire that may carry log
 * text as well. Zephyr, smp_transport.rst, "SMP Over Console".
 */

export interface ConsoleOptions {
  /**
   * Longest line to send, its marker and line feed included. 127 is what every server takes; shorter lines are legal
   * and suit a server with small line buffers. At least 7.
   */
  lineLength?: number;
}

/** Begins the first line of a frame. */
const START = [0x06, 0x09] as const;
/** Begins each further line. */
const CONTINUATION = [0x04, 0x14] as const;
const LF = 0x0a;
const CR = 0x0d;

const LINE_LENGTH = 127;
/** Marker and line feed. */
const LINE_OVERHEAD = 3;
/** The length before the message and CRC behind it. The length counts the CRC, not itself. */
const LENGTH_SIZE = 2;
const CRC_SIZE = 2;
const LONGEST_MESSAGE = 0xffff - CRC_SIZE;
/** Longest line kept while waiting for its end. Frame lines have 127 bytes, 512 in one build we know. */
const LINE_LIMIT = 4096;

/** What is no UTF-8 becomes a replacement character: log text stays readable, and base64 has none. A BOM is kept as it is. */
const asText = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The framing for consoles: base64 in lines that begin with 0x06 0x09 or 0x04 0x14, with length and CRC16; log text stays apart.
 * Zephyr, smp_transport.rst, "UART/serial and console".
 *
 * @param options - the length of lines in bytes, line feed included
 * @returns writes frames, and reads them between other text
 * @throws BytesError when lines are too short for base64
 */
export function consoleFraming(options: ConsoleOptions = {}): Framing {
  const perLine = Math.floor(((options.lineLength ?? LINE_LENGTH) - LINE_OVERHEAD) / 4) * 4;
  if (!(perLine >= 4))
    throw new BytesError("out-of-range", 0, `Lines of ${options.lineLength} bytes cannot hold base64.`);
  return {
    name: "console",
    encode: (message) => encodeFrame(message, perLine),
    decoder: (limits) => new ConsoleDecoder(limits),
    largestMessage: (bufSize) => Math.max(0, bufSize - LENGTH_SIZE - CRC_SIZE),
  };
}

function encodeFrame(message: Uint8Array, perLine: number): Uint8Array {
  const frame = new Uint8Array(LENGTH_SIZE + message.length + CRC_SIZE);
  putU16be(frame, 0, message.length + CRC_SIZE);
  frame.set(message, LENGTH_SIZE);
  putU16be(frame, LENGTH_SIZE + message.length, crc16(message));
  const bytesALine = (perLine / 4) * 3;
  const lines = Math.ceil(frame.length / bytesALine);
  const encoded = new Uint8Array(Math.ceil(frame.length / 3) * 4 + lines * LINE_OVERHEAD);
  let at = 0;
  for (let from = 0; from < frame.length; from += bytesALine) {
    encoded.set(from === 0 ? START : CONTINUATION, at);
    at = putBase64(encoded, at + START.length, frame.subarray(from, from + bytesALine));
    encoded[at++] = LF;
  }
  return encoded;
}

/** Collects lines; hands each to {@link FrameAssembly} or out as text. Every byte is copied once. */
class ConsoleDecoder implements Decoder {
  private readonly line = new Uint8Array(LINE_LIMIT);
  private length = 0;
  /** The rest of a line that was too long, up to its end. */
  private swallowing = false;
  private readonly frame: FrameAssembly;

  constructor(limits: DecoderLimits = {}) {
    this.frame = new FrameAssembly(Math.min(limits.maxMessage ?? LONGEST_MESSAGE, LONGEST_MESSAGE));
  }

  push(chunk: Uint8Array): Received[] {
    const received: Received[] = [];
    let at = 0;
    while (at < chunk.length) {
      const end = chunk.indexOf(LF, at);
      const stop = end < 0 ? chunk.length : end;
      this.keep(chunk.subarray(at, stop), received);
      if (end >= 0) this.endLine(received);
      at = stop + 1;
    }
    return received;
  }

  flush(): Received[] {
    const received: Received[] = [];
    this.endLine(received);
    this.frame.giveUp(received);
    return received;
  }

  private keep(piece: Uint8Array, received: Received[]): void {
    let rest = this.swallowing ? piece.subarray(piece.length) : piece;
    while (this.length + rest.length > LINE_LIMIT) {
      const room = LINE_LIMIT - this.length;
      this.line.set(rest.subarray(0, room), this.length);
      this.length = LINE_LIMIT;
      rest = rest.subarray(room);
      this.overflow(received);
      if (this.swallowing) return;
    }
    this.line.set(rest, this.length);
    this.length += rest.length;
  }

  /** The line is full and its end has not come: text is handed on in pieces, a frame line cannot be. */
  private overflow(received: Received[]): void {
    // Without a marker the last byte is kept, because it may be the first half of one.
    const textEnd = markersIn(this.line)[0] ?? LINE_LIMIT - 1;
    pushText(this.line.subarray(0, textEnd), received);
    this.line.copyWithin(0, textEnd);
    this.length = LINE_LIMIT - textEnd;
    if (textEnd > 0) return;
    this.frame.lineTooLong(received);
    this.length = 0;
    this.swallowing = true;
  }

  /**
   * A line may be log text, a frame line, or both: a prompt or a half-written log line before the marker. Markers never
   * occur in base64, so the line is cut at each of them; when a line feed was lost, both frame lines are found.
   */
  private endLine(received: Received[]): void {
    const line = withoutCr(this.line.subarray(0, this.length));
    this.length = 0;
    this.swallowing = false;
    const cuts = markersIn(line);
    pushText(line.subarray(0, cuts[0] ?? line.length), received);
    for (const [index, cut] of cuts.entries()) {
      const base64 = line.subarray(cut + 2, cuts[index + 1] ?? line.length);
      if (line[cut] === START[0]) this.frame.start(base64, received);
      else this.frame.continue(base64, received);
    }
  }
}

/** Joins the lines of one frame and checks what they amount to. */
class FrameAssembly {
  private parts: Uint8Array[] = [];
  private got = 0;
  /** The frame's length field: bytes of message and CRC. */
  private announced = 0;
  /** `lost`: a line of this frame was bad, its further lines are no news. */
  private state: "idle" | "open" | "lost" = "idle";

  constructor(private readonly maxMessage: number) {}

  start(base64: Uint8Array, received: Received[]): void {
    this.giveUp(received);
    this.state = "open";
    this.add(base64, received);
  }

  continue(base64: Uint8Array, received: Received[]): void {
    if (this.state === "open") this.add(base64, received);
    else if (this.state === "idle")
      this.lose(
        { code: "orphan", detail: "A continuation line of a frame whose first line was not received." },
        received,
      );
  }

  lineTooLong(received: Received[]): void {
    const expected = LINE_LIMIT;
    this.lose(
      { code: "too-long", detail: `A frame line of more than ${expected} bytes.`, expected },
      received,
    );
  }

  /** Drops the frame that waits for more lines, if there is one. */
  giveUp(received: Received[]): void {
    if (this.state === "open") this.loseByLength(received);
    this.clear("idle");
  }

  private add(base64: Uint8Array, received: Received[]): void {
    // Each line is decoded alone, as servers do, so damage stays in its line. A line without any base64 is damage too.
    const piece = base64.length === 0 ? undefined : fromBase64Codes(base64);
    if (piece === undefined) {
      this.lose({ code: "base64", detail: "A frame line is damaged: it is not base64." }, received);
      return;
    }
    // Four characters are three bytes, so the first line always has the length, or is padded and thereby the last.
    if (this.parts.length === 0) this.announced = piece.length < LENGTH_SIZE ? 0 : u16be(piece, 0);
    this.parts.push(piece);
    this.got += piece.length;
    this.measure(received);
  }

  private measure(received: Received[]): void {
    const [expected, got, limit] = [this.announced, this.got - LENGTH_SIZE, this.maxMessage + CRC_SIZE];
    if (expected > limit) {
      const detail = `A frame of ${expected} bytes; at most ${limit} are accepted.`;
      this.lose({ code: "too-long", detail, expected: limit, got: expected }, received);
    } else if (expected < CRC_SIZE || got > expected) this.loseByLength(received);
    else if (got === expected) this.finish(received);
  }

  private finish(received: Received[]): void {
    const frame = concat(...this.parts);
    const message = frame.slice(LENGTH_SIZE, frame.length - CRC_SIZE);
    const expected = u16be(frame, frame.length - CRC_SIZE);
    const got = crc16(message);
    if (got === expected) {
      received.push({ kind: "message", bytes: message });
      this.clear("idle");
    } else {
      const detail = `The frame's CRC is ${hex16(expected)}, its bytes have ${hex16(got)}.`;
      this.lose({ code: "crc", detail, expected, got }, received);
    }
  }

  private loseByLength(received: Received[]): void {
    const [expected, got] = [this.announced, Math.max(0, this.got - LENGTH_SIZE)];
    this.lose(
      { code: "length", detail: `The frame announces ${expected} bytes and has ${got}.`, expected, got },
      received,
    );
  }

  private lose(fault: Omit<ReceivedFault, "kind">, received: Received[]): void {
    received.push({ kind: "fault", ...fault });
    this.clear("lost");
  }

  private clear(state: "idle" | "lost"): void {
    this.parts = [];
    this.got = 0;
    this.state = state;
  }
}

function markersIn(line: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at + 1 < line.length; at++) {
    const [first, second] = line[at] === START[0] ? START : CONTINUATION;
    if (line[at] === first && line[at + 1] === second) found.push(at);
  }
  return found;
}

function pushText(line: Uint8Array, received: Received[]): void {
  if (line.length === 0) return;
  const text = asText.decode(line);
  if (text !== "") received.push({ kind: "text", text });
}

function withoutCr(line: Uint8Array): Uint8Array {
  let end = line.length;
  while (end > 0 && line[end - 1] === CR) end--;
  return line.subarray(0, end);
}

function hex16(value: number): string {
  return `0x${value.toString(16).padStart(4, "0")}`;
}
