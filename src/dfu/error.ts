import { BootproofError } from "../errors.js";

export type DfuErrorCode =
  /** The device answered something that is not DFU. */
  | "dfu-bad-answer"
  /** The device reports a fault; `status` is its number. */
  | "dfu-status"
  /** It stays in a state from which nothing leads on. */
  | "dfu-stuck"
  /** It declares that it cannot do this. */
  | "dfu-cannot"
  /** The file is no DFU file, or not for this device. */
  | "dfu-file"
  /** The file does not fit the memory the device declares. */
  | "dfu-memory"
  /** What was read back differs. */
  | "dfu-verify";

/** A device or a file could not be dealt with by USB DFU. */
export class DfuError extends BootproofError {
  declare readonly code: DfuErrorCode;
  /** The device's status, USB DFU 1.1 table 6.1.2. */
  readonly status: number | undefined;

  constructor(
    code: DfuErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown; status?: number } = {},
  ) {
    super(code, message, options);
    this.status = options.status;
  }
}
