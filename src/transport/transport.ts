import { BootproofError } from "../errors.js";

/**
 * A pipe of bytes in both directions: a serial port, a TCP connection, an emulated board's UART. It never retries,
 * prints, or looks inside what it carries.
 */
export interface ByteStream {
  /** What a person would call this end, e.g. `/dev/ttyACM0` or `127.0.0.1:5000`. */
  readonly name: string;
  /**
   * Set on a pipe that keeps borders, as UDP does: each write is one datagram of at most so many bytes, each chunk one
   * that came. On all others neither means anything.
   */
  readonly maxDatagram?: number;
  /** Bits a second on the wire behind the pipe, where there is one and it is known; a USB port may have none. */
  readonly baudRate?: number;
  /** Resolves when the bytes have been handed to the other side. Throws {@link TransportError}. */
  write(bytes: Uint8Array): Promise<void>;
  /** As `write`, for callers that need not wait: the bytes follow what was written before. If it fails, `chunks` fails. */
  send?(bytes: Uint8Array): void;
  /**
   * Chunks as they arrive, any size. One consumer. Ends when this side closes; throws {@link TransportError} `lost`
   * when the other side goes away.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Something that may keep answers from arriving, such as another program that reads the same port. */
  explainSilence?(): SilenceClue | undefined;
  /** On pipes that a listener hands out: the other side has shown who it is, and strangers must not displace it. */
  keep?(): void;
  /** Closing twice is harmless. */
  close(): Promise<void>;
}

/** What is known of a pipe that may be why nothing comes out of it. */
export interface SilenceClue {
  /** A sentence about what was found. */
  readonly message: string;
  readonly hint: string;
}

export type TransportErrorCode =
  /** No such port, host or file. */
  | "not-found"
  /** Another program holds it. */
  | "busy"
  /** The user may not open it. */
  | "permission"
  /** Nobody listens there. */
  | "refused"
  /** It was open and went away: cable pulled, program ended. */
  | "lost"
  /** More than one port is what was asked for. */
  | "ambiguous-port"
  /** The address cannot be read as one. */
  | "bad-address"
  /** A bridge wants another token, or one at all. */
  | "wrong-token"
  /** The native part of a package does not load on this machine. */
  | "no-driver"
  | "failed";

/** Opening or using a pipe failed. */
export class TransportError extends BootproofError {
  declare readonly code: TransportErrorCode;
  /** The pipe's name or the address that was asked for. */
  readonly pipe: string;

  constructor(
    code: TransportErrorCode,
    pipe: string,
    message: string,
    options: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.pipe = pipe;
  }
}
