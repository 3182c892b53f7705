import { concat, equal, putU32be, toHex, u32be } from "../bytes.js";
import { type RsaVerificationKey, rsaSpki } from "../crypto/verification-key.js";
import { AvbError } from "./error.js";
import { part } from "./fields.js";

/** AVB knows RSA with this exponent only, so that its key blobs leave it out. */
const EXPONENT = Uint8Array.of(1, 0, 1);

/** A key as images embed it: bits, -1/n mod 2^32, n, and R^2 mod n (avb_rsa.h). */
export interface EmbeddedKey {
  readonly bits: number;
  readonly modulus: Uint8Array;
  readonly spki: Uint8Array;
}

/** Reads a key blob. Throws {@link AvbError}. */
export function parseEmbeddedKey(blob: Uint8Array, offset: number): EmbeddedKey {
  const bits = u32be(part(blob, 0, 8, "The embedded key"), 0);
  const length = bits / 8;
  const isKnown = [2048, 4096, 8192].includes(bits) && blob.length === 8 + 2 * length;
  if (!isKnown)
    throw new AvbError("bad-vbmeta", offset, `The embedded key of ${bits} bits has ${blob.length} bytes.`);
  const modulus = blob.slice(8, 8 + length);
  return { bits, modulus, spki: rsaSpki(modulus, EXPONENT) };
}

/**
 * The blob that images embed for this key, byte for byte what avbtool writes; undefined when AVB has no use for the key.
 */
export function embeddedForm(key: RsaVerificationKey): Uint8Array | undefined {
  if (![2048, 4096, 8192].includes(key.bits) || !equal(key.exponent, EXPONENT)) return undefined;
  const modulus = BigInt(`0x${toHex(key.modulus)}`);
  const numbers = new Uint8Array(8);
  putU32be(numbers, 0, key.bits);
  putU32be(numbers, 4, negatedInverse(Number(modulus & 0xffffffffn)));
  const square = (1n << BigInt(2 * key.bits)) % modulus;
  return concat(numbers, key.modulus, bytesOf(square, key.bits / 8));
}

/** -1/n modulo 2^32, for odd n: each step of Newton's doubles the bits that are right. */
function negatedInverse(n: number): number {
  let inverse = 1;
  for (let step = 0; step < 5; step++) inverse = Math.imul(inverse, 2 - Math.imul(n, inverse));
  return -inverse >>> 0;
}

function bytesOf(value: bigint, length: number): Uint8Array {
  const hex = value.toString(16).padStart(2 * length, "0");
  return Uint8Array.from({ length }, (_, index) => Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16));
}
