import { BootproofError } from "../errors.js";

export type LogErrorCode =
  /** The text is no signed note. */
  | "not-a-note"
  /** A signature by a known key does not verify, or no known key signed. */
  | "log-bad-signature"
  /** The note is no checkpoint of a log. */
  | "bad-checkpoint"
  /** The bytes are no bundle of entries, or no tile of hashes. */
  | "bad-tile"
  /** The text is no proof, or the proof does not lead to the root. */
  | "bad-proof"
  /** The text is no verifier key. */
  | "bad-verifier-key"
  /** An entry is no event, or too large for a log. */
  | "bad-event"
  /** What is stored does not match the log's own checkpoint. */
  | "log-damaged"
  /** The log is another one than the checkpoint speaks of. */
  | "other-log"
  /** There is no log here. */
  | "no-log"
  /** Another process holds the log. */
  | "log-busy"
  /** The log's folder cannot be read or written: permissions, a full disk. */
  | "log-unwritable";

/** The audit log cannot be read, written or trusted. */
export class LogError extends BootproofError {
  declare readonly code: LogErrorCode;
  /** Index of the first entry that is wrong, where it is known. */
  readonly index?: number;

  constructor(
    code: LogErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown; index?: number | undefined } = {},
  ) {
    super(code, message, options);
    if (options.index !== undefined) this.index = options.index;
  }
}
