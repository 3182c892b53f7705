import { concat } from "../bytes.js";
import type { HashAlgorithm } from "../crypto/hashes.js";
import type { Version } from "./version.js";

/** Longest software type of a boot record, characters. */
export const MAX_SOFTWARE_TYPE = 12;

/**
 * The CBOR map of a BOOT_RECORD TLV (boot_record.py). The measurement is zeros and stands last: the bootloader writes
 * the image hash over the final bytes when it hands the record to the application.
 */
export function encodeBootRecord(
  softwareType: string,
  version: Version,
  signer: Uint8Array,
  hash: HashAlgorithm,
): Uint8Array {
  const { major, minor, revision } = version;
  return concat(
    Uint8Array.of(0xa5),
    Uint8Array.of(1),
    text(softwareType),
    Uint8Array.of(4),
    text(`${major}.${minor}.${revision}`),
    Uint8Array.of(5),
    bytes(signer),
    Uint8Array.of(6),
    text(hash.label),
    Uint8Array.of(2),
    bytes(new Uint8Array(hash.length)),
  );
}

function text(value: string): Uint8Array {
  return item(0x60, new TextEncoder().encode(value));
}

function bytes(value: Uint8Array): Uint8Array {
  return item(0x40, value);
}

/** Nothing in a boot record is longer than 64 bytes, so one byte of length always does. */
function item(majorType: number, value: Uint8Array): Uint8Array {
  const head = value.length < 24 ? [majorType | value.length] : [majorType | 24, value.length];
  return concat(Uint8Array.from(head), value);
}
