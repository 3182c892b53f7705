import { md5 as nobleMd5, sha1 as nobleSha1 } from "@noble/hashes/legacy.js";
import { pbkdf2Async } from "@noble/hashes/pbkdf2.js";
import { scryptAsync } from "@noble/hashes/scrypt.js";
import { sha224 } from "@noble/hashes/sha2.js";
import { concat } from "../bytes.js";

/** The door to what makes keys out of passphrases, beyond what WebCrypto has. Only old files and scrypt need it. */

/** Cost of scrypt, RFC 7914: N (a power of two), r and p. */
export interface ScryptCost {
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
}

/** scrypt of RFC 7914. Precondition: the cost was bounded by the caller; it takes 128 * N * r bytes of memory. */
export function scryptKey(
  passphrase: Uint8Array,
  salt: Uint8Array,
  { cost, blockSize, parallelization }: ScryptCost,
  length: number,
): Promise<Uint8Array> {
  return scryptAsync(passphrase, salt, { N: cost, r: blockSize, p: parallelization, dkLen: length });
}

/** PBKDF2 with HMAC-SHA224, which WebCrypto does not know. */
export function pbkdf2Sha224(
  passphrase: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  length: number,
): Promise<Uint8Array> {
  return pbkdf2Async(sha224, passphrase, salt, { c: iterations, dkLen: length });
}

/** EVP_BytesToKey with MD5 and one round, what OpenSSL's old PEM encryption derives its key with. */
export function openSslKey(passphrase: Uint8Array, salt: Uint8Array, length: number): Uint8Array {
  let key = new Uint8Array(0);
  let last = new Uint8Array(0);
  while (key.length < length) {
    last = Uint8Array.from(nobleMd5(concat(last, passphrase, salt)));
    key = Uint8Array.from(concat(key, last));
  }
  return key.subarray(0, length);
}

/** PBKDF1 with MD5, RFC 8018, section 5.1: 16 bytes. */
export function pbkdf1Md5(passphrase: Uint8Array, salt: Uint8Array, iterations: number): Uint8Array {
  let key = nobleMd5(concat(passphrase, salt));
  for (let round = 1; round < iterations; round++) key = nobleMd5(key);
  return key;
}

/** What {@link pkcs12Key} makes: the ID byte of RFC 7292, appendix B.3. */
export const PKCS12_ID = { key: 1, iv: 2 } as const;

const SHA1_LENGTH = 20;
const SHA1_BLOCK = 64;

/** The key derivation of PKCS#12 with SHA-1 (RFC 7292, appendix B.2); the passphrase becomes UTF-16 with a zero behind. */
export function pkcs12Key(
  passphrase: string,
  salt: Uint8Array,
  iterations: number,
  { id, length }: { readonly id: 1 | 2; readonly length: number },
): Uint8Array {
  const input = concat(repeated(salt), repeated(utf16(passphrase)));
  const diversifier = new Uint8Array(SHA1_BLOCK).fill(id);
  const key = new Uint8Array(Math.ceil(length / SHA1_LENGTH) * SHA1_LENGTH);
  for (let at = 0; at < length; at += SHA1_LENGTH) {
    let digest = nobleSha1(concat(diversifier, input));
    for (let round = 1; round < iterations; round++) digest = nobleSha1(digest);
    key.set(digest, at);
    addToBlocks(input, digest);
  }
  return key.subarray(0, length);
}

/** Each block of `input` plus the digest, repeated to a block, plus one; modulo 2^512. */
function addToBlocks(input: Uint8Array, digest: Uint8Array): void {
  for (let block = 0; block < input.length; block += SHA1_BLOCK) {
    let carry = 1;
    for (let index = SHA1_BLOCK - 1; index >= 0; index--) {
      carry += input[block + index]! + digest[index % SHA1_LENGTH]!;
      input[block + index] = carry & 0xff;
      carry >>= 8;
    }
  }
}

/** As often as it takes to fill whole blocks. */
function repeated(bytes: Uint8Array): Uint8Array {
  const length = Math.ceil(bytes.length / SHA1_BLOCK) * SHA1_BLOCK;
  return Uint8Array.from({ length }, (_, index) => bytes[index % bytes.length]!);
}

function utf16(text: string): Uint8Array {
  const bytes = new Uint8Array(2 * text.length + 2);
  for (let index = 0; index < text.length; index++) {
    bytes[2 * index] = text.charCodeAt(index) >> 8;
    bytes[2 * index + 1] = text.charCodeAt(index) & 0xff;
  }
  return bytes;
}
