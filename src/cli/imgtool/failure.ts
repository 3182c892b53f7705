import { BytesError } from "../../bytes.js";
import { KeyError } from "../../crypto/key-error.js";
import { BootproofError } from "../../errors.js";
import { EncryptionError } from "../../mcuboot/encryption.js";
import { SignError } from "../../mcuboot/sign-error.js";
import { VersionError } from "../../mcuboot/version.js";
import { UsageError } from "../usage-error.js";

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
    return error.code === "signer-bad-signature" || error.code === "option-out-of-range" ? 1 : 2;
  if (error instanceof VersionError) return error.code === "bad-version" ? 2 : 1;
  if (error instanceof KeyError)
    return error.code === "no-private-part" || error.code === "unsupported-format" ? 2 : 1;
  if (error instanceof BytesError) return 1;
  return 1;
}
