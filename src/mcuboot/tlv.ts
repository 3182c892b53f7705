import { concat, type Endian, ORDER, take } from "../bytes.js";
import { ImageError, type ImageHeader } from "./header.js";

/** Magic of the unprotected and of the protected area's info header (image.h). */
export const TLV_INFO_MAGIC = 0x6907;
export const TLV_PROT_INFO_MAGIC = 0x6908;
/** An info header, and also a TLV's header: two u16. */
export const TLV_HEADER_SIZE = 4;

/** TLV types by their name in MCUboot's image.h. */
export const TLV = {
  KEYHASH: 0x01,
  PUBKEY: 0x02,
  SHA256: 0x10,
  SHA384: 0x11,
  SHA512: 0x12,
  RSA2048_PSS: 0x20,
  ECDSA224: 0x21,
  ECDSA_SIG: 0x22,
  RSA3072_PSS: 0x23,
  ED25519: 0x24,
  SIG_PURE: 0x25,
  ENC_RSA2048: 0x30,
  ENC_KW: 0x31,
  ENC_EC256: 0x32,
  ENC_X25519: 0x33,
  ENC_X25519_SHA512: 0x34,
  DEPENDENCY: 0x40,
  SEC_CNT: 0x50,
  BOOT_RECORD: 0x60,
  DECOMP_SIZE: 0x70,
  DECOMP_SHA: 0x71,
  DECOMP_SIGNATURE: 0x72,
  COMP_DEC_SIZE: 0x73,
  UUID_VID: 0x74,
  UUID_CID: 0x75,
  MANIFEST: 0x76,
} as const;

export type TlvName = keyof typeof TLV;

/** What is known of a TLV type. */
export interface TlvKind {
  readonly type: number;
  readonly name: TlvName;
  /** For people: what the value is. */
  readonly meaning: string;
  /** In which area imgtool writes it. */
  readonly area: "protected" | "unprotected";
  /**
   * May it stand in the unprotected area of an image for a bootloader with MCUBOOT_USE_TLV_ALLOW_LIST (Zephyr's
   * default)? `pure`, `x25519-sha512`: only in builds for that.
   */
  readonly allowList: "yes" | "no" | "pure" | "x25519-sha512";
  /** Of a value that holds numbers: how many bytes a bootloader wants. It refuses the image when it looks and finds others. */
  readonly length?: number;
}

const row = (
  name: TlvName,
  area: TlvKind["area"],
  allowList: TlvKind["allowList"],
  meaning: string,
  length?: number,
): TlvKind => ({
  type: TLV[name],
  name,
  area,
  allowList,
  meaning,
  ...(length !== undefined && { length }),
});

/** Every type of MCUboot (and MANIFEST of the NCS fork), in the order of their numbers. */
export const TLV_KINDS: readonly TlvKind[] = [
  row("KEYHASH", "unprotected", "yes", "hash of the signing key"),
  row("PUBKEY", "unprotected", "yes", "the signing key itself"),
  row("SHA256", "unprotected", "yes", "image hash"),
  row("SHA384", "unprotected", "yes", "image hash"),
  row("SHA512", "unprotected", "yes", "image hash"),
  row("RSA2048_PSS", "unprotected", "yes", "signature"),
  row("ECDSA224", "unprotected", "yes", "signature, dropped in MCUboot 2.0"),
  row("ECDSA_SIG", "unprotected", "yes", "signature"),
  row("RSA3072_PSS", "unprotected", "yes", "signature"),
  row("ED25519", "unprotected", "yes", "signature"),
  row("SIG_PURE", "unprotected", "pure", "the signature is over the image, not its hash"),
  row("ENC_RSA2048", "unprotected", "yes", "content key, for an RSA key"),
  row("ENC_KW", "unprotected", "yes", "content key, wrapped with an AES key"),
  row("ENC_EC256", "unprotected", "yes", "content key, for a P-256 key"),
  row("ENC_X25519", "unprotected", "yes", "content key, for an X25519 key"),
  row("ENC_X25519_SHA512", "unprotected", "x25519-sha512", "content key, for X25519, SHA-512"),
  row("DEPENDENCY", "protected", "no", "the version another image needs", 12),
  row("SEC_CNT", "protected", "no", "security counter", 4),
  row("BOOT_RECORD", "protected", "no", "record for attestation, CBOR"),
  row("DECOMP_SIZE", "protected", "no", "body size when decompressed"),
  row("DECOMP_SHA", "protected", "no", "hash when decompressed"),
  row("DECOMP_SIGNATURE", "protected", "no", "signature when decompressed"),
  row("COMP_DEC_SIZE", "protected", "no", "compressed size before padding"),
  row("UUID_VID", "protected", "no", "vendor id"),
  row("UUID_CID", "protected", "no", "class id"),
  row("MANIFEST", "protected", "no", "hashes of the other images (NCS)"),
];

