import { concat, equal } from "../bytes.js";
import { DER, der, derInteger } from "./der.js";
import { parseEcdsaSignature } from "./ecdsa-signature.js";
import { KeyError } from "./key-error.js";
import type { EcVerificationKey, RsaVerificationKey, VerificationKey } from "./verification-key.js";

/** Signatures over files around an image: RSASSA-PKCS1-v1_5 (RFC 8017, 8.2) and ECDSA P-256 over SHA-256. */

const NUMBER = 32;

/** Is this an RSASSA-PKCS1-v1_5 signature of `message`? */
export async function verifyRsaPkcs1(
  key: RsaVerificationKey,
  hash: "sha256" | "sha512",
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (signature.length !== Math.ceil(key.bits / 8)) return false;
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: hash === "sha256" ? "SHA-256" : "SHA-512" };
  const imported = await usable(
    crypto.subtle.importKey("spki", copy(key.spki), algorithm, false, ["verify"]),
  );
  return crypto.subtle.verify(algorithm.name, imported, copy(signature), copy(message));
}

/** Is this an ECDSA signature over SHA-256 of `message`: r and s of 32 bytes one behind the other, or strict DER? */
export async function verifyEcdsaP256(
  key: EcVerificationKey,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const imported = await usable(crypto.subtle.importKey("spki", copy(key.spki), curve, false, ["verify"]));
  for (const form of [signature.length === 2 * NUMBER ? signature : undefined, pairOf(signature)])
    if (
      form &&
      (await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, copy(form), copy(message)))
    )
      return true;
  return false;
}

/**
 * Does `signature` over SHA-256 of `message` come from this key? Both forms of ECDSA signatures are read.
 *
 * @param key - of whoever should have signed
 * @param message - what was signed, not hashed yet
 * @param signature - PKCS#1 v1.5 for RSA; DER, or r and s of 32 bytes, for ECDSA
 * @returns false too for bytes that are no signature
 */
export function verifySha256(
  key: VerificationKey,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  return key.type === "rsa"
    ? verifyRsaPkcs1(key, "sha256", message, signature)
    : verifyEcdsaP256(key, message, signature);
}

/** RSASSA-PKCS1-v1_5 over SHA-256 of `message`, by a private key in PKCS#8. Throws {@link KeyError}. */
export async function signRsaPkcs1(pkcs8: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const imported = await usable(crypto.subtle.importKey("pkcs8", copy(pkcs8), algorithm, false, ["sign"]));
  return new Uint8Array(await crypto.subtle.sign(algorithm.name, imported, copy(message)));
}

/**
 * r and s of 32 bytes out of strict DER; undefined for everything else.
 *
 * @param signature - DER, of P-256
 * @returns 64 bytes
 */
export function pairOf(signature: Uint8Array): Uint8Array | undefined {
  const numbers = parseEcdsaSignature(signature, NUMBER);
  if (!numbers) return undefined;
  const again = der(DER.SEQUENCE, derInteger(numbers.r), derInteger(numbers.s));
  return equal(again, signature) ? concat(numbers.r, numbers.s) : undefined;
}

async function usable<T>(imported: Promise<T>): Promise<T> {
  try {
    return await imported;
  } catch {
    // WebCrypto's own error names nothing a person could act on.
    throw new KeyError("broken-key", "The numbers of this key are not a valid key.");
  }
}

/** WebCrypto takes no view of shared memory, which a `Uint8Array` may be to the compiler. */
function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
