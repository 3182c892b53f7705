import { DER, der, derInteger } from "./der.js";

/** SEQUENCE(INTEGER r, INTEGER s) of two numbers one behind the other, each as long as the other. */
export function encodeEcdsaSignature(numbers: Uint8Array): Uint8Array {
  const half = numbers.length / 2;
  return der(DER.SEQUENCE, derInteger(numbers.subarray(0, half)), derInteger(numbers.subarray(half)));
}

/**
 * Reads SEQUENCE(INTEGER r, INTEGER s) into two numbers of `size` bytes; undefined when it is not that.
 *
 * Zeros behind the sequence are tolerated as MCUboot does: imgtool's old `--pad-sig` adds them so that every signature
 * has one length.
 */
export function parseEcdsaSignature(
  signature: Uint8Array,
  size: number,
): { r: Uint8Array; s: Uint8Array } | undefined {
  // Both numbers fit lengths below 128 for every curve here, so the long form of a length never occurs.
  if (signature.length < 8 || signature[0] !== 0x30 || signature[1]! > 0x7f) return undefined;
  const end = 2 + signature[1]!;
  if (end > signature.length || signature.subarray(end).some((byte) => byte !== 0)) return undefined;
  const r = integerAt(signature, 2, end, size);
  const s = r && integerAt(signature, r.end, end, size);
  if (!s || s.end !== end) return undefined;
  return { r: r.number, s: s.number };
}

function integerAt(bytes: Uint8Array, offset: number, end: number, size: number) {
  if (offset + 2 > end || bytes[offset] !== 0x02) return undefined;
  const start = offset + 2;
  const stop = start + bytes[offset + 1]!;
  // Negative or empty numbers are no coordinates of a signature.
  if (stop > end || stop === start || bytes[start]! > 0x7f) return undefined;
  const digits = bytes.subarray(bytes[start] === 0 ? start + 1 : start, stop);
  if (digits.length > size) return undefined;
  const number = new Uint8Array(size);
  number.set(digits, size - digits.length);
  return { number, end: stop };
}
