import { BootproofError } from "../errors.js";

/** A policy file cannot be used, or it refuses what was asked for. */
export class PolicyError extends BootproofError {
  declare readonly code:
    | "bad-policy"
    /** An override that the policy does not allow, or one without a reason. */
    | "bad-override"
    | "policy-refused";
}
