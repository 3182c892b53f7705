import { BootproofError } from "bootproof";

export type ImageFactoryErrorCode =
  /** The image needs a signature and there is no private key. */
  | "no-key"
  /** There is no body that behaves so. */
  | "no-body"
  /** Only damage can be made, and for that a second good image is needed. */
  | "no-update";

/** An image that cannot be made from what was given. */
export class ImageFactoryError extends BootproofError {
  declare readonly code: ImageFactoryErrorCode;
}
