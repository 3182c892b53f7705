import { BootproofError } from "../errors.js";

export type KeyErrorCode =
  /** Neither PEM nor DER of a key. */
  | "not-a-key"
  /** A key, but of a type, size or curve that MCUboot has no signature for. */
  | "unsupported-key"
  /** The private key is encrypted and no passphrase was given. */
  | "passphrase-needed"
  /** Decryption gave no key. */
  | "wrong-passphrase"
  /** An encryption of the file that is not read. */
  | "unsupported-encryption"
  /** Public and private part do not belong together, or a number is out of its range. */
  | "broken-key"
  /** Only the public part is there. */
  | "no-private-part"
  /** A signature that is not one of the key that should have made it. */
  | "key-bad-signature"
  /** The key cannot be written in that form. */
  | "unsupported-format";

/** A key that cannot be read or used. Never holds bytes of the key: only what kind of thing was wrong. */
export class KeyError extends BootproofError {
  declare readonly code: KeyErrorCode;
}
