import { concat, ORDER } from "../bytes.js";
import { filterArmThumb } from "../formats/arm-thumb.js";
import { decodeLzma2 } from "../formats/lzma2.js";
import { encodeHeader, IMAGE_F, IMAGE_HEADER_SIZE, ImageError } from "./header.js";
import type { Image } from "./image.js";
import { buildTlvArea, TLV, TLV_PROT_INFO_MAGIC, type Tlv, tlvAreaLength } from "./tlv.js";

/** Compressed images (docs/compression_format.md): two bytes of settings, then a raw LZMA2 stream. */

/** How a body is compressed: `lzma2armthumb` with the filter for Thumb code in front. */
export type CompressionKind = "lzma2" | "lzma2armthumb";

/** How LZMA2 is packed, as the options of xz are called. */
export interface LzmaSettings {
  readonly preset: 9 | "9e";
  readonly dictionary: typeof DICTIONARY;
  readonly lc: number;
  readonly lp: number;
  readonly pb: number;
  /** Further ones, that no decoder has to know. */
  readonly search?: string;
}

/**
 * Packs bytes into a raw LZMA2 stream. Of one library and one version the stream is always the same; this room can only
 * unpack. Without settings: {@link LZMA_SETTINGS}.
 */
export type Lzma2Compressor = (bytes: Uint8Array, settings?: LzmaSettings) => Promise<Uint8Array>;

/** More than bootloaders keep of what they have unpacked makes a stream that they refuse. */
const DICTIONARY = 131_072;
const DICTIONARY_CODE = 0x0a;

/** imgtool's fixed settings. */
export const LZMA_SETTINGS: LzmaSettings = { preset: 9, dictionary: DICTIONARY, lc: 3, lp: 1, pb: 2 };

/** What makes firmware smallest: Thumb code is aligned to two bytes and repeats itself in pairs of them. */
const SMALLEST: Readonly<Record<CompressionKind, LzmaSettings>> = {
  lzma2: { preset: "9e", dictionary: DICTIONARY, lc: 3, lp: 0, pb: 0, search: "mf=bt2,nice=48,depth=1000" },
  lzma2armthumb: {
    preset: "9e",
    dictionary: DICTIONARY,
    lc: 2,
    lp: 1,
    pb: 1,
    search: "mf=bt2,nice=48,depth=1000",
  },
};

/** The two bytes in front of a stream: the dictionary's code, and pb, lp and lc in one number. */
const settingsBytes = ({ lc, lp, pb }: LzmaSettings) =>
  Uint8Array.of(DICTIONARY_CODE, (pb * 5 + lp) * 9 + lc);

/** How many bytes stand in front of a stream. */
export const LZMA_SETTINGS_SIZE = settingsBytes(LZMA_SETTINGS).length;

export const COMPRESSION_FLAGS =
  IMAGE_F.COMPRESSED_LZMA1 | IMAGE_F.COMPRESSED_LZMA2 | IMAGE_F.COMPRESSED_ARM_THUMB_FLT;

/** The flags of an image whose body is compressed this way. */
export function compressionFlags(kind: CompressionKind): number {
  return IMAGE_F.COMPRESSED_LZMA2 | (kind === "lzma2armthumb" ? IMAGE_F.COMPRESSED_ARM_THUMB_FLT : 0);
}

/** A body as a compressed image carries it. `as-imgtool`: byte for byte; `smallest`: by other settings of the same format. */
export async function compressBody(
  body: Uint8Array,
  kind: CompressionKind,
  compress: Lzma2Compressor,
  how: "as-imgtool" | "smallest" = "as-imgtool",
): Promise<Uint8Array> {
  const filtered = body.slice();
  if (kind === "lzma2armthumb") filterArmThumb(filtered, "to-absolute");
  const settings = how === "smallest" ? SMALLEST[kind] : LZMA_SETTINGS;
  return concat(settingsBytes(settings), await compress(filtered, settings));
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
    throw new ImageError(
      "tlv-length",
      0,
      "The image is compressed, but does not state the size of its body.",
    );
  const packed = range.subarray(
    header.headerSize,
    header.headerSize + (number(TLV.COMP_DEC_SIZE) ?? header.bodySize),
  );
  const body = decodeLzma2(packed.subarray(LZMA_SETTINGS_SIZE), Math.min(size, LARGEST_BODY));
  if (body.length !== size)
    throw new ImageError(
      "tlv-length",
      0,
      `The body decompresses to ${body.length} bytes, the image states ${size}.`,
    );
  if ((header.flags & IMAGE_F.COMPRESSED_ARM_THUMB_FLT) !== 0) filterArmThumb(body, "to-relative");
  const tlvs = image.tlvs.filter((tlv) => tlv.protected && !ABOUT_COMPRESSION.includes(tlv.type));
  const inner = {
    ...header,
    // Unsigned again: a bit operation makes bit 31 a sign.
    flags: (header.flags & ~COMPRESSION_FLAGS) >>> 0,
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

/** What a compressed image becomes when a bootloader installs it. */
export interface UnpackedImage {
  /** The image hash that the board reports then. */
  readonly hash: Uint8Array;
  /** Bytes, header to last TLV. */
  readonly size: number;
}

/**
 * What a compressed image states that it becomes.
 *
 * @param image - by `parseImage`; nothing of it is unpacked
 * @returns undefined for an image that is not compressed, or does not state it
 */
export function statedUnpacked(image: Image): UnpackedImage | undefined {
  const { header, endian, tlvs, unprotectedArea } = image;
  if ((header.flags & COMPRESSION_FLAGS) === 0) return undefined;
  const size = protectedTlv(image, TLV.DECOMP_SIZE);
  const hash = protectedTlv(image, TLV.DECOMP_SHA);
  if (size?.value.length !== 4 || !hash) return undefined;
  const kept = tlvs.filter((tlv) => tlv.protected && !ABOUT_COMPRESSION.includes(tlv.type));
  const body = ORDER[endian].u32(size.value, 0);
  // Its hash and its signature take the places of those around it, and are as long.
  return { hash: hash.value, size: header.headerSize + body + tlvAreaLength(kept) + unprotectedArea.length };
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
