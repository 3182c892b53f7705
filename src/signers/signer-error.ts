import { BootproofError } from "../errors.js";

export type SignerErrorCode =
  /** The program or module cannot be started or loaded. */
  | "signer-missing"
  /** It ended with a failure, or said so. */
  | "signer-failed"
  /** It did not answer in time. */
  | "signer-timeout"
  /** Its answer is not what was agreed. */
  | "signer-answer"
  /** It has no such key, or more than one. */
  | "signer-key";

/** A signer outside this program did not do its part. */
export class SignerError extends BootproofError {
  declare readonly code: SignerErrorCode;
}
