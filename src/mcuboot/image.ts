import { type Endian, ORDER } from "../bytes.js";
import { HASHES, type HashAlgorithm, type HashName } from "../crypto/hashes.js";
import { beforeCrlf } from "../formats/text-damage.js";
import { hashOfTlv, isSignatureTlv } from "./crypto-tlvs.js";
import { endianOf, IMAGE_F, ImageError, type ImageHeader, parseHeader } from "./header.js";
import { oddLength, TLV, type Tlv, type TlvArea, walkTlvs } from "./tlv.js";
import type { Version } from "./version.js";

/** Another image that must be there with at least this version. */
export interface Dependency {
  readonly image: number;
  readonly version: Version;
}

/** An image taken apart. All byte arrays are views on the bytes that were parsed. */
export interface Image {
  readonly endian: Endian;
  readonly header: ImageHeader;
  /** What runs; ciphertext when the image is encrypted. */
  readonly body: Uint8Array;
  readonly tlvs: readonly Tlv[];
  readonly protectedArea?: TlvArea;
  readonly unprotectedArea: TlvArea;
  /**
   * What the image hash and the signature cover: header with its padding, body, protected TLVs. Of an encrypted image
   * this holds ciphertext and the hash is over the plaintext.
   */
  readonly hashedRange: Uint8Array;
  /** From the header to the end of the last TLV. What follows is outside hash and signature. */
  readonly size: number;
  readonly version: Version;
  /** The image hash: MCUmgr's name for an image. Of several hash TLVs the first one of the unprotected area. */
  readonly imageHash?: { readonly algorithm: HashName; readonly value: Uint8Array };
  /** Of the protected area, as MCUboot stores it: of several the first. Absent too when that has an odd length. */
  readonly securityCounter?: number;
  /** Values of the KEYHASH TLVs in order: which keys signed. */
  readonly keyHashes: readonly Uint8Array[];
  readonly signatures: readonly Tlv[];
  /** Those that can be read; a TLV of an odd length is in `tlvs` alone. */
  readonly dependencies: readonly Dependency[];
  readonly encrypted: boolean;
}

/**
 * Takes an image apart. Bytes behind its last TLV (padding, trailer) are allowed and not looked at. Nothing is
 * verified.
 *
 * @param bytes - from the header's first byte on
 * @returns header, body and TLVs as views of `bytes`
 * @throws ImageError with the offset of what is wrong
 *
 * @example
 * ```ts
 * import { generateKey, parseImage, signImage } from "bootproof";
 * const key = await generateKey("ed25519");
 * const { image } = await signImage(new Uint8Array(1024), { key, version: "1.2.3", headerSize: 32, padHeader: true, slotSize: 0x20000 });
 * const { version, header } = parseImage(image);
 * if (version.major !== 1 || header.bodySize !== 1024) throw new Error("not what was signed");
 * ```
 */
export function parseImage(bytes: Uint8Array): Image {
  try {
    return takeApart(bytes);
  } catch (error) {
    if (error instanceof ImageError && isTextDamage(bytes)) throw textDamage(error);
    throw error;
  }
}

/** What a copy in text mode did to an image whose structure broke by it: certain when the image is whole without it. */
function isTextDamage(bytes: Uint8Array): boolean {
  const before = endianOf(bytes) === undefined ? undefined : beforeCrlf(bytes);
  if (before === undefined) return false;
  try {
    takeApart(before);
    return true;
  } catch (error) {
    if (error instanceof ImageError) return false;
    throw error;
  }
}

function textDamage({ code, offset, message }: ImageError): ImageError {
  const problem = `Copied in text mode: each line feed has a carriage return before it; without those the image is complete. ${message}`;
  return new ImageError(code, offset, problem, {
    hint: "Copy or download it again in binary mode (FTP: binary; Git: *.bin -text in .gitattributes).",
  });
}

function takeApart(bytes: Uint8Array): Image {
  const { header, endian } = parseHeader(bytes);
  const { headerSize, bodySize, protectedSize } = header;
  const bodyEnd = headerSize + bodySize;
  if (bodyEnd > bytes.length)
    throw new ImageError(
      "image-truncated",
      bytes.length,
      `Truncated: the header states ${bodyEnd} bytes of header and body, but there are only ${bytes.length}.`,
      { hint: "Was the file copied or downloaded completely?" },
    );
  const { tlvs, protectedArea, unprotectedArea } = walkTlvs(bytes, header, endian);
  const image = {
    endian,
    header,
    body: bytes.subarray(headerSize, bodyEnd),
    tlvs,
    unprotectedArea,
    hashedRange: bytes.subarray(0, bodyEnd + protectedSize),
    size: unprotectedArea.offset + unprotectedArea.length,
    version: header.version,
    keyHashes: tlvs.filter(({ type }) => type === TLV.KEYHASH).map(({ value }) => value),
    signatures: tlvs.filter((tlv) => !tlv.protected && isSignatureTlv(tlv.type)),
    dependencies: tlvs
      .filter((tlv) => tlv.protected && tlv.type === TLV.DEPENDENCY && !oddLength(tlv))
      .map(dependency(endian)),
    encrypted: (header.flags & (IMAGE_F.ENCRYPTED_AES128 | IMAGE_F.ENCRYPTED_AES256)) !== 0,
  };
  const hash = tlvs.find((tlv) => !tlv.protected && hashOfTlv(tlv.type));
  const counter = tlvs.find((tlv) => tlv.protected && tlv.type === TLV.SEC_CNT);
  return {
    ...image,
    ...(protectedArea && { protectedArea }),
    ...(hash && { imageHash: { algorithm: hashOfTlv(hash.type)!.name, value: hash.value } }),
    ...(counter && !oddLength(counter) && { securityCounter: ORDER[endian].u32(counter.value, 0) }),
  };
}

/**
 * The hash algorithm of an image: that of its hash TLV, SHA-256 when it has none.
 *
 * @param image - by {@link parseImage}
 * @returns name, length in bytes, and how to compute it
 */
export function hashAlgorithmOf(image: Pick<Image, "imageHash">): HashAlgorithm {
  return HASHES[image.imageHash?.algorithm ?? "sha256"];
}

function dependency(endian: Endian) {
  const { u16, u32 } = ORDER[endian];
  return ({ value }: Tlv): Dependency => ({
    image: value[0]!,
    version: { major: value[4]!, minor: value[5]!, revision: u16(value, 6), build: u32(value, 8) },
  });
}
