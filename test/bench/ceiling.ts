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
  /** What is carried, and which way. Default image. */
  what?: Carried;
}

/** An image or a file to the board, or a file from it. */
export type Carried = "image" | "fs put" | "fs get";

const ANSWER = 23;
/** "name" and the path of the bench's file, beside an image's fields. */
const NAME = 5 + 11;
/** What an answer with data spends beside it on our board, as on the recorded servers: the device chooses. */
const READ_OVERHEAD = 44;
/** A header and an empty map: the least there is. */
const SHORT = 9;
/** The length and CRC of console framing share the server's buffer. */
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
  /** Of one image or file. Default: so many that its beginning and its end do not count. */
  bytes?: number;
}

/**
 * Bytes a second that any sender could reach at most, with the best length of message and the best window up to the one
 * allowed. A server takes data in order only, so a loss costs the message, and until it can be known the wire carries others
 * in vain; a sender finds out at best at the very moment when the answer should have come. The first message goes alone,
 * because a device may erase before it answers, and the last answer has to come; a file is let go of before and after.
 */
export function reachable(line: LineFacts, hardship: Hardship): number {
  const lengths = [line.buffer];
  if (hardship.errorRate > 0) for (let buffer = 96; buffer < line.buffer; buffer += 8) lengths.push(buffer);
  // While a server sends data, the answer in the making keeps a buffer.
  const most = line.what === "fs get" ? Math.max(1, hardship.window - 1) : hardship.window;
  const windows = most > 1 ? [1, most] : [1];
  const rates = windows.flatMap((window) =>
    lengths.map((buffer) => rateOf({ ...line, buffer }, { ...hardship, window })),
  );
  return Math.max(...rates);
}

function rateOf(line: LineFacts, { window, errorRate, bytes = Number.POSITIVE_INFINITY }: Hardship): number {
  const { request, answer, data, bytesASecond } = onWire(line);
  const wire = request / bytesASecond;
  const round = wire + answer / bytesASecond + line.delayMs / 1000;
  const each = Math.max(wire, round / window);
  // A lost answer costs a sender nothing when the next one says the same.
  const atRisk = window > 1 ? request : request + answer;
  const loss = 1 - (1 - errorRate) ** atRisk;
  // What is on the wire when the loss is known has to leave it first.
  const known = window > 1 ? wire * (1 + Math.ceil((round - wire) / wire)) : round;
  const rate = data / (each + (loss / (1 - loss)) * known);
  const edges = 2 * (round - each) + 2 * closing(line);
  return 1 / (1 / rate + edges / bytes);
}

/** Seconds that a file's closing takes, question and answer. */
function closing({ framing, baud, delayMs, what = "image" }: LineFacts): number {
  if (what === "image") return 0;
  const size = framing === "raw" ? (bytes: number) => bytes : consoleSize;
  return (2 * size(SHORT)) / (baud / 10) + delayMs / 1000;
}

/** The shape of one round: data bytes, and the bytes on the wire: with the data, and what goes the other way. */
export function onWire({ framing, baud, buffer, what = "image" }: LineFacts) {
  const size = framing === "raw" ? (bytes: number) => bytes : consoleSize;
  const bytesASecond = baud / 10;
  if (what === "fs get") {
    const data = buffer - READ_OVERHEAD;
    // What goes the other way is a question of header, map, "off" and "name".
    return { data, request: size(overhead(data) + data), answer: size(8 + 1 + 9 + NAME), bytesASecond };
  }
  const message = framing === "raw" ? buffer : buffer - CONSOLE_OVERHEAD;
  const fields = what === "fs put" ? NAME : 0;
  let data = message;
  while (overhead(data) + fields + data > message) data--;
  return { data, request: size(overhead(data) + fields + data), answer: size(ANSWER), bytesASecond };
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
