import { BootproofError } from "../errors.js";

export type MenderErrorCode =
  /** Not a Mender artifact, or one of another format version. */
  | "not-mender"
  /** Members, names or metadata break the format's rules or contradict each other. */
  | "bad-artifact"
  /** A checksum of the manifest does not match. */
  | "artifact-damaged"
  /** Unpacks to more than is allowed. */
  | "artifact-too-large"
  /** A compression that cannot be unpacked here. */
  | "artifact-compression"
  /** Carries parts that no signature covers. */
  | "artifact-augmented"
  /** What should be written breaks the format's rules. */
  | "bad-artifact-option"
  /** It is signed already. */
  | "already-signed";

/** A Mender artifact that cannot be read or made. */
export class MenderError extends BootproofError {
  declare readonly code: MenderErrorCode;
}

export function badArtifact(message: string, cause?: unknown): MenderError {
  return new MenderError("bad-artifact", message, { cause });
}
