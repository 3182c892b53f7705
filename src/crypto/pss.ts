import { concat, equal, fromHex, toHex } from "../bytes.js";
import { HASHES } from "./hashes.js";

const HASH = HASHES.sha256;
/** Salt as long as the hash: what MCUboot expects. */
const SALT_LENGTH = HASH.length;

/**
 * EMSA-PSS of RFC 8017, section 9.1.1, with SHA-256 and MGF1 of the same: a digest padded to the length of a modulus of
 * `length` bytes whose top bit is set, ready for the private key.
 *
 * @param digest - SHA-256, 32 bytes
 * @param length - of the modulus, bytes
 * @returns `length` bytes, with a fresh salt of 32
 */
export function encodePss(digest: Uint8Array, length: number): Uint8Array {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_LENGTH));
  const hash = HASH.digest(concat(new Uint8Array(8), digest, salt));
  const padding = new Uint8Array(length - SALT_LENGTH - HASH.length - 2);
  const block = concat(padding, Uint8Array.of(1), salt);
  const mask = mgf1(hash, block.length);
  const masked = block.map((byte, index) => byte ^ mask[index]!);
  // One bit shorter than the modulus, so that the number is smaller than it.
  masked[0]! &= 0x7f;
  return concat(masked, hash, Uint8Array.of(0xbc));
}

/** The block that a signature of RFC 8017, section 8.1.2, holds; undefined when it is no number below the modulus. */
export function openPss(signature: Uint8Array, modulus: bigint, exponent: bigint): Uint8Array | undefined {
  let base = BigInt(`0x${toHex(signature)}`);
  if (base >= modulus) return undefined;
  let opened = 1n;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) opened = (opened * base) % modulus;
    base = (base * base) % modulus;
  }
  return fromHex(opened.toString(16).padStart(signature.length * 2, "0"));
}

/** EMSA-PSS verification of RFC 8017, section 9.1.2: `block` as {@link encodePss} makes it for this digest, whatever the salt. */
export function isPssOf(digest: Uint8Array, block: Uint8Array): boolean {
  const end = block.length - 1 - HASH.length;
  if (digest.length !== HASH.length || block.at(-1) !== 0xbc || (block[0]! & 0x80) !== 0) return false;
  const hash = block.subarray(end, end + HASH.length);
  const mask = mgf1(hash, end);
  const open = block.subarray(0, end).map((byte, index) => byte ^ mask[index]!);
  open[0]! &= 0x7f;
  const saltAt = end - SALT_LENGTH;
  const padding = open.subarray(0, saltAt - 1);
  if (padding.some((byte) => byte !== 0) || open[saltAt - 1] !== 1) return false;
  return equal(HASH.digest(concat(new Uint8Array(8), digest, open.subarray(saltAt))), hash);
}

function mgf1(seed: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let counter = 0; counter * HASH.length < length; counter++)
    blocks.push(HASH.digest(concat(seed, Uint8Array.of(0, 0, 0, counter))));
  return concat(...blocks).subarray(0, length);
}
