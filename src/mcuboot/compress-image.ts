import { concat, equal, u32Bytes } from "../bytes.js";
import { signatureAlgorithmOf } from "../crypto/keys.js";
import type { Signer } from "../crypto/signer.js";
import { isPure } from "./checks.js";
import {
  COMPRESSION_FLAGS,
  type CompressionKind,
  compressBody,
  compressionFlags,
  type Lzma2Compressor,
} from "./compression.js";
import { HASH_TLVS, SIGNATURE_TLVS } from "./crypto-tlvs.js";
import { encodeHeader, IMAGE_HEADER_SIZE } from "./header.js";
import { hashAlgorithmOf, type Image, parseImage } from "./image.js";
import { SignError } from "./sign-error.js";
import {
  buildTlvArea,
  TLV,
  TLV_INFO_MAGIC,
  TLV_PROT_INFO_MAGIC,
  type TlvEntry,
  tlvAreaLength,
} from "./tlv.js";

/**
 * Compresses an image that is signed already, for a bootloader that unpacks it. What it becomes on the board is that very
 * image, with the hash and the signature that it has: only what is sent around it is signed anew, by the same key.
 *
 * @param bytes - a signed image, or a file that begins with one; what follows it is left out
 * @param signer - of the key that signed it
 * @param compress - packs into a raw LZMA2 stream with the settings that it is given
 * @param kinds - ways to try; the smallest is taken. Default: with and without the filter for Thumb code
 * @returns the compressed image; undefined when no way makes it smaller
 * @throws SignError `key-mismatch` for an image that another key signed, `bad-option` for one that is compressed or
 *   encrypted; ImageError; what the signer and `compress` throw
 */
export async function compressImage(
  bytes: Uint8Array,
  signer: Signer,
  compress: Lzma2Compressor,
  kinds: readonly CompressionKind[] = ["lzma2", "lzma2armthumb"],
): Promise<Uint8Array | undefined> {
  const image = parseImage(bytes);
  const signature = signatureBy(image, signer);
  const made = await Promise.all(
    kinds.map(async (kind) => ({ kind, body: await compressBody(image.body, kind, compress, "smallest") })),
  );
  const [best] = made.sort((a, b) => a.body.length - b.body.length);
  if (!best) return undefined;
  const packed = await signed(image, signature, best, signer);
  return packed.length < image.size ? packed : undefined;
}

/** The signature of this key, which the bootloader holds what it has unpacked against. */
function signatureBy(image: Image, { publicKey }: Signer): Uint8Array {
  if ((image.header.flags & COMPRESSION_FLAGS) !== 0)
    throw new SignError("bad-option", "The image is compressed already.", { hint: "Send it as it is." });
  if (image.encrypted)
    throw new SignError("bad-option", "The image is encrypted: encrypted data cannot be compressed.", {
      hint: "Compress and encrypt it while signing: bootproof sign --compression lzma2armthumb --encrypt FILE.",
    });
  if (isPure(image))
    throw new SignError(
      "bad-option",
      "The image has a pure signature, which compressed images cannot have.",
      {
        hint: "Send it as it is.",
      },
    );
  const own = publicKey.keyHashBy(hashAlgorithmOf(image).name);
  const type = SIGNATURE_TLVS[signatureAlgorithmOf(publicKey).keyType];
  const named = image.tlvs.findIndex(
    (tlv) => !tlv.protected && tlv.type === TLV.KEYHASH && equal(tlv.value, own),
  );
  const signature = named < 0 ? undefined : image.tlvs.slice(named).find((tlv) => tlv.type === type);
  if (signature) return signature.value;
  throw new SignError(
    "key-mismatch",
    "The given key did not sign this image, so it cannot sign its compressed form.",
    {
      hint: "Give the private key that signed it, or send it as it is.",
    },
  );
}

async function signed(
  image: Image,
  signature: Uint8Array,
  { kind, body }: { kind: CompressionKind; body: Uint8Array },
  signer: Signer,
): Promise<Uint8Array> {
  const { header, endian, hashedRange } = image;
  const hash = hashAlgorithmOf(image);
  const tlvs: TlvEntry[] = [
    ...image.tlvs.filter((tlv) => tlv.protected),
    { type: TLV.DECOMP_SIZE, value: u32Bytes(image.body.length, endian) },
    { type: TLV.DECOMP_SHA, value: hash.digest(hashedRange) },
    { type: TLV.DECOMP_SIGNATURE, value: signature },
  ];
  const outer = {
    ...header,
    flags: (header.flags | compressionFlags(kind)) >>> 0,
    bodySize: body.length,
    protectedSize: tlvAreaLength(tlvs),
  };
  const range = concat(
    encodeHeader(outer, endian),
    hashedRange.subarray(IMAGE_HEADER_SIZE, header.headerSize),
    body,
    buildTlvArea(TLV_PROT_INFO_MAGIC, tlvs, endian),
  );
  const digest = hash.digest(range);
  const { publicKey } = signer;
  const algorithm = signatureAlgorithmOf(publicKey);
  const entries: TlvEntry[] = [
    { type: HASH_TLVS[hash.name], value: digest },
    { type: TLV.KEYHASH, value: publicKey.keyHashBy(hash.name) },
    {
      type: SIGNATURE_TLVS[algorithm.keyType],
      value: await signer.sign({ algorithm, hash: hash.name, range, digest, pure: false }),
    },
  ];
  return concat(range, buildTlvArea(TLV_INFO_MAGIC, entries, endian));
}
