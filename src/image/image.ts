import { isSignatureTlv } from "./algorithms.js";
import { type Endian, ORDER } from "./endian.js";
import { HASHES, type HashAlgorithm, type HashName, hashOfTlv } from "./hashes.js";
import { IMAGE_F, ImageError, type ImageHeader, parseHeader } from "./header.js";
import { TLV, type Tlv, type TlvArea, tlvName, walkTlvs } from "./tlv.js";
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
  /** Of the protected area, as MCUboot stores it: of several the first. */
  readonly securityCounter?: number;
  /** Values of the KEYHASH TLVs in order: which keys signed. */
  readonly keyHashes: readonly Uint8Array[];
  readonly signatures: readonly Tlv[];
  readonly dependencies: readonly Dependency[];
  readonly encrypted: boolean;
}

/**
 * Takes an image apart. Bytes behind its last TLV (padding, trailer) are allowed and not looked at. Nothing is verified.
 * Throws {@link ImageError} with the offset of what is wrong.
 */
export function parseImage(bytes: Uint8Array): Image {
  const { header, endian } = parseHeader(bytes);
  const { headerSize, bodySize, protectedSize } = header;
  const bodyEnd = headerSize + bodySize;
  if (bodyEnd > bytes.length)
    throw new ImageError(
      "truncated",
      bytes.length,
      `Cut short: the header states ${bodyEnd} bytes of header and body, but there are only ${bytes.length}.`,
      { hint: "Was the file copied or downloaded whole?" },
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
    dependencies: tlvs.filter((tlv) => tlv.protected && tlv.type === TLV.DEPENDENCY).map(dependency(endian)),
    encrypted: (header.flags & (IMAGE_F.ENCRYPTED_AES128 | IMAGE_F.ENCRYPTED_AES256)) !== 0,
  };
  const hash = tlvs.find((tlv) => !tlv.protected && hashOfTlv(tlv.type));
  const counter = tlvs.find((tlv) => tlv.protected && tlv.type === TLV.SEC_CNT);
  return {
    ...image,
    ...(protectedArea && { protectedArea }),
    ...(hash && { imageHash: { algorithm: hashOfTlv(hash.type)!.name, value: hash.value } }),
    ...(counter && { securityCounter: ORDER[endian].u32(withLength(counter, 4), 0) }),
  };
}

/** The hash algorithm of an image: that of its hash TLV, SHA-256 when it has none. */
export function hashAlgorithmOf(image: Pick<Image, "imageHash">): HashAlgorithm {
  return HASHES[image.imageHash?.algorithm ?? "sha256"];
}

function dependency(endian: Endian) {
  const { u16, u32 } = ORDER[endian];
  return (tlv: Tlv): Dependency => {
    const value = withLength(tlv, 12);
    return {
      image: value[0]!,
      version: { major: value[4]!, minor: value[5]!, revision: u16(value, 6), build: u32(value, 8) },
    };
  };
}

function withLength(tlv: Tlv, length: number): Uint8Array {
  if (tlv.value.length === length) return tlv.value;
  throw new ImageError(
    "tlv-length",
    tlv.offset + 2,
    `The ${tlvName(tlv.type)} TLV at ${tlv.offset} has ${tlv.value.length} bytes, not ${length}.`,
  );
}
