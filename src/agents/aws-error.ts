import { BootproofError } from "../errors.js";

export type AwsErrorCode =
  /** Nothing is answered: the broker is away, or a policy lets nothing through. */
  | "aws-no-answer"
  /** The connection could not be made. */
  | "aws-unreachable"
  /** Somebody cancelled or removed the job, or it timed out. */
  | "job-ended"
  /** Another host drives the same job. */
  | "job-taken-over"
  /** The job must never be carried out: wrong thing, size, signature, stream. */
  | "job-rejected"
  /** An answer is not what the service documents. */
  | "aws-bad-answer"
  /** A certificate of this host cannot be used to check signatures of files. */
  | "bad-code-signer"
  /** An image that no board takes is not released. */
  | "bad-release"
  /** An option of a release that the service, or the agent, would not take. */
  | "bad-release-option"
  /** The user's own `aws` command line is not there. */
  | "aws-command-missing"
  /** It was called and failed, or answered something else. */
  | "aws-command-failed"
  /** The optional package for MQTT is not installed. */
  | "mqtt-missing";

/** Something is wrong with a job of AWS IoT, or on the way to it. */
export class AwsError extends BootproofError {
  declare readonly code: AwsErrorCode;
}
