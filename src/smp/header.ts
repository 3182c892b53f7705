import { concat, putU8, putU16be } from "../bytes.js";
import { BootproofError } from "../errors.js";

/** Bytes before every payload. */
export const HEADER_SIZE = 8;
/** The header's length field has 16 bits, so no payload is longer. */
export const MAX_PAYLOAD = 0xffff;

/** What a message does. The numbers are `MGMT_OP_*` of Zephyr's mgmt_defines.h; an answer is its request plus one. */
export const OPS = { read: 0, "read-rsp": 1, write: 2, "write-rsp": 3 } as const;
export type Op = keyof typeof OPS;
const OP_NAMES = Object.keys(OPS) as Op[];

/**
 * SMP version as people count it: 1 is 0 on the wire, 2 is 1. They differ in how a group reports its own errors and in
 * nothing else.
 */
export type SmpVersion = 1 | 2;

/** The 8 bytes before every message. Zephyr, smp_protocol.rst, "Frame: Header". */
export interface Header {
  version: SmpVersion;
  op: Op;
  /** No flag is defined; servers send 0. */
  flags: number;
  /** Payload bytes that follow; the header is not counted. */
  length: number;
  /** Management group: 0 OS, 1 image, ... */
  group: number;
  /** Chosen by the client, repeated by the server; 0 to 255. */
  seq: number;
  /** Command within the group. */
  id: number;
}

export type MessageErrorCode =
  /** Fewer bytes than a header has. */
  | "message-too-short"
  /** The header's length is not the number of bytes that follow. */
  | "length"
  /** Reserved bits, a reserved version or an op beyond 3: whatever this is, it is not SMP 1 or 2. */
  | "not-smp"
  /** A response, but to another group, command or direction. */
  | "wrong-answer"
  /** A request, but longer than the server's buffer: it would be dropped in silence. */
  | "too-long";

/** Bytes that claim to be a message are none, or not the one that was expected, or not one that can be sent. */
export class MessageError extends BootproofError {
  declare readonly code: MessageErrorCode;
  readonly expected: number;
  readonly got: number;

  constructor(
    code: MessageErrorCode,
    message: string,
    numbers: { expected: number; got: number },
    hint?: string,
  ) {
    super(code, message, { hint });
    this.expected = numbers.expected;
    this.got = numbers.got;
  }
}

/** Throws a `BytesError` when a field does not fit its width. */
export function encodeHeader(header: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  putHeader(bytes, header);
  return bytes;
}

/** Writes it over the first 8 bytes. Throws as {@link encodeHeader}. */
export function putHeader(bytes: Uint8Array, header: Header): void {
  putU8(bytes, 0, ((header.version - 1) << 3) | OPS[header.op]);
  putU8(bytes, 1, header.flags);
  putU16be(bytes, 2, header.length);
  putU16be(bytes, 4, header.group);
  putU8(bytes, 6, header.seq);
  putU8(bytes, 7, header.id);
}

/** Reads the first 8 bytes; what follows is not looked at. Throws {@link MessageError} `too-short` or `not-smp`. */
export function decodeHeader(bytes: Uint8Array): Header {
  if (bytes.length < HEADER_SIZE)
    throw new MessageError(
      "message-too-short",
      `A message has at least ${HEADER_SIZE} bytes, this one has ${bytes.length}.`,
      {
        expected: HEADER_SIZE,
        got: bytes.length,
      },
    );
  // All eight are there: each message is read here more than once, and asked no more than needed.
  const first = bytes[0]!;
  const version = (first >> 3) & 3;
  const op = OP_NAMES[first & 7];
  if (first >> 5 !== 0 || version > 1 || op === undefined)
    throw new MessageError(
      "not-smp",
      `A message cannot begin with byte 0x${first.toString(16).padStart(2, "0")}.`,
      {
        expected: 0,
        got: first,
      },
    );
  return {
    version: version === 0 ? 1 : 2,
    op,
    flags: bytes[1]!,
    length: (bytes[2]! << 8) | bytes[3]!,
    group: (bytes[4]! << 8) | bytes[5]!,
    seq: bytes[6]!,
    id: bytes[7]!,
  };
}

/**
 * Header and payload as one message; the header's length follows from the payload.
 *
 * @param header - sequence number, group, id, op, version
 * @param payload - at most 65 535 bytes
 * @returns 8 bytes of header, then the payload
 */
export function joinMessage(header: Omit<Header, "length" | "flags">, payload: Uint8Array): Uint8Array {
  return concat(encodeHeader({ ...header, flags: 0, length: payload.length }), payload);
}

/**
 * Splits one whole message. The payload is a view.
 *
 * @param bytes - header and payload, nothing behind them
 * @returns flags are read and not judged
 * @throws {@link MessageError}
 */
export function readMessage(bytes: Uint8Array): { header: Header; payload: Uint8Array } {
  const header = decodeHeader(bytes);
  const payload = bytes.subarray(HEADER_SIZE);
  if (payload.length !== header.length)
    throw new MessageError(
      "length",
      `The header announces ${header.length} payload bytes, ${payload.length} follow.`,
      {
        expected: header.length,
        got: payload.length,
      },
    );
  return { header, payload };
}

/**
 * Does `response` answer `request`? Sequence number, group and command are repeated and the op is one higher. The
 * version is not compared: old servers and bootloaders answer version 2 in version 1 form.
 */
export function answers(response: Header, request: Header): boolean {
  return (
    response.seq === request.seq &&
    response.group === request.group &&
    response.id === request.id &&
    OPS[response.op] === OPS[request.op] + 1
  );
}
