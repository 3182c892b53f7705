import { BootproofError } from "../errors.js";

/** What is wrong with a repository, in the words of the specification's list of attacks (section 1.5.2) where one fits. */
export type TufErrorCode =
  /** Not metadata as section 4 describes it. */
  | "bad-metadata"
  /** Signed by fewer keys than its role demands, or a target with other bytes than its role lists. */
  | "arbitrary-software"
  /** Older than what was trusted before. */
  | "rollback"
  /** Expired: newer metadata exists or is withheld. */
  | "freeze"
  /** Another version, length or hash than the role above lists. */
  | "mix-and-match"
  /** Longer than its limit. */
  | "endless-data"
  /** Sent more slowly than the least rate that is accepted. */
  | "slow-retrieval"
  /** The repository does not hold a file that it must hold. */
  | "not-in-repository"
  /** No role that is responsible for the path lists such a target. */
  | "no-such-target"
  /** No root is trusted for the repository yet. */
  | "no-trusted-root";

/** Metadata or a target that is not to be trusted, or not there. */
export class TufError extends BootproofError {
  declare readonly code: TufErrorCode;
  /** The role whose metadata is meant, or the path of the target. */
  readonly subject: string;
  /** Section of the specification whose check failed, such as `5.4.3`. */
  readonly step?: string;

  constructor(
    code: TufErrorCode,
    subject: string,
    message: string,
    options: { hint?: string | undefined; cause?: unknown; step?: string | undefined } = {},
  ) {
    super(code, message, { hint: options.hint ?? HINTS[code], cause: options.cause });
    this.subject = subject;
    if (options.step !== undefined) this.step = options.step;
  }
}

/** What a person can do, where the place that throws knows nothing better. */
const HINTS: Readonly<Partial<Record<TufErrorCode, string>>> = {
  "bad-metadata": "Ask the operator of the repository; nothing that was trusted before has changed.",
  "arbitrary-software":
    "Do not install anything from this repository until its owner explains the signatures.",
  rollback: "A mirror may be outdated. Try another copy of the repository; if it persists, tell its owner.",
  freeze: "Fetch newer metadata. If there is none, the owner must sign again: bootproof tuf resign.",
  "mix-and-match":
    "The repository may be in the middle of an update. Try again in a minute; if it persists, tell its owner.",
  "no-trusted-root": "Name the root file that you got from the owner: bootproof tuf trust REPOSITORY ROOT.",
};
