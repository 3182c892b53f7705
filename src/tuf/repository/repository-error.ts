import { BootproofError } from "../../errors.js";

export type TufRepositoryErrorCode =
  /** The folder is no repository, or is one already. */
  | "not-a-repository"
  | "is-a-repository"
  /** There is no such role, key, target or staged change. */
  | "no-such-role"
  | "no-such-key"
  | "target-not-published"
  | "nothing-staged"
  /** The change would make a repository that no client accepts. */
  | "bad-change"
  /** Signatures are missing: the changes stay staged. */
  | "waits-for-signatures"
  /** A request or response is not of the form that is agreed on. */
  | "bad-ceremony-file"
  /** The response signs something else than what is staged. */
  | "other-ceremony";

/** A change to a repository that cannot be made. The repository stays as it was. */
export class TufRepositoryError extends BootproofError {
  declare readonly code: TufRepositoryErrorCode;
}
