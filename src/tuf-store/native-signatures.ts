import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import { fromHex } from "../bytes.js";
import { opensslCrypto } from "../crypto-node/openssl.js";
import type { TufKey } from "../tuf/metadata-types.js";

/** `key` as `keyval.public` spells it. */
type Verifier = (key: string, message: Uint8Array, signature: Uint8Array) => boolean;

const SCHEMES: Readonly<Record<string, Verifier>> = {
  ed25519: (key, message, signature) => opensslCrypto.ed25519.verify(signature, message, fromHex(key)),
  "ecdsa-sha2-nistp256": ecdsa("sha256", "prime256v1"),
  "ecdsa-sha2-nistp384": ecdsa("sha384", "secp384r1"),
  "rsassa-pss-sha256": byPem(
    isRsa,
    (key, message, signature) =>
      // OpenSSL takes a signature without its leading zeros too, a second spelling that RFC 8017, 8.1.2 forbids.
      signature.length === Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8) &&
      verify(
        "sha256",
        message,
        { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
        signature,
      ),
  ),
};

function ecdsa(hash: string, curve: string): Verifier {
  return byPem(
    (key) => key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === curve,
    (key, message, signature) => verify(hash, message, key, signature),
  );
}

function isRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === "rsa" && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;
}

/** For keys in PEM: `fits` says whether it is a key for the scheme. */
function byPem(
  fits: (key: KeyObject) => boolean,
  isGood: (key: KeyObject, message: Uint8Array, signature: Uint8Array) => boolean,
): Verifier {
  return (text, message, signature) => {
    const key = createPublicKey(text);
    return fits(key) && isGood(key, message, signature);
  };
}

/**
 * Verifies by OpenSSL, which is there without loading anything, RSA keys of any length from 2048 bits up included. Same
 * answers as `verifyInJavaScript`.
 *
 * @param key - as the metadata has it
 * @param message - the canonical form of what was signed
 * @param signature - as the metadata has it
 * @returns false too for keys and signatures that OpenSSL does not understand
 */
export function verifyNatively(key: TufKey, message: Uint8Array, signature: Uint8Array): boolean {
  const verifies = Object.hasOwn(SCHEMES, key.scheme) ? SCHEMES[key.scheme] : undefined;
  try {
    return verifies?.(key.public, message, signature) ?? false;
  } catch {
    // OpenSSL does not understand the key: it has no good signatures.
    return false;
  }
}
