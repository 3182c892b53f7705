import { SIGNATURE_ALGORITHMS, type SigningKeyType } from "./algorithms.js";
import { encodeEcdsaSignature, parseEcdsaSignature } from "./ecdsa-signature.js";

/** How a signature is written: `der` SEQUENCE(r, s); `p1363` r and s one behind the other; `raw` for all but ECDSA. */
export type SignatureEncoding = "der" | "p1363" | "raw";

/**
 * A signature from elsewhere in the form that images carry: DER for ECDSA. Security modules mostly give r and s one
 * behind the other; without `encoding` that is told from DER by its look. Bytes that are neither come back unchanged:
 * whether a signature is good is not asked here.
 *
 * @param type - of the key that signed
 * @param signature - as it came
 * @param encoding - when it is known
 * @returns the signature as images carry it
 */
export function toImageSignature(
  type: SigningKeyType,
  signature: Uint8Array,
  encoding?: SignatureEncoding,
): Uint8Array {
  const size = SIGNATURE_ALGORITHMS[type].numberSize;
  if (size === undefined || signature.length !== 2 * size) return signature;
  const looksLikeDer = encoding === undefined && parseEcdsaSignature(signature, size) !== undefined;
  if (encoding === "der" || looksLikeDer) return signature;
  return encodeEcdsaSignature(signature);
}
