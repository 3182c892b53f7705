import { BootproofError } from "../errors.js";

/** Ways a run of the proof suite can end that are no success. */
export class ProofError extends BootproofError {
  declare readonly code: "claim-broken" | "claim-open" | "not-put-back";
}
