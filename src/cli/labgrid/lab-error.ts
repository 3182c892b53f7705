import { BootproofError } from "../../errors.js";

export type LabErrorCode =
  /** `labgrid-client` is not installed. */
  | "no-labgrid"
  /** The lab has no such place, or too few of them. */
  | "no-such-place"
  /** Labgrid refused, or its coordinator does not answer. */
  | "lab-failed";

/** Places of a lab could not be taken. */
export class LabError extends BootproofError {
  declare readonly code: LabErrorCode;
}
