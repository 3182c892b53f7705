import type { SignatureAlgorithm } from "./algorithms.js";
import type { HashName } from "./hashes.js";
import { type Key, secretOf, signatureAlgorithmOf } from "./keys.js";
import { signRsaPkcs1 } from "./pkcs1.js";

/** Something that signs: a key at hand ({@link keySigner}), or a device or service far away. */
export interface Signer {
  /** Its public key; a private part is not looked at. */
  readonly publicKey: Key;
  sign(request: SigningRequest): Promise<Uint8Array>;
}

/** What a signer is asked to sign. */
export interface SigningRequest {
  readonly algorithm: SignatureAlgorithm;
  readonly hash: HashName;
  /** Header, body and protected TLVs: what RSA, ECDSA and pure Ed25519 sign (they hash it themselves). */
  readonly range: Uint8Array;
  /** The hash of `range`: what Ed25519 signs unless pure. */
  readonly digest: Uint8Array;
  readonly pure: boolean;
  /** Of RSA: as images are signed, or as files around them are (Mender artifacts). PSS when nothing is said. */
  readonly padding?: "pss" | "pkcs1";
}

/**
 * A signer that holds the key itself.
 *
 * @param key - with its private part
 * @returns signs in this process
 * @throws `KeyError` for a public key and for X25519
 */
export function keySigner(key: Key): Signer {
  const secret = secretOf(key);
  const algorithm = signatureAlgorithmOf(key);
  return {
    publicKey: key,
    sign: (request) =>
      key.type.startsWith("rsa") && request.padding === "pkcs1"
        ? signRsaPkcs1(secret, request.range)
        : algorithm.sign(secret, request),
  };
}
