import { BootproofError } from "../../errors.js";

export type StationErrorCode =
  /** Another station serves this bench. */
  | "station-running"
  /** Its folder cannot be made, read or written. */
  | "station-unusable"
  /** A line of its journal is no entry. */
  | "bad-journal-entry"
  /** No port is free for it, or the address is not this machine's. */
  | "cannot-listen";

/** A bench station cannot be started. */
export class StationError extends BootproofError {
  declare readonly code: StationErrorCode;
}
