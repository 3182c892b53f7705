import { BootproofError } from "../errors.js";
/** Opening or using a pipe failed. */
export class TransportError extends BootproofError {
  /** The pipe's name or the address that was asked for. */
  pipe;
  constructor(code, pipe, message, options = {}) {
    super(code, message, options);
    this.pipe = pipe;
  }
}
