import { concat } from "../bytes.js";
import { filterArmThumb } from "./arm-thumb.js";
import { ORDER } from "./endian.js";
import { encodeHeader, IMAGE_F, IMAGE_HEADER_SIZE, ImageError } from "./header.js";
import type { Image } from "./image.js";
import { decodeLzma2 } from "./lzma2.js";
import { buildTlvArea, TLV, TLV_PROT_INFO_MAGIC, type Tlv, tlvAreaLength } from "./tlv.js";

/** Compressed images (docs/compression_format.md): two bytes of settings, then a raw LZMA2 stream. */

/** How a body is compressed: `lzma2armthumb` with the filter for Thumb code in front. */
export type CompressionKind = "lzma2" | "lzma2armthumb";

/**
 * Packs bytes into a raw LZMA2 stream with {@link LZMA_SETTINGS}. Of one library and one version the stream is always
 * the same; this room can only unpack.
 */
export type Lzma2Compressor = (bytes: Uint8Array) => Promise<Uint8Array>;

/** imgtool's fixed settings, as the options of xz are called. */
export const LZMA_SETTINGS = { preset: 9, dictionary: 128 * 1024, lc: 3, lp: 1, pb: 2 } as const;
/** The same as the two bytes in front of the stream: the dictionary's code, and pb, lp and lc in one number. */
const SETTINGS_BYTES = Uint8Array.of(0x0a, (LZMA_SETTINGS.pb * 5 + LZMA_SETTINGS.lp) * 9 + LZMA_SETTINGS.lc);

/** How many bytes stand in front of a stream. */
export const LZMA_SETTINGS_SIZE = SETTINGS_BYTES.length;

export const COMPRESSION_FLAGS =
  IMAGE_F.COMPRESSED_LZMA1 | IMAGE_F.COMPRESSED_LZMA2 | IMAGE_F.COMPRESSED_ARM_THUMB_FLT;

/** The flags of an image whose body is compressed this way. */
export function compressionFlags(kind: CompressionKind): number {
  return IMAGE_F.COMPRESSED_LZMA2 | (kind === "lzma2armthumb" ? IMAGE_F.COMPRESSED_ARM_THUMB_FLT : 0);
}

/** A body as a compressed image carries it. */
export async function compressBody(
  body: Uint8Array,
  kind: CompressionKind,
  compress: Lzma2Compressor,
): Promise<Uint8Array> {
  const filtered = body.slice();
  if (kind === "lzma2armthumb") filterArmThumb(filtered, "to-absolute");
  return concat(SETTINGS_BYTES, await compress(filtered));
}

/** No firmware for a microcontroller is larger; a few bytes of LZMA can claim to be gigabytes. */
const LARGEST_BODY = 64 * 1024 * 1024;

/** TLVs that say how to get the uncompressed image back; it carries none of them itself. */
const ABOUT_COMPRESSION: readonly number[] = [
  TLV.DECOMP_SIZE,
  TLV.DECOMP_SHA,
  TLV.DECOMP_SIGNATURE,
  TLV.COMP_DEC_SIZE,
];

/**
 * What hash and signature of the uncompressed image are over: its header, its body, its protected TLVs. `range` is
 * that of the compressed image, decrypted. Throws `ImageError`, `LzmaError`.
 */
export function uncompressedRange(image: Image, range: Uint8Array): Uint8Array {
  const { header, endian } = image;
  const number = (type: number) => {
    const tlv = protectedTlv(image, type);
    return tlv && sizeOf(tlv, image);
  };
  const size = number(TLV.DECOMP_SIZE);
  if (size === undefined)
    throw new ImageError("tlv-length", 0, "The image is compressed, but does not say how large its body is.");
  const packed = range.subarray(
    header.headerSize,
    header.headerSize + (number(TLV.COMP_DEC_SIZE) ?? header.bodySize),
  );
  const body = decodeLzma2(packed.subarray(SETTINGS_BYTES.length), Math.min(size, LARGEST_BODY));
  if (body.length !== size)
    throw new ImageError(
      "tlv-length",
      0,
      `The body unpacks to ${body.length} bytes, the image states ${size}.`,
    );
  if ((header.flags & IMAGE_F.COMPRESSED_ARM_THUMB_FLT) !== 0) filterArmThumb(body, "to-relative");
  const tlvs = image.tlvs.filter((tlv) => tlv.protected && !ABOUT_COMPRESSION.includes(tlv.type));
  const inner = {
    ...header,
    flags: header.flags & ~COMPRESSION_FLAGS,
    bodySize: size,
    protectedSize: tlvAreaLength(tlvs),
  };
  return concat(
    encodeHeader(inner, endian),
    range.subarray(IMAGE_HEADER_SIZE, header.headerSize),
    body,
    buildTlvArea(TLV_PROT_INFO_MAGIC, tlvs, endian),
  );
}

/** The first TLV of a type in the protected area. */
export function protectedTlv(image: Pick<Image, "tlvs">, type: number): Tlv | undefined {
  return image.tlvs.find((tlv) => tlv.protected && tlv.type === type);
}

function sizeOf(tlv: Tlv, { endian }: Image): number {
  if (tlv.value.length === 4) return ORDER[endian].u32(tlv.value, 0);
  throw new ImageError(
    "tlv-length",
    tlv.offset + 2,
    `The size at ${tlv.offset} has ${tlv.value.length} bytes, not 4.`,
  );
}
