import { concat } from "../bytes.js";
import type { HashName } from "./hash-name.js";
import { cryptoProvider } from "./provider.js";

export type { HashName } from "./hash-name.js";

/** Hashes and what is made of them, computed by the provider in use. */

export interface HashAlgorithm {
  readonly name: HashName;
  readonly length: number;
  /** As boot records and people spell it. */
  readonly label: string;
  readonly digest: (bytes: Uint8Array) => Uint8Array;
}

export const HASHES: Readonly<Record<HashName, HashAlgorithm>> = {
  sha256: { name: "sha256", length: 32, label: "SHA256", digest: digestBy("sha256") },
  sha384: { name: "sha384", length: 48, label: "SHA384", digest: digestBy("sha384") },
  sha512: { name: "sha512", length: 64, label: "SHA512", digest: digestBy("sha512") },
};

function digestBy(name: HashName): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => cryptoProvider().hashes.digest(name, bytes);
}

/**
 * Only for name-based UUIDs, which are defined with it.
 *
 * @param bytes - any
 * @returns 20 bytes
 */
export function sha1(bytes: Uint8Array): Uint8Array {
  return cryptoProvider().hashes.sha1(bytes);
}

/** Keyed hash of `bytes`. */
export function hmac(hash: HashName, key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return cryptoProvider().hashes.hmac(hash, key, bytes);
}

/** RFC 5869, extract and expand, without salt: `length` bytes, at most 255 hashes. */
export function hkdf(hash: HashName, secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const extracted = hmac(hash, new Uint8Array(HASHES[hash].length), secret);
  const key = new Uint8Array(length);
  let block = new Uint8Array(0);
  for (let at = 0, count = 1; at < length; at += block.length, count++) {
    block = new Uint8Array(hmac(hash, extracted, concat(block, info, Uint8Array.of(count))));
    key.set(block.subarray(0, length - at), at);
  }
  return key;
}
