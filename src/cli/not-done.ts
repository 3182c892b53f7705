import { BootproofError } from "../errors.js";

/** The board was asked, answered, and did something else. */
export class NotDoneError extends BootproofError {
  declare readonly code: "not-done";

  constructor(message: string, hint: string) {
    super("not-done", message, { hint });
  }
}
