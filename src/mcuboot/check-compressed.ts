import { equal } from "../bytes.js";
import { type Key, publicRawOf, signatureAlgorithmOf } from "../crypto/keys.js";
import { LzmaError } from "../formats/lzma2.js";
import { check, isPure } from "./checks.js";
import { COMPRESSION_FLAGS, protectedTlv, uncompressedRange } from "./compression.js";
import { IMAGE_F, ImageError } from "./header.js";
import { hashAlgorithmOf, type Image } from "./image.js";
import { TLV } from "./tlv.js";
import type { Check } from "./verdict.js";

/**
 * Unpacks a compressed image and holds it against what it says of the uncompressed one: size, hash, and the signature
 * by the key whose signature around it was good. No check for other images.
 */
export async function checkCompressed(
  image: Image,
  range: Uint8Array | undefined,
  signedBy: Key | undefined,
): Promise<Check[]> {
  const { flags } = image.header;
  if ((flags & COMPRESSION_FLAGS) === 0) return [];
  const name = "compressed-body";
  if ((flags & IMAGE_F.COMPRESSED_LZMA2) === 0 || (flags & IMAGE_F.COMPRESSED_LZMA1) !== 0)
    return [check(name, "not-checked", "The body is compressed in a way that is not supported here.")];
  if (!range) return [check(name, "not-checked", "The body is encrypted.")];
  try {
    return [await judge(image, uncompressedRange(image, range), signedBy)];
  } catch (error) {
    if (!(error instanceof LzmaError) && !(error instanceof ImageError)) throw error;
    return [check(name, "fail", error.message)];
  }
}

async function judge(image: Image, inner: Uint8Array, signedBy: Key | undefined): Promise<Check> {
  const name = "compressed-body";
  const hash = hashAlgorithmOf(image);
  const digest = hash.digest(inner);
  const stated = protectedTlv(image, TLV.DECOMP_SHA);
  if (!stated || !equal(stated.value, digest))
    return check(name, "fail", "The body does not decompress to the image whose hash is stated.");
  const signature = protectedTlv(image, TLV.DECOMP_SIGNATURE);
  if (!signedBy) return check(name, "pass", "The body decompresses to the image whose hash is stated.");
  const algorithm = signatureAlgorithmOf(signedBy);
  const message = { range: inner, digest, pure: isPure(image) };
  if (signature && (await algorithm.verify(publicRawOf(signedBy), message, signature.value)))
    return check(name, "pass", "The body decompresses to the image whose hash and signature are stated.");
  return check(name, "fail", "The image that the body decompresses to is not signed by the same key.");
}
