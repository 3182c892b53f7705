import { BootproofError } from "../errors.js";

/** A command was used in a way that cannot work. */
export class UsageError extends BootproofError {
  declare readonly code: "usage";

  constructor(message: string, hint?: string) {
    super("usage", message, { hint });
  }
}
