/** Console lines, nothing but the header's length, or one message a datagram. */
export type FramingName = "console" | "raw" | "datagram";

/**
 * How messages are told apart on a stream of bytes. Pure: no port, no clock. A framing encodes whole messages and makes
 * decoders, which are fed whatever chunks a pipe gives.
 */
export interface Framing {
  readonly name: FramingName;
  /** The bytes to write for one message. Throws a `BytesError` `out-of-range` when the framing cannot carry its length. */
  encode(message: Uint8Array): Uint8Array;
  /** A decoder with nothing heard yet. One per stream. */
  decoder(limits?: DecoderLimits): Decoder;
  /** The longest message (header included) a server can take that reassembles in `bufSize` bytes. */
  largestMessage(bufSize: number): number;
}

export interface DecoderLimits {
  /** Messages longer than this (header included) are dropped as `too-long`, which bounds memory. Default 65 533. */
  maxMessage?: number;
}

/** Never throws for what it hears: on a serial line noise is normal, so it is a value. */
export interface Decoder {
  /** What this chunk completed, in the order it was heard. */
  push(chunk: Uint8Array): Received[];
  /**
   * Gives up what is incomplete: a message whose rest never came (reported as a `length` fault) or text without a line
   * end. For a caller that has waited long enough, because only time tells; also before the stream ends.
   */
  flush(): Received[];
}

export type Received = ReceivedMessage | ReceivedText | ReceivedFault;

/** One whole message: header and payload, its own copy. */
export interface ReceivedMessage {
  kind: "message";
  bytes: Uint8Array;
}

/** One line of text sharing the wire (or the part of a line before a message), without its line end. Never empty. */
export interface ReceivedText {
  kind: "text";
  text: string;
}

export type FaultCode =
  /** All bytes are there, but the check says they are not the ones that were sent. */
  | "crc"
  /** More or fewer bytes than were announced. */
  | "length"
  /** A line is not base64. */
  | "base64"
  /** Longer than this side is willing to keep. */
  | "too-long"
  /** A piece of a message whose beginning was not heard, or bytes that begin no message. */
  | "orphan";

/** Something that was meant to be a message was lost. The sender is not told by anyone: it must repeat. */
export interface ReceivedFault {
  kind: "fault";
  code: FaultCode;
  /** What happened, for a log. */
  detail: string;
  /** Bytes announced or allowed, or the CRC that was sent; when the code has such numbers. */
  expected?: number;
  got?: number;
}