const KIND_BY_TYPE = new Map(TLV_KINDS.map((kind) => [kind.type, kind]));

/**
 * What is known of a type; undefined for vendors' own types.
 *
 * @param type - of a TLV
 * @returns name, length of its value in bytes, and where bootloaders allow it
 */
export function tlvKind(type: number): TlvKind | undefined {
  return KIND_BY_TYPE.get(type);
}

/**
 * What is wrong with a value's length, as a sentence; undefined when it is right or may be any.
 *
 * @param tlv - by {@link parseImage}
 * @returns names type, offset and both lengths
 */
export function oddLength({ type, value, offset }: Tlv): string | undefined {
  const length = tlvKind(type)?.length;
  if (length === undefined || value.length === length) return undefined;
  return `The ${tlvName(type)} TLV at ${offset} has ${value.length} bytes, not ${length}.`;
}

/**
 * `SEC_CNT`, or `0x00a0` for a type without a name.
 *
 * @param type - of a TLV
 * @returns MCUboot's name
 */
export function tlvName(type: number): string {
  return tlvKind(type)?.name ?? `0x${type.toString(16).padStart(4, "0")}`;
}

/** Types that imgtool lets a vendor use for custom TLVs; the design document asks for a low byte of 0xa0 or more. */
export const CUSTOM_TLV_RANGE = { min: 0x00a0, max: 0xfffe } as const;

/** One TLV as found. */
export interface Tlv {
  readonly type: number;
  readonly value: Uint8Array;
  readonly protected: boolean;
  /** Of the TLV's header in the image. */
  readonly offset: number;
}

/** A TLV to be written. */
export interface TlvEntry {
  readonly type: number;
  readonly value: Uint8Array;
}

/** Where an area is: from its info header, `length` bytes with it. */
export interface TlvArea {
  readonly offset: number;
  readonly length: number;
}

export interface TlvAreas {
  readonly protectedArea?: TlvArea;
  readonly unprotectedArea: TlvArea;
  /** Both areas' TLVs in the order they stand in. */
  readonly tlvs: readonly Tlv[];
}

/**
 * Walks both areas behind header and body. Stricter than MCUboot in one point: a TLV of the protected area must end
 * inside it (MCUboot lets it run on and then stumbles). Throws {@link ImageError}.
 */
export function walkTlvs(bytes: Uint8Array, header: ImageHeader, endian: Endian): TlvAreas {
  const start = header.headerSize + header.bodySize;
  const first = readInfo(bytes, start, endian);
  if (first.magic !== TLV_PROT_INFO_MAGIC) {
    if (header.protectedSize !== 0) throw wrongProtectedSize(start, header.protectedSize, 0);
    const unprotectedArea = area(bytes, start, first, TLV_INFO_MAGIC);
    return { unprotectedArea, tlvs: walkArea(bytes, unprotectedArea, false, endian) };
  }
  if (first.total !== header.protectedSize)
    throw wrongProtectedSize(start, header.protectedSize, first.total);
  const protectedArea = area(bytes, start, first, TLV_PROT_INFO_MAGIC);
  const second = start + protectedArea.length;
  const unprotectedArea = area(bytes, second, readInfo(bytes, second, endian), TLV_INFO_MAGIC);
  const tlvs = [
    ...walkArea(bytes, protectedArea, true, endian),
    ...walkArea(bytes, unprotectedArea, false, endian),
  ];
  return { protectedArea, unprotectedArea, tlvs };
}

