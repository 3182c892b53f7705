import { BootproofError } from "../errors.js";

export type SignErrorCode =
  /** An option whose value cannot be, or two that exclude each other. */
  | "bad-option"
  /** A number that does not fit its field of the header or TLV. */
  | "option-out-of-range"
  /** The input does not begin with room for a header. */
  | "no-header-space"
  /** Image and trailer do not fit the slot. */
  | "slot-too-small"
  /** Key and hash or key and option do not go together. */
  | "key-mismatch"
  /** A signature made elsewhere that does not verify. */
  | "signer-bad-signature";

/** An image that cannot be made as asked. */
export class SignError extends BootproofError {
  declare readonly code: SignErrorCode;
  /** What was compared, bytes: with `too-large` image, trailer and slot. */
  readonly sizes?: { readonly image: number; readonly trailer: number; readonly slot: number };

  constructor(
    code: SignErrorCode,
    message: string,
    options: { hint?: string; sizes?: NonNullable<SignError["sizes"]> } = {},
  ) {
    super(code, message, options);
    if (options.sizes) this.sizes = options.sizes;
  }
}

/** An option that cannot be. */
export function badOption(message: string): SignError {
  return new SignError("bad-option", message);
}

/** A number that does not fit its field. */
export function outOfRange(message: string): SignError {
  return new SignError("option-out-of-range", message);
}
