import { encodeBootRecord } from "./boot-record.js";
import { type Endian, ORDER, u32Bytes } from "./endian.js";
import type { HashAlgorithm } from "./hashes.js";
import type { Dependency } from "./image.js";
import type { Key } from "./keys.js";
import type { SignOptions } from "./sign.js";
import { badOption, outOfRange } from "./sign-error.js";
import { CUSTOM_TLV_RANGE, TLV, type TlvEntry, tlvKind, tlvName } from "./tlv.js";
import { classId, vendorId } from "./uuid.js";
import { formatVersion, parseVersion, securityCounterOf, type Version } from "./version.js";

/** In imgtool's order, which makes images comparable. */
export function protectedTlvs(
  options: SignOptions,
  version: Version,
  hash: HashAlgorithm,
  publicKey: Key | undefined,
  compression: readonly TlvEntry[] = [],
): TlvEntry[] {
  const endian = options.endian ?? "little";
  const entries: TlvEntry[] = [];
  const add = (type: number, value: Uint8Array) => entries.push({ type, value });
  if (options.securityCounter !== undefined)
    add(TLV.SEC_CNT, u32Bytes(counterOf(options.securityCounter, version), endian));
  if (options.bootRecord !== undefined) {
    const signer = publicKey ? publicKey.keyHashBy(hash.name) : new Uint8Array(32);
    add(TLV.BOOT_RECORD, encodeBootRecord(options.bootRecord, version, signer, hash));
  }
  for (const dependency of options.dependencies ?? [])
    add(TLV.DEPENDENCY, encodeDependency(dependency, endian));
  entries.push(...compression);
  const vendor = options.vendorId === undefined ? undefined : vendorId(options.vendorId);
  if (vendor) add(TLV.UUID_VID, vendor);
  if (options.classId !== undefined) {
    const id = classId(options.classId, vendor);
    if (!id) throw badOption("A class id that is a name needs a vendor id.");
    add(TLV.UUID_CID, id);
  }
  return [...entries, ...checkedCustomTlvs(options.customTlvs ?? [])];
}

function counterOf(counter: number | "auto", version: Version): number {
  const value = counter === "auto" ? securityCounterOf(version) : counter;
  if (!isU(value, 32)) throw outOfRange(`Security counter ${value}: it must fit 32 bits.`);
  return value;
}

function encodeDependency(dependency: Dependency, endian: Endian): Uint8Array {
  const { image } = dependency;
  const version = checkedVersion(dependency.version);
  if (!isU(image, 8)) throw outOfRange(`Dependency on image ${image}: image numbers are 0 to 255.`);
  const value = new Uint8Array(12);
  value[0] = image;
  value[4] = version.major;
  value[5] = version.minor;
  ORDER[endian].putU16(value, 6, version.revision);
  ORDER[endian].putU32(value, 8, version.build);
  return value;
}

function checkedCustomTlvs(tlvs: readonly TlvEntry[]): readonly TlvEntry[] {
  const seen = new Set<number>();
  for (const { type } of tlvs) {
    const { min, max } = CUSTOM_TLV_RANGE;
    if (tlvKind(type)) throw badOption(`Custom TLV 0x${type.toString(16)} is MCUboot's ${tlvName(type)}.`);
    if (!isU(type, 16) || type < min || type > max)
      throw badOption(
        `Custom TLV 0x${type.toString(16)}: types are 0x${min.toString(16)} to 0x${max.toString(16)}.`,
      );
    if (seen.has(type)) throw badOption(`Custom TLV 0x${type.toString(16)} is given twice.`);
    seen.add(type);
  }
  return tlvs;
}

/** Through its text, which checks that each part fits its field. */
export function checkedVersion(version: Version | string): Version {
  return parseVersion(typeof version === "string" ? version : formatVersion(version));
}

/** A whole number that fits this many bits. */
export function isU(value: number, bits: 8 | 16 | 32): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** bits;
}
