import { type Endian, ORDER } from "../bytes.js";
import { endianOf, IMAGE_F, IMAGE_HEADER_SIZE, ImageError, readHeader } from "./header.js";
import { TLV, TLV_HEADER_SIZE } from "./tlv.js";
import { alignUp, BOOT_MAGIC_SIZE, maxAlignOfMagic, trailerLayout } from "./trailer.js";
import type { Version } from "./version.js";

/** A TLV as imgtool's `dumpinfo` tells it. Field names here and below are imgtool's. */
export interface DumpedTlv {
  readonly type: number;
  readonly type_name: string;
  readonly len: number;
  readonly data: Uint8Array;
}

export interface DumpedTlvHeader {
  readonly magic: number;
  readonly tlv_tot: number;
}

/** An image as imgtool's `dumpinfo` tells it, in the order of its JSON. */
export interface DumpedImage {
  readonly header: {
    readonly magic: number;
    readonly load_addr: number;
    readonly hdr_size: number;
    readonly protected_tlv_size: number;
    readonly img_size: number;
    readonly flags: number;
    readonly version: string;
  };
  readonly tlv_area: {
    readonly tlv_hdr_prot: DumpedTlvHeader | Nothing;
    readonly tlvs_prot: readonly DumpedTlv[];
    readonly tlv_hdr: DumpedTlvHeader;
    readonly tlvs: readonly DumpedTlv[];
  };
  /** Of the end of the bytes when any follow the TLVs; only `magic` when that is none. */
  readonly trailer: DumpedTrailer | Nothing;
}

/** imgtool's `{}` for what is not there. */
export interface Nothing {
  readonly magic?: undefined;
}

export interface DumpedTrailer {
  readonly magic: Uint8Array;
  /** These are there when the magic is one that tells where they stand. */
  readonly image_ok?: number;
  readonly copy_done?: number;
  readonly swap_info?: number;
  readonly swap_size?: number;
  /** Of an encrypted image. */
  readonly key_field_len?: number;
}

/** imgtool's names of TLV types where they differ from those of image.h. */
const IMGTOOL_NAMES: Readonly<Record<number, string>> = {
  [TLV.RSA2048_PSS]: "RSA2048",
  [TLV.RSA3072_PSS]: "RSA3072",
  [TLV.ECDSA_SIG]: "ECDSASIG",
  [TLV.ENC_RSA2048]: "ENCRSA2048",
  [TLV.ENC_KW]: "ENCKW",
  [TLV.ENC_EC256]: "ENCEC256",
  [TLV.ENC_X25519]: "ENCX25519",
  [TLV.ENC_X25519_SHA512]: "ENCX25519_SHA512",
};

/** Types that imgtool has no name for. */
const UNNAMED: readonly number[] = [TLV.ECDSA224, TLV.MANIFEST];

/** imgtool's name of a TLV type. */
export function imgtoolTlvName(type: number): string {
  if (UNNAMED.includes(type)) return "UNKNOWN";
  const name = Object.entries(TLV).find(([, known]) => known === type)?.[0];
  return IMGTOOL_NAMES[type] ?? name ?? "UNKNOWN";
}

/**
 * imgtool's name of a header flag.
 *
 * @param flags - of a header
 * @returns names of the bits that are set, as imgtool prints them
 */
export function imgtoolFlagNames(flags: number): { name: string; bit: number }[] {
  return Object.entries(IMAGE_F)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name, bit]) => ({
      name: name === "COMPRESSED_ARM_THUMB_FLT" ? "COMPRESSED_ARM_THUMB" : name,
      bit,
    }));
}

/**
 * imgtool always writes the build, `formatVersion` leaves out one of 0.
 *
 * @param version - of a header
 * @returns `1.2.3+0`
 */
export function imgtoolVersion({ major, minor, revision, build }: Version): string {
  return `${major}.${minor}.${revision}+${build}`;
}

