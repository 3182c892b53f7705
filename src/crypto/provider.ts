import type { HashName } from "./hash-name.js";
import type { EcdsaKeyType } from "./key-types.js";

/**
 * The seam to hashing and elliptic-curve arithmetic: in JavaScript for browsers (`noble.ts`), by OpenSSL where there is
 * Node. Both give the same bytes and the same verdicts; tests compare them on every vector.
 */

/** Hashes of whole bytes, at once. */
export interface Hashes {
  digest(hash: HashName, bytes: Uint8Array): Uint8Array;
  sha1(bytes: Uint8Array): Uint8Array;
  hmac(hash: HashName, key: Uint8Array, bytes: Uint8Array): Uint8Array;
}

/** Ed25519 by RFC 8032, without a hash before it. */
export interface Ed25519 {
  /** 32 bytes of public key for a seed of 32 bytes. */
  publicOf(secret: Uint8Array): Uint8Array;
  /** A signature of 64 bytes. */
  sign(message: Uint8Array, secret: Uint8Array): Uint8Array;
  /** False for a public key that is no point, or one of small order. Never throws. */
  verify(signature: Uint8Array, message: Uint8Array, publicRaw: Uint8Array): boolean;
}

/** One curve of ECDSA with the hash that goes with it: SHA-256 for P-256, SHA-384 for P-384. */
export interface Ecdsa {
  /** The uncompressed point of a valid secret. */
  publicOf(secret: Uint8Array): Uint8Array;
  /** r and s one behind the other, the nonce by RFC 6979; s is not made low. `digest` is by the curve's hash. */
  sign(digest: Uint8Array, secret: Uint8Array): Uint8Array;
  /** `signature` is r and s one behind the other; a high s is accepted. Never throws. */
  verify(signature: Uint8Array, message: Uint8Array, publicRaw: Uint8Array): boolean;
  /** The x-coordinate of the shared point. @throws when `publicRaw` is no point of the curve */
  agree(secret: Uint8Array, publicRaw: Uint8Array): Uint8Array;
}

/** X25519 by RFC 7748. */
export interface X25519 {
  publicOf(secret: Uint8Array): Uint8Array;
  /** 32 bytes. @throws when the result would be zero, as for points of small order */
  agree(secret: Uint8Array, publicRaw: Uint8Array): Uint8Array;
}

export interface CryptoProvider {
  readonly hashes: Hashes;
  readonly ed25519: Ed25519;
  readonly x25519: X25519;
  readonly ecdsa: Readonly<Record<EcdsaKeyType, Ecdsa>>;
}

let current: CryptoProvider | undefined;

/** From here on `provider` does the work. Entries of the library call it; the last call counts. */
export function useCrypto(provider: CryptoProvider): void {
  current = provider;
}

/** The provider in use. @throws an Error where no entry of the library was imported */
export function cryptoProvider(): CryptoProvider {
  if (!current) throw new Error("no crypto provider: import an entry of this library, not its inner files");
  return current;
}
