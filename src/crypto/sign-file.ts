import { HASHES } from "./hashes.js";
import { KeyError } from "./key-error.js";
import { signatureAlgorithmOf } from "./keys.js";
import { pairOf, verifySha256 } from "./pkcs1.js";
import type { Signer } from "./signer.js";
import { type VerificationKey, verificationKeyOf } from "./verification-key.js";

/**
 * Has `message` signed as files around an image are: RSASSA-PKCS1-v1_5, or ECDSA P-256 as r and s of 32 bytes, over
 * SHA-256. The signature is checked before it is given back.
 *
 * @param signer - RSA or ECDSA P-256
 * @param message - not hashed yet
 * @returns PKCS#1 v1.5 for RSA; r and s, 64 bytes, for ECDSA
 * @throws {@link KeyError} `unsupported-key` for another type of key, `bad-signature` when the signer signed
 *   something else
 */
export async function signFile(signer: Signer, message: Uint8Array): Promise<Uint8Array> {
  const { publicKey } = signer;
  const key = await verificationKeyOf(publicKey);
  const signature = await signer.sign({
    algorithm: signatureAlgorithmOf(publicKey),
    hash: "sha256",
    range: message,
    digest: HASHES.sha256.digest(message),
    pure: false,
    padding: "pkcs1",
  });
  const raw = fileSignature(key, signature);
  if (await verifySha256(key, message, raw)) return raw;
  throw new KeyError(
    "key-bad-signature",
    `The signer's answer is not a signature by this ${publicKey.type} key.`,
    {
      hint: "Does --public-key name the signer's key? For RSA the signer must use PKCS#1 v1.5, not PSS.",
    },
  );
}

/**
 * A signature as files around an image carry it: of ECDSA only r and s one behind the other is read by every version of
 * Mender's tools.
 *
 * @param key - whose signature it is
 * @param signature - DER or r and s, for ECDSA; bytes that are neither come back unchanged
 * @returns the signature to write
 */
export function fileSignature(key: VerificationKey, signature: Uint8Array): Uint8Array {
  return key.type === "rsa" ? signature : (pairOf(signature) ?? signature);
}
