import { BytesError } from "../../bytes.js";
import { BootproofError } from "../../errors.js";
import { EncryptionError } from "../../image/encryption.js";
import { KeyError } from "../../image/key-error.js";
import { SignError } from "../../image/sign-error.js";
import { VersionError } from "../../image/version.js";
import { UsageError } from "../exit.js";

/** imgtool's: 0 done; 1 failed, or an answer of no; 2 the command line is wrong. */
export type ImgtoolStatus = 0 | 1 | 2;

/** A failure that ends with 1 although others of its kind end with 2. */
export class ImgtoolFailure extends BootproofError {
  declare readonly code: "imgtool-failed";

  constructor(message: string, hint?: string) {
    super("imgtool-failed", message, { hint });
  }
}

/**
 * imgtool's exit status for an error of ours. Where imgtool ends with a Python traceback that is 1, for what its
 * command line parser or its own checks refuse it is 2.
 */
export function imgtoolStatus(error: BootproofError): 1 | 2 {
  if (error instanceof UsageError || error instanceof EncryptionError) return 2;
  if (error instanceof SignError)
    return error.code === "bad-signature" || error.code === "out-of-range" ? 1 : 2;
  if (error instanceof VersionError) return error.code === "bad-version" ? 2 : 1;
  if (error instanceof KeyError)
    return error.code === "no-private-part" || error.code === "unsupported-format" ? 2 : 1;
  if (error instanceof BytesError) return 1;
  return 1;
}
