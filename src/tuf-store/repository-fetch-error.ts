import { BootproofError } from "../errors.js";

export type RepositoryFetchErrorCode =
  /** The address is none that can be fetched from. */
  | "bad-url"
  /** A target's path is no path below a folder. */
  | "bad-path"
  /** Nobody answers, or not in time, or the folder cannot be read. */
  | "unreachable"
  /** The server answered with something else than the file or "not found". */
  | "http-status";

/** A repository's file could not be fetched, for reasons that have nothing to do with what it says. */
export class RepositoryFetchError extends BootproofError {
  declare readonly code: RepositoryFetchErrorCode;
}
