import { hkdf as nobleHkdf } from "@noble/hashes/hkdf.js";
import { hmac as nobleHmac } from "@noble/hashes/hmac.js";
import { sha1 as nobleSha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { TLV } from "./tlv.js";

/** The door to all hashes. Apart from the curves, which take long to load, so that what only hashes is quick to start. */

/** Hash algorithms an image can carry. */
export type HashName = "sha256" | "sha384" | "sha512";

export interface HashAlgorithm {
  readonly name: HashName;
  readonly tlv: number;
  readonly length: number;
  /** As boot records and people spell it. */
  readonly label: string;
  readonly digest: (bytes: Uint8Array) => Uint8Array;
}

const NOBLE = { sha256, sha384, sha512 } as const;

export const HASHES: Readonly<Record<HashName, HashAlgorithm>> = {
  sha256: { name: "sha256", tlv: TLV.SHA256, length: 32, label: "SHA256", digest: digestBy("sha256") },
  sha384: { name: "sha384", tlv: TLV.SHA384, length: 48, label: "SHA384", digest: digestBy("sha384") },
  sha512: { name: "sha512", tlv: TLV.SHA512, length: 64, label: "SHA512", digest: digestBy("sha512") },
};

/** SHA-2 of whole bytes, at once. */
export type Digest = (hash: HashName, bytes: Uint8Array) => Uint8Array;

let digestOfPlatform: Digest | undefined;

/**
 * Has all images hashed by what the platform brings along: for a whole image OpenSSL, through `node:crypto`, takes a
 * tenth of the time that a program just started needs without it. The results must be SHA-2's, as they are without.
 */
export function hashWith(digest: Digest): void {
  digestOfPlatform = digest;
}

function digestBy(name: HashName): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => (digestOfPlatform ? digestOfPlatform(name, bytes) : NOBLE[name](bytes));
}

/** The hash algorithm whose image hash a TLV type holds. */
export function hashOfTlv(type: number): HashAlgorithm | undefined {
  return Object.values(HASHES).find((hash) => hash.tlv === type);
}

/** Only for name-based UUIDs, which are defined with it. */
export function sha1(bytes: Uint8Array): Uint8Array {
  return nobleSha1(bytes);
}

/** Keyed hash of `bytes`. */
export function hmac(hash: HashName, key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return nobleHmac(NOBLE[hash], key, bytes);
}

/** RFC 5869, extract and expand, without salt. */
export function hkdf(hash: HashName, secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  return nobleHkdf(NOBLE[hash], secret, undefined, info, length);
}
