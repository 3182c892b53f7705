/**
 * What a line can carry at best, by arithmetic alone: 8N1; a request is header, map, "off" as 32 bits and "data" that fills the
 * server's buffer; its answer `{rc, off}` has 23 bytes. Flash time is not counted.
 */
export interface LineFacts {
  framing: "console" | "raw";
  baud: number;
  /** Server buffer, bytes. */
  buffer: number;
  /** Of a whole round, in milliseconds. */
  delayMs: number;
}

const ANSWER = 23;
/** Length and CRC of console framing share the server's buffer. */
const CONSOLE_OVERHEAD = 4;

/** Bytes a second, each request sent when the one before is answered. */
export function waitingCeiling(line: LineFacts): number {
  const { request, answer, data, bytesASecond } = onWire(line);
  return data / ((request + answer) / bytesASecond + line.delayMs / 1000);
}

/** Bytes a second, requests back to back and answers on the other wire. */
export function pipedCeiling(line: LineFacts): number {
  const { request, data, bytesASecond } = onWire(line);
  return data / (request / bytesASecond);
}

/** What a sender has to live with beside the line itself. */
export interface Hardship {
  /** Requests that may be under way at once. */
  window: number;
  /** Share of bytes that arrive as others. */
  errorRate: number;
}

/**
 * Bytes a second that any sender could reach at most, with the best length of message and the best window up to the one
 * allowed. A server takes data in order only, so a loss costs the message, and until it can be known the wire carries others
 * in vain; a sender that waits for each answer finds out at the very moment when it should have come.
 */
export function reachable(line: LineFacts, { window, errorRate }: Hardship): number {
  const lengths = [line.buffer];
  if (errorRate > 0) for (let buffer = 96; buffer < line.buffer; buffer += 8) lengths.push(buffer);
  const windows = window > 1 ? [1, window] : [1];
  const rates = windows.flatMap((size) =>
    lengths.map((buffer) => rateOf({ ...line, buffer }, { window: size, errorRate })),
  );
  return Math.max(...rates);
}

function rateOf(line: LineFacts, { window, errorRate }: Hardship): number {
  const { request, answer, data, bytesASecond } = onWire(line);
  const wire = request / bytesASecond;
  const round = wire + answer / bytesASecond + line.delayMs / 1000;
  const each = Math.max(wire, round / window);
  // A lost answer costs a sender nothing when the next one says the same.
  const atRisk = window > 1 ? request : request + answer;
  const loss = 1 - (1 - errorRate) ** atRisk;
  // What is on the wire when the loss is known has to leave it first.
  const known = window > 1 ? wire * (1 + Math.ceil((round - wire) / wire)) : round;
  return data / (each + (loss / (1 - loss)) * known);
}

/** The shape of one round: data bytes, and the bytes on the wire each way. */
export function onWire({ framing, baud, buffer }: LineFacts) {
  const message = framing === "raw" ? buffer : buffer - CONSOLE_OVERHEAD;
  let data = message;
  while (overhead(data) + data > message) data--;
  const used = overhead(data) + data;
  const size = framing === "raw" ? (bytes: number) => bytes : consoleSize;
  return { data, request: size(used), answer: size(ANSWER), bytesASecond: baud / 10 };
}

/** Header, map, "off" and its 32 bits, "data" and its head. */
const overhead = (data: number) => 8 + 1 + 4 + 5 + 5 + uintSize(data);

const uintSize = (value: number) => (value < 24 ? 1 : value < 256 ? 2 : value < 65536 ? 3 : 5);

/** Lines of 127 bytes that carry 93 each; the last one shorter. */
function consoleSize(message: number): number {
  const whole = Math.floor((message + CONSOLE_OVERHEAD) / 93);
  const rest = (message + CONSOLE_OVERHEAD) % 93;
  return whole * 127 + (rest === 0 ? 0 : 2 + 4 * Math.ceil(rest / 3) + 1);
}
