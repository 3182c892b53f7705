import { type Endian, ORDER, u32Bytes } from "../bytes.js";
import type { HashAlgorithm } from "../crypto/hashes.js";
import type { Key } from "../crypto/keys.js";
import { encodeBootRecord } from "./boot-record.js";
import type { Dependency } from "./image.js";
import { badOption, outOfRange } from "./sign-error.js";
import type { TlvOptions } from "./sign-options.js";
import { CUSTOM_TLV_RANGE, TLV, type TlvEntry, tlvKind, tlvName } from "./tlv.js";
import { classId, vendorId } from "./uuid.js";
import { formatVersion, parseVersion, securityCounterOf, type Version } from "./version.js";

/** What an image says of itself under its signature, in pieces whose order is imgtool's. */
export interface PlannedTlvs {
  readonly securityCounter: number | undefined;
  /** Software type; the record holds the hash of the key too. */
  readonly bootRecord: string | undefined;
  readonly dependencies: readonly TlvEntry[];
  /** Vendor, class, and custom ones. */
  readonly others: readonly TlvEntry[];
}

/** Throws `SignError`, `VersionError`. */
export function plannedTlvs(options: TlvOptions, version: Version, endian: Endian): PlannedTlvs {
  const { securityCounter, bootRecord, dependencies = [], customTlvs = [] } = options;
  return {
    securityCounter: securityCounter === undefined ? undefined : counterOf(securityCounter, version),
    bootRecord,
    dependencies: dependencies.map((one) => ({
      type: TLV.DEPENDENCY,
      value: encodeDependency(one, endian),
    })),
    others: [...identityTlvs(options), ...checkedCustomTlvs(customTlvs)],
  };
}

function identityTlvs(options: TlvOptions): TlvEntry[] {
  const vendor = options.vendorId === undefined ? undefined : vendorId(options.vendorId);
  const vendors = vendor ? [{ type: TLV.UUID_VID, value: vendor }] : [];
  if (options.classId === undefined) return vendors;
  const id = classId(options.classId, vendor);
  if (!id) throw badOption("A class id that is a name needs a vendor id.");
  return [...vendors, { type: TLV.UUID_CID, value: id }];
}

/** All that is signed, in imgtool's order, which makes images comparable. */
export function protectedTlvs(
  { tlvs, header, endian }: { tlvs: PlannedTlvs; header: { version: Version }; endian: Endian },
  hash: HashAlgorithm,
  publicKey: Key | undefined,
  compression: readonly TlvEntry[],
): TlvEntry[] {
  const { securityCounter, bootRecord, dependencies, others } = tlvs;
  const { version } = header;
  const counter =
    securityCounter === undefined ? [] : [{ type: TLV.SEC_CNT, value: u32Bytes(securityCounter, endian) }];
  const signer = publicKey ? publicKey.keyHashBy(hash.name) : new Uint8Array(32);
  const record =
    bootRecord === undefined
      ? []
      : [{ type: TLV.BOOT_RECORD, value: encodeBootRecord(bootRecord, version, signer, hash) }];
  return [...counter, ...record, ...dependencies, ...compression, ...others];
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
