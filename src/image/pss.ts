import { concat } from "../bytes.js";
import { HASHES } from "./hashes.js";

const HASH = HASHES.sha256;
/** Salt as long as the hash: what MCUboot expects. */
const SALT_LENGTH = HASH.length;

/**
 * EMSA-PSS of RFC 8017, section 9.1.1, with SHA-256 and MGF1 of the same: a digest padded to the length of a modulus of
 * `length` bytes whose top bit is set, ready for the private key.
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

function mgf1(seed: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let counter = 0; counter * HASH.length < length; counter++)
    blocks.push(HASH.digest(concat(seed, Uint8Array.of(0, 0, 0, counter))));
  return concat(...blocks).subarray(0, length);
}
