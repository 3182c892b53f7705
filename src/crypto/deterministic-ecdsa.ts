import { concat } from "../bytes.js";
import { inverse, mod, toBytes, toNumber } from "./big-numbers.js";
import type { CurveDomain } from "./curve-domains.js";

/** What the platform must bring to sign: a keyed hash and the multiplication of the base point. */
export interface SigningPlatform {
  readonly hmac: (key: Uint8Array, message: Uint8Array) => Uint8Array;
  /** The x-coordinate of `scalar` times the base point. */
  readonly multiplyBase: (scalar: Uint8Array) => Uint8Array;
}

/**
 * An ECDSA signature with its nonce by RFC 6979, section 3.2, for curves whose order has as many bits as the hash.
 *
 * @param digest as long as the order of the curve
 * @param secret a valid secret of that length
 * @returns r and s one behind the other
 */
export function signDeterministically(
  digest: Uint8Array,
  secret: Uint8Array,
  { n }: CurveDomain,
  platform: SigningPlatform,
): Uint8Array {
  const size = secret.length;
  const z = toNumber(digest.subarray(0, size));
  const d = toNumber(secret);
  for (const nonce of nonces(concat(secret, toBytes(mod(z, n), size)), size, platform.hmac)) {
    const k = toNumber(nonce);
    if (k === 0n || k >= n) continue;
    const r = mod(toNumber(platform.multiplyBase(nonce)), n);
    const s = mod(inverse(k, n) * (z + r * d), n);
    if (r !== 0n && s !== 0n) return concat(toBytes(r, size), toBytes(s, size));
  }
  throw new Error("unreachable: the sequence of nonces has no end");
}

/** The HMAC-DRBG of RFC 6979, one candidate after the other. */
function* nonces(seed: Uint8Array, size: number, hmac: SigningPlatform["hmac"]): Generator<Uint8Array> {
  const step = (byte: number) => Uint8Array.of(byte);
  let v = new Uint8Array(size).fill(1);
  let k = new Uint8Array(size);
  for (const byte of [0, 1]) {
    k = new Uint8Array(hmac(k, concat(v, step(byte), seed)));
    v = new Uint8Array(hmac(k, v));
  }
  for (;;) {
    v = new Uint8Array(hmac(k, v));
    yield v;
    k = new Uint8Array(hmac(k, concat(v, step(0))));
    v = new Uint8Array(hmac(k, v));
  }
}
