import type { KeyType, SigningKeyType } from "../crypto/algorithms.js";
import { HASHES, type HashAlgorithm, type HashName } from "../crypto/hashes.js";
import { TLV } from "./tlv.js";

/** Where MCUboot's images carry what the crypto room makes: TLV types per hash and per signing key. Source: MCUboot, image.h. */

/** TLV type of an image hash, per hash algorithm. */
export const HASH_TLVS: Readonly<Record<HashName, number>> = {
  sha256: TLV.SHA256,
  sha384: TLV.SHA384,
  sha512: TLV.SHA512,
};

/** TLV type of a signature, per type of the key that made it. Both curves of ECDSA share one. */
export const SIGNATURE_TLVS: Readonly<Record<SigningKeyType, number>> = {
  "rsa-2048": TLV.RSA2048_PSS,
  "rsa-3072": TLV.RSA3072_PSS,
  "ecdsa-p256": TLV.ECDSA_SIG,
  "ecdsa-p384": TLV.ECDSA_SIG,
  ed25519: TLV.ED25519,
};

const RSA: readonly KeyType[] = ["rsa-2048", "rsa-3072"];

/**
 * Types of keys for which an image may be encrypted, per type of the key that signs it; the usual one first. As imgtool has
 * it: a bootloader that checks ECDSA or RSA brings only that curve or RSA for decryption too.
 */
export const ENCRYPTION_KEYS: Readonly<Record<SigningKeyType, readonly KeyType[]>> = {
  "rsa-2048": RSA,
  "rsa-3072": RSA,
  "ecdsa-p256": ["ecdsa-p256"],
  "ecdsa-p384": ["ecdsa-p384"],
  ed25519: ["x25519", "ecdsa-p256", "ecdsa-p384", "ed25519", ...RSA],
};

/**
 * The hash algorithm whose image hash a TLV type holds; undefined for other types.
 *
 * @param type - of a TLV
 * @returns name, length in bytes, and how to compute it
 */
export function hashOfTlv(type: number): HashAlgorithm | undefined {
  return Object.values(HASHES).find(({ name }) => HASH_TLVS[name] === type);
}

/** Whether a TLV type is a signature's. */
export function isSignatureTlv(type: number): boolean {
  return Object.values(SIGNATURE_TLVS).includes(type);
}
