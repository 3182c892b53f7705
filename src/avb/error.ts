import { BootproofError } from "../errors.js";

export type AvbErrorCode =
  /** Neither a vbmeta structure nor an image with a footer. */
  | "not-avb"
  /** A size, offset or text in it breaks the format. */
  | "bad-vbmeta"
  /** It ends before all it announces is there. */
  | "vbmeta-truncated";

/** Android boot metadata that cannot be read. `offset`: where in the bytes. */
export class AvbError extends BootproofError {
  declare readonly code: AvbErrorCode;
  readonly offset: number;

  constructor(code: AvbErrorCode, offset: number, message: string, options: { hint?: string } = {}) {
    super(code, message, options);
    this.offset = offset;
  }
}
