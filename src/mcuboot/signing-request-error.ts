import { BootproofError } from "../errors.js";

/**
 * Signing where the build machine cannot reach: a request travels to the key, a response travels back, both as JSON.
 * Nobody signs these files; everything in them that matters is checked where it is used.
 */

export type SigningRequestErrorCode =
  /** Not JSON of the form that is agreed on. */
  | "bad-signing-file"
  /** The request says other things than the payload it carries. */
  | "request-contradicts-itself"
  /** The response answers another request. */
  | "other-request";

/** A request or response that cannot be used. */
export class SigningRequestError extends BootproofError {
  declare readonly code: SigningRequestErrorCode;
}
