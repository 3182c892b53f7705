import { concat } from "../bytes.js";
import type { SigningKeyType } from "./algorithms.js";
import { DER, der, derInteger } from "./der.js";
import { parseEcdsaSignature } from "./ecdsa-signature.js";

/** How a signature is written: `der` SEQUENCE(r, s); `p1363` r and s one behind the other; `raw` for all but ECDSA. */
export type SignatureEncoding = "der" | "p1363" | "raw";

/** Bytes of r, and of s. */
const NUMBER_SIZES: Partial<Record<SigningKeyType, number>> = { "ecdsa-p256": 32, "ecdsa-p384": 48 };

/**
 * A signature from elsewhere in the form that images carry: DER for ECDSA. Security modules mostly give r and s one
 * behind the other; without `encoding` that is told from DER by its look. Bytes that are neither come back unchanged:
 * whether a signature is good is not asked here.
 */
export function toImageSignature(
  type: SigningKeyType,
  signature: Uint8Array,
  encoding?: SignatureEncoding,
): Uint8Array {
  const size = NUMBER_SIZES[type];
  if (size === undefined || signature.length !== 2 * size) return signature;
  const looksLikeDer = encoding === undefined && parseEcdsaSignature(signature, size) !== undefined;
  if (encoding === "der" || looksLikeDer) return signature;
  return der(
    DER.SEQUENCE,
    concat(derInteger(signature.subarray(0, size)), derInteger(signature.subarray(size))),
  );
}
