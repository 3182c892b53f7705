import type { SigningKeyType } from "./algorithms.js";
import type { SigningRequest } from "./sign.js";

/** Names of signature schemes for signers outside this program, which know nothing of images. */
export type SchemeName =
  /** RSASSA-PSS with SHA-256, MGF1 of the same, a salt of 32 bytes. */
  | "rsa-pss-sha256-salt32"
  | "ecdsa-p256-sha256"
  | "ecdsa-p384-sha384"
  /** RFC 8032, not Ed25519ph. */
  | "ed25519";

export const SCHEMES: Readonly<Record<SigningKeyType, SchemeName>> = {
  "rsa-2048": "rsa-pss-sha256-salt32",
  "rsa-3072": "rsa-pss-sha256-salt32",
  "ecdsa-p256": "ecdsa-p256-sha256",
  "ecdsa-p384": "ecdsa-p384-sha384",
  ed25519: "ed25519",
};

/**
 * What goes into a scheme. `digest`: the scheme's own hash is already made. `message`: the bytes themselves, which for
 * Ed25519 are the image's hash, or all of the image when the signature is pure.
 */
export type SchemeInput =
  | { readonly kind: "digest"; readonly bytes: Uint8Array }
  | { readonly kind: "message"; readonly bytes: Uint8Array };

/** What a signer without knowledge of images is to sign for this request. */
export function schemeInput({ algorithm, range, digest, pure }: SigningRequest): SchemeInput {
  if (algorithm.keyType !== "ed25519") return { kind: "digest", bytes: digest };
  return { kind: "message", bytes: pure ? range : digest };
}
