import type { SchemeName } from "./algorithms.js";
import type { SigningRequest } from "./signer.js";

/** The scheme that a request asks for. */
export function schemeOf({ algorithm, padding }: SigningRequest): SchemeName {
  return algorithm.family === "rsa" && padding === "pkcs1" ? "rsa-pkcs1v15-sha256" : algorithm.scheme;
}

/**
 * What goes into a scheme. `digest`: the scheme's own hash is already made. `message`: the bytes themselves, which for
 * Ed25519 are the image's hash, or all of the image when the signature is pure.
 */
export type SchemeInput =
  | { readonly kind: "digest"; readonly bytes: Uint8Array }
  | { readonly kind: "message"; readonly bytes: Uint8Array };

/** What a signer without knowledge of images is to sign for this request. */
export function schemeInput({ algorithm, range, digest, pure }: SigningRequest): SchemeInput {
  if (algorithm.signs === "digest") return { kind: "digest", bytes: digest };
  return { kind: "message", bytes: pure ? range : digest };
}