/**
 * Takes an image apart without judging it: areas with a wrong magic and sizes that contradict each other are shown
 * as they are. Reads both byte orders.
 *
 * @param bytes - from the header's first byte on
 * @returns what imgtool's `dumpinfo` shows, offsets in bytes
 * @throws {@link ImageError} where the bytes end before what they announce
 */
export function dumpImage(bytes: Uint8Array): DumpedImage {
  const endian = endianOf(bytes) ?? "little";
  mustHold(bytes, 0, IMAGE_HEADER_SIZE, "a header");
  const header = readHeader(bytes, endian);
  const start = header.headerSize + header.bodySize;
  const guarded = header.protectedSize === 0 ? undefined : dumpArea(bytes, start, endian);
  const open = dumpArea(bytes, guarded?.walked ?? start, endian);
  return {
    header: {
      magic: ORDER[endian].u32(bytes, 0),
      load_addr: header.loadAddress,
      hdr_size: header.headerSize,
      protected_tlv_size: header.protectedSize,
      img_size: header.bodySize,
      flags: header.flags,
      version: imgtoolVersion(header.version),
    },
    tlv_area: {
      tlv_hdr_prot: guarded?.header ?? {},
      tlvs_prot: guarded?.tlvs ?? [],
      tlv_hdr: open.header,
      tlvs: open.tlvs,
    },
    trailer: bytes.length > open.end ? dumpTrailer(bytes, header.flags) : {},
  };
}

function dumpArea(bytes: Uint8Array, offset: number, endian: Endian) {
  const { u16 } = ORDER[endian];
  mustHold(bytes, offset, TLV_HEADER_SIZE, "a TLV area");
  const header = { magic: u16(bytes, offset), tlv_tot: u16(bytes, offset + 2) };
  const end = offset + header.tlv_tot;
  const tlvs: DumpedTlv[] = [];
  let at = offset + TLV_HEADER_SIZE;
  while (at < end) {
    mustHold(bytes, at, TLV_HEADER_SIZE, "a TLV");
    const first = u16(bytes, at);
    // imgtool writes MCUboot's own types as a byte and a zero, in a big-endian image too.
    const type = endian === "big" && (first & 0xff) === 0 ? first >> 8 : first;
    const len = u16(bytes, at + 2);
    mustHold(bytes, at + TLV_HEADER_SIZE, len, "a TLV's value");
    const data = bytes.subarray(at + TLV_HEADER_SIZE, at + TLV_HEADER_SIZE + len);
    tlvs.push({ type, type_name: imgtoolTlvName(type), len, data });
    at += TLV_HEADER_SIZE + len;
  }
  return { header, tlvs, end, walked: at };
}

/** The fields before the magic at the end of the bytes, by the alignment that the magic tells. */
function dumpTrailer(bytes: Uint8Array, flags: number): DumpedImage["trailer"] {
  const magic = bytes.subarray(Math.max(0, bytes.length - BOOT_MAGIC_SIZE));
  const maxAlign = maxAlignOfMagic(bytes);
  if (maxAlign === undefined) return { magic };
  const layout = trailerLayout(maxAlign);
  if (bytes.length < layout.swapSize) return { magic };
  const byteAt = (distance: number) => bytes[bytes.length - distance]!;
  const encrypted = (flags & (IMAGE_F.ENCRYPTED_AES128 | IMAGE_F.ENCRYPTED_AES256)) !== 0;
  return {
    magic,
    image_ok: byteAt(layout.imageOk),
    copy_done: byteAt(layout.copyDone),
    swap_info: byteAt(layout.swapInfo),
    swap_size: ORDER.little.u32(bytes, bytes.length - layout.swapSize),
    ...(encrypted && { key_field_len: alignUp(16, maxAlign) * 2 }),
  };
}

function mustHold(bytes: Uint8Array, offset: number, length: number, what: string): void {
  if (offset + length <= bytes.length) return;
  throw new ImageError(
    "image-truncated",
    offset,
    `Truncated: ${what} at ${offset} needs ${length} bytes, but there are only ${bytes.length} in all.`,
  );
}
