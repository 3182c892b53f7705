import { BootproofError } from "../../errors.js";

/** A run that ends with status 1. */
export class McumgrFailure extends BootproofError {
  declare readonly code: "mcumgr-failed";
  /** The command line was wrong: the command's description and usage follow. */
  readonly showsUsage: boolean;

  constructor(message: string, options: { showsUsage?: boolean; hint?: string; cause?: unknown } = {}) {
    super("mcumgr-failed", message, options);
    this.showsUsage = options.showsUsage ?? false;
  }
}

/** The words of the command line are not what the command takes. */
export const usageFailure = (message = "") => new McumgrFailure(message, { showsUsage: true });
