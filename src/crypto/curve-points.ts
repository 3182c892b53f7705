import { concat } from "../bytes.js";
import { mod, power, toBytes, toNumber } from "./big-numbers.js";
import type { CurveDomain } from "./curve-domains.js";

/**
 * A point in the three encodings of SEC 1, section 2.3.3, and X9.62 (compressed 02 and 03, uncompressed 04, hybrid 06 and
 * 07) as an uncompressed one.
 *
 * @param size bytes of a coordinate
 * @returns undefined when it is no point of the curve
 */
export function uncompressedPoint(
  { p, a, b }: CurveDomain,
  encoded: Uint8Array,
  size: number,
): Uint8Array | undefined {
  const [form = 0] = encoded;
  const x = toNumber(encoded.subarray(1, 1 + size));
  if (x >= p) return undefined;
  const right = mod(x * x * x + a * x + b, p);
  if (encoded.length === size + 1 && (form === 2 || form === 3)) {
    // p is 3 modulo 4 for both curves: then this is a root if there is one.
    const root = power(right, (p + 1n) / 4n, p);
    if (mod(root * root, p) !== right) return undefined;
    const y = (root & 1n) === BigInt(form & 1) ? root : p - root;
    return concat(Uint8Array.of(4), toBytes(x, size), toBytes(y, size));
  }
  if (encoded.length !== 2 * size + 1 || (form !== 4 && form !== 6 && form !== 7)) return undefined;
  const y = toNumber(encoded.subarray(1 + size));
  if (y >= p || mod(y * y, p) !== right) return undefined;
  if (form !== 4 && (y & 1n) !== BigInt(form & 1)) return undefined;
  return concat(Uint8Array.of(4), encoded.subarray(1));
}

const P25519 = 2n ** 255n - 19n;
/** -121665/121666. */
const D25519 = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;

/** Whether 32 bytes are a point of edwards25519 in the one encoding that RFC 8032, section 5.1.3, allows. */
export function isEd25519Point(encoded: Uint8Array): boolean {
  if (encoded.length !== 32) return false;
  const bits = toNumber(encoded.toReversed());
  const sign = bits >> 255n;
  const y = bits & (2n ** 255n - 1n);
  if (y >= P25519) return false;
  const u = mod(y * y - 1n, P25519);
  if (u === 0n) return sign === 0n;
  const v = mod(D25519 * y * y + 1n, P25519);
  // x^2 = u/v has a root when u*v is a square: Euler's criterion.
  return power(u * v, (P25519 - 1n) / 2n, P25519) === 1n;
}

/** y-coordinates of the points whose order divides 8. */
const SMALL_ORDER = new Set([
  0n,
  1n,
  P25519 - 1n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
]);

/** Whether a point of edwards25519 has an order that divides 8; such a key would verify signatures of anybody. */
export function hasSmallOrder(encoded: Uint8Array): boolean {
  return SMALL_ORDER.has(toNumber(encoded.toReversed()) & (2n ** 255n - 1n));
}