/** An area's bytes: info header and TLVs; nothing at all for an area without TLVs. */
export function buildTlvArea(magic: number, entries: readonly TlvEntry[], endian: Endian): Uint8Array {
  if (entries.length === 0) return new Uint8Array(0);
  const parts = entries.flatMap((entry) => [tlvHeader(entry, endian), entry.value]);
  const length = parts.reduce((sum, part) => sum + part.length, TLV_HEADER_SIZE);
  return concat(pair(magic, length, endian), ...parts);
}

/** How long {@link buildTlvArea} makes an area. */
export function tlvAreaLength(entries: readonly TlvEntry[]): number {
  if (entries.length === 0) return 0;
  return entries.reduce((sum, { value }) => sum + TLV_HEADER_SIZE + value.length, TLV_HEADER_SIZE);
}

interface Info {
  readonly magic: number;
  readonly total: number;
}

function readInfo(bytes: Uint8Array, offset: number, endian: Endian): Info {
  if (offset + TLV_HEADER_SIZE > bytes.length)
    throw new ImageError(
      "image-truncated",
      bytes.length,
      `Truncated: a TLV area should begin at ${offset}, but there are only ${bytes.length} bytes.`,
    );
  const { u16 } = ORDER[endian];
  return { magic: u16(bytes, offset), total: u16(bytes, offset + 2) };
}

function area(bytes: Uint8Array, offset: number, info: Info, magic: number): TlvArea {
  if (info.magic !== magic)
    throw new ImageError(
      "no-tlv-area",
      offset,
      `No TLV area at ${offset}: found 0x${info.magic.toString(16)} instead of 0x${magic.toString(16)}.`,
    );
  if (info.total < TLV_HEADER_SIZE)
    throw new ImageError(
      "tlv-total",
      offset + 2,
      `The TLV area at ${offset} states a size of ${info.total} bytes; its own header has 4.`,
    );
  if (offset + info.total > bytes.length)
    throw new ImageError(
      "image-truncated",
      bytes.length,
      `Truncated: the TLV area at ${offset} ends at ${offset + info.total}, but there are only ${bytes.length} bytes.`,
    );
  return { offset, length: info.total };
}

function walkArea(bytes: Uint8Array, within: TlvArea, isProtected: boolean, endian: Endian): Tlv[] {
  const { u16 } = ORDER[endian];
  const end = within.offset + within.length;
  const tlvs: Tlv[] = [];
  let offset = within.offset + TLV_HEADER_SIZE;
  while (offset < end) {
    if (offset + TLV_HEADER_SIZE > end) throw overrun(offset, end);
    const length = u16(bytes, offset + 2);
    const valueAt = offset + TLV_HEADER_SIZE;
    if (valueAt + length > end) throw overrun(offset, end);
    tlvs.push({
      type: readType(bytes, offset, endian),
      value: take(bytes, valueAt, length),
      protected: isProtected,
      offset,
    });
    offset = valueAt + length;
  }
  return tlvs;
}

/**
 * imgtool writes MCUboot's own types as a byte and a zero even in a big-endian image (a remnant of the time when types
 * were one byte), vendors' types as a big-endian u16.
 */
function readType(bytes: Uint8Array, offset: number, endian: Endian): number {
  const first = bytes[offset]!;
  if (endian === "big" && bytes[offset + 1] === 0 && tlvKind(first)) return first;
  return ORDER[endian].u16(bytes, offset);
}

function tlvHeader({ type, value }: TlvEntry, endian: Endian): Uint8Array {
  const onDisk = endian === "big" && tlvKind(type) ? type << 8 : type;
  return pair(onDisk, value.length, endian);
}

function overrun(offset: number, end: number): ImageError {
  return new ImageError(
    "tlv-overrun",
    offset,
    `The TLV at ${offset} extends beyond the end of its area at ${end}.`,
  );
}

function wrongProtectedSize(offset: number, stated: number, found: number): ImageError {
  return new ImageError(
    "protected-size",
    offset,
    `The header states a protected TLV area of ${stated} bytes, the area itself ${found}.`,
  );
}

function pair(first: number, second: number, endian: Endian): Uint8Array {
  const bytes = new Uint8Array(TLV_HEADER_SIZE);
  ORDER[endian].putU16(bytes, 0, first);
  ORDER[endian].putU16(bytes, 2, second);
  return bytes;
}
