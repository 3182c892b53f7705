import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { p256, p384 } from "@noble/curves/nist.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import type { HashName } from "./hashes.js";
import type { EcdsaKeyType } from "./key-types.js";
import { type CryptoProvider, type Ecdsa, useCrypto } from "./provider.js";

/** The door to noble: curves and hashes in JavaScript, for wherever OpenSSL is not. */

// A run of the program makes one or two signatures: larger tables cost it more than they save.
for (const { Point } of [ed25519, p256, p384]) Point.BASE.precompute(4);

/** RFC 8032 as bootloaders have it; noble's default (ZIP 215) accepts points that they refuse. */
const STRICT = { zip215: false } as const;

const SHA2 = { sha256, sha384, sha512 } as const;

/** Everything in JavaScript. */
export const nobleCrypto: CryptoProvider = {
  hashes: {
    digest: (hash, bytes) => SHA2[hash](bytes),
    sha1: (bytes) => sha1(bytes),
    hmac: (hash, key, bytes) => hmac(SHA2[hash], key, bytes),
  },
  ed25519: {
    publicOf: (secret) => ed25519.getPublicKey(secret),
    sign: (message, secret) => ed25519.sign(message, secret),
    verify: (signature, message, publicRaw) =>
      signature.length === 64 && didVerify(() => ed25519.verify(signature, message, publicRaw, STRICT)),
  },
  x25519: {
    publicOf: (secret) => x25519.getPublicKey(secret),
    agree: (secret, publicRaw) => x25519.getSharedSecret(secret, publicRaw),
  },
  ecdsa: { "ecdsa-p256": ecdsa(p256, "sha256"), "ecdsa-p384": ecdsa(p384, "sha384") },
};

/** Has curves and hashes computed in JavaScript from here on. */
export function useNoble(): void {
  useCrypto(nobleCrypto);
}

/** Whether `signature`, r and s one behind the other, is over a message with this digest. Never throws. */
export function verifyEcdsaDigest(
  keyType: EcdsaKeyType,
  { signature, digest, publicRaw }: { signature: Uint8Array; digest: Uint8Array; publicRaw: Uint8Array },
): boolean {
  const curve = keyType === "ecdsa-p256" ? p256 : p384;
  return didVerify(() => curve.verify(signature, digest, publicRaw, ECDSA));
}

// Neither OpenSSL nor MCUboot asks for a low s; noble's default would refuse about half of their signatures.
const ECDSA = { prehash: false, lowS: false, format: "compact" } as const;

function ecdsa(curve: typeof p256, hash: HashName): Ecdsa {
  return {
    publicOf: (secret) => curve.getPublicKey(secret, false),
    sign: (digest, secret) => curve.sign(digest, secret, ECDSA),
    verify: (signature, message, publicRaw) =>
      didVerify(() => curve.verify(signature, SHA2[hash](message), publicRaw, ECDSA)),
    agree: (secret, publicRaw) => curve.getSharedSecret(secret, publicRaw, true).subarray(1),
  };
}

/** noble throws on a point or number that cannot be; for a verifier that is a plain no. */
function didVerify(attempt: () => boolean): boolean {
  try {
    return attempt();
  } catch {
    return false;
  }
}
