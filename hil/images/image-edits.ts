import { createHash } from "node:crypto";
import { parseImage } from "bootproof";
import { TLV } from "bootproof/mcuboot";
import { ImageFactoryError } from "./image-factory-error.js";

// --- damage: bytes in, bytes out; each leaves what it was given alone ----------------------------------------------

/** One bit turned over. */
export function flipBit(file: Uint8Array, offset: number, bit = 0): Uint8Array {
  const bad = file.slice();
  bad[offset]! ^= 1 << bit;
  return bad;
}

/** What erased flash reads as: ones, on some chips zeros. */
const ERASED: readonly number[] = [0xff, 0x00];

/**
 * Without its last byte, or without more until one of them is missed: where a file ends too early the board reads erased
 * flash, and one signature in 128 ends in what that reads as.
 */
export function cutShort(file: Uint8Array): Uint8Array {
  const last = file.findLastIndex((byte) => !ERASED.includes(byte));
  return file.subarray(0, Math.max(0, last));
}

/** The hash made right again over whatever the image holds now, as an attacker without the key would. */
export function rehash(file: Uint8Array): Uint8Array {
  const { hashedRange, imageHash } = parseImage(file);
  const bad = file.slice();
  const at = hashAt(file);
  const digest = createHash(imageHash!.algorithm).update(hashedRange).digest();
  bad.set(digest.subarray(0, imageHash!.value.length), at);
  return bad;
}

/** Where the value of the image hash stands. */
export function hashAt(file: Uint8Array): number {
  return valueAt(file, [TLV.SHA256, TLV.SHA384, TLV.SHA512]);
}

const SIGNATURES: readonly number[] = [TLV.RSA2048_PSS, TLV.RSA3072_PSS, TLV.ECDSA_SIG, TLV.ED25519];

export function signatureAt(file: Uint8Array): number {
  return valueAt(file, SIGNATURES);
}

export function keyHashAt(file: Uint8Array): number {
  return valueAt(file, [TLV.KEYHASH, TLV.PUBKEY]);
}

export function counterAt(file: Uint8Array): number {
  return valueAt(file, [TLV.SEC_CNT]);
}

/** The image with the signature of another. Both signatures have the same length, or the shorter one leads. */
export function withSignatureOf(file: Uint8Array, other: Uint8Array): Uint8Array {
  const bad = file.slice();
  const to = parseImage(file).signatures[0]!;
  const from = parseImage(other).signatures[0]!;
  bad.set(from.value.subarray(0, to.value.length), to.offset + 4);
  return bad;
}

/** The image with a TLV appended to the area that hash and signature do not cover. */
export function appendUnprotected(file: Uint8Array, type: number, value: Uint8Array): Uint8Array {
  const { unprotectedArea, size } = parseImage(file);
  const longer = new Uint8Array(size + 4 + value.length);
  longer.set(file.subarray(0, size));
  const view = new DataView(longer.buffer);
  view.setUint16(unprotectedArea.offset + 2, unprotectedArea.length + 4 + value.length, true);
  view.setUint16(size, type, true);
  view.setUint16(size + 2, value.length, true);
  longer.set(value, size + 4);
  return longer;
}

function valueAt(file: Uint8Array, types: readonly number[]): number {
  const tlv = parseImage(file).tlvs.find(({ type }) => types.includes(type));
  if (!tlv) throw new ImageFactoryError("no-body", "The image has no such TLV.");
  return tlv.offset + 4;
}
