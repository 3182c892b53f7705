import { crc32 } from "node:zlib";
import { putU16le, putU32le, u16le, u32le } from "../bytes.js";
import { type UpgradeMode, upgradeMode } from "../mcuboot/upgrade-modes.js";
import { GEOMETRIES, type GeometryName } from "./layout.js";

/** The provisioning sector: what a factory would fuse or compile in. The same bytes as firmware-fixtures/port/provision.h. */

const MAGIC = 0x56525042;
const VERSION = 2;
const SIZE = 2908;
const BOARD_OFFSET = 24;
const BOARD_LENGTH = 32;
const SERIAL_OFFSET = 56;
const SERIAL_LENGTH = 16;
const KEYS_OFFSET = 72;
const KEY_SIZE = 404;
const MAX_KEYS = 4;
const MAX_KEY_DER = 400;
const SHAPE_OFFSET = KEYS_OFFSET + MAX_KEYS * KEY_SIZE;
const WRAP_KEY_OFFSET = SHAPE_OFFSET + 16;
const MAX_WRAP_KEY = 1200;

export const POLICY_BITS = {
  "downgrade-version": 0x0001,
  "downgrade-counter": 0x0002,
  bootstrap: 0x0004,
  "skip-primary": 0x0008,
  "no-allow-list": 0x0010,
  "no-counter": 0x0020,
  "no-signature": 0x0040,
  "overwrite-whole": 0x0080,
  "weak-counter-early": 0x0100,
  "weak-counter-ignored": 0x0200,
  "weak-no-revert": 0x0400,
  "weak-recovery-unchecked": 0x0800,
  "weak-resume-short": 0x1000,
  "loader-without-app": 0x10000,
  "save-key-tlv": 0x20000,
  "weak-counter-on-resume": 0x2000,
  "weak-revert-follows": 0x4000,
  "weak-lengths": 0x8000,
  "weak-counter-unlocked": 0x40000,
  "encrypted-only": 0x80000,
  "weak-address-unchecked": 0x100000,
  "weak-secondary-needed": 0x200000,
  "weak-unpacked-size": 0x400000,
  "weak-unpacked-hash": 0x800000,
  "weak-unpacked-signature": 0x1000000,
} as const;
export type Policy = keyof typeof POLICY_BITS;

/** What only the bootloader built with BOOT_OPTIONS knows (firmware-fixtures/port/provision.h). */
const OPTIONS: readonly Policy[] = [
  "weak-counter-on-resume",
  "weak-revert-follows",
  "weak-lengths",
  "weak-counter-unlocked",
  "encrypted-only",
  "weak-address-unchecked",
  "weak-secondary-needed",
];

export function needsOptions(policy: readonly Policy[]): boolean {
  return policy.some((bit) => OPTIONS.includes(bit));
}

/** The modes that our bootloader speaks. */
export type BootMode = Exclude<UpgradeMode, "single-slot-ram-load">;

/** MCUmgr has one number for RAM load; in the sector the mode with revert has its own. */
const RAM_LOAD_REVERT = 38;

function modeNumber(mode: BootMode): number {
  return mode === "ram-load-revert" ? RAM_LOAD_REVERT : upgradeMode(mode).number;
}

const WRAP_NUMBERS = { x25519: 1, p256: 2, "rsa-2048": 3 } as const;

/** How a board unwraps the content key of an encrypted image. */
export interface Decryption {
  type: keyof typeof WRAP_NUMBERS;
  /** The private key: the bare scalar of a curve, big-endian for P-256; for RSA the RSAPrivateKey of PKCS#1. */
  key: Uint8Array;
  /** Of the content keys. */
  aesBits: 128 | 256;
}

/** FRAMING_CONSOLE and FRAMING_RAW of port/provision.h. */
const FRAMING_NUMBERS = { console: 0, raw: 1 } as const;

const KEY_TYPE_NUMBERS = { ed25519: 1, "ecdsa-p256": 2, "rsa-2048": 3, "rsa-3072": 4 } as const;
export type TrustedKeyType = keyof typeof KEY_TYPE_NUMBERS;

export interface TrustedKey {
  type: TrustedKeyType;
  /** The public key as MCUboot hashes it: SPKI, for RSA PKCS#1. */
  der: Uint8Array;
}

export interface Provision {
  policy: readonly Policy[];
  mode: BootMode;
  images: 1 | 2;
  writeUnit: 1 | 2 | 4 | 8 | 16 | 32;
  /** MCUBOOT_MAX_IMG_SECTORS. */
  maxSectors: number;
  /** The application's SMP server buffer, bytes, and how many it has. */
  bufSize: number;
  bufCount: number;
  recoveryBufSize: number;
  /** How the application's server tells messages apart. Default console. */
  framing?: keyof typeof FRAMING_NUMBERS | undefined;
  /** At most 31 ASCII characters. */
  board: string;
  /** At most 15 ASCII characters. */
  serial: string;
  keys: readonly TrustedKey[];
  /** Default "even". */
  geometry?: GeometryName | undefined;
  /** Value of an erased byte. Default 0xff. */
  erased?: 0xff | 0 | undefined;
  /** MCUBOOT_BOOT_MAX_ALIGN. Default 8, or the write unit if that is larger. */
  align?: 8 | 16 | 32 | undefined;
  /** Absent: images are not encrypted. */
  decryption?: Decryption | undefined;
  /** The most that a stored security counter can be, at most 255; known to programs that unpack. Default: no end. */
  counterSteps?: number | undefined;
  /** RAM load: addresses that images may be loaded to. */
  ram?: { start: number; size: number } | undefined;
}

/** The bytes the bootloader and the application read. Throws RangeError for what does not fit. */
export function encodeProvision(provision: Provision): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  putU32le(bytes, 0, MAGIC);
  putU16le(bytes, 4, VERSION);
  putU16le(bytes, 6, SIZE);
  putU32le(
    bytes,
    8,
    provision.policy.reduce((bits, policy) => bits | POLICY_BITS[policy], 0),
  );
  bytes.set(
    [
      modeNumber(provision.mode),
      provision.images,
      provision.writeUnit,
      FRAMING_NUMBERS[provision.framing ?? "console"],
    ],
    12,
  );
  putU16le(bytes, 16, provision.maxSectors);
  putU16le(bytes, 18, provision.bufSize);
  putU16le(bytes, 20, provision.bufCount);
  putU16le(bytes, 22, provision.recoveryBufSize);
  putText(bytes, BOARD_OFFSET, BOARD_LENGTH, provision.board);
  putText(bytes, SERIAL_OFFSET, SERIAL_LENGTH, provision.serial);
  putKeys(bytes, provision.keys);
  putShape(bytes, provision);
  putU32le(bytes, SIZE - 4, crc32(bytes.subarray(0, SIZE - 4)));
  return bytes;
}

function putShape(
  bytes: Uint8Array,
  { geometry, erased, align, writeUnit, decryption, counterSteps, ram }: Provision,
): void {
  bytes.set(
    [GEOMETRIES[geometry ?? "even"].number, erased ?? 0xff, align ?? Math.max(8, writeUnit)],
    SHAPE_OFFSET,
  );
  bytes[SHAPE_OFFSET + 7] = counterSteps ?? 0;
  putU32le(bytes, SHAPE_OFFSET + 8, ram?.start ?? 0);
  putU32le(bytes, SHAPE_OFFSET + 12, ram?.size ?? 0);
  if (!decryption) return;
  if (decryption.key.length > MAX_WRAP_KEY)
    throw new RangeError(`A private key of ${decryption.key.length} bytes does not fit.`);
  bytes[SHAPE_OFFSET + 3] = WRAP_NUMBERS[decryption.type];
  putU16le(bytes, SHAPE_OFFSET + 4, decryption.key.length);
  bytes[SHAPE_OFFSET + 6] = decryption.aesBits / 8;
  bytes.set(decryption.key, WRAP_KEY_OFFSET);
}

/** The board name in a provisioning sector, or undefined when the sector holds none. */
export function provisionedBoard(sector: Uint8Array): string | undefined {
  if (u32le(sector, 0) !== MAGIC || u16le(sector, 6) !== SIZE) return undefined;
  if (u32le(sector, SIZE - 4) !== crc32(sector.subarray(0, SIZE - 4))) return undefined;
  const name = sector.subarray(BOARD_OFFSET, BOARD_OFFSET + BOARD_LENGTH);
  const end = name.indexOf(0);
  return end < 0 ? undefined : Buffer.from(name.subarray(0, end)).toString("latin1");
}

function putText(bytes: Uint8Array, offset: number, room: number, text: string): void {
  if (!/^[\x20-\x7e]*$/.test(text) || text.length >= room)
    throw new RangeError(`"${text}" does not fit ${room - 1} ASCII characters.`);
  bytes.set(Buffer.from(text, "latin1"), offset);
}

function putKeys(bytes: Uint8Array, keys: readonly TrustedKey[]): void {
  if (keys.length > MAX_KEYS)
    throw new RangeError(`A board trusts at most ${MAX_KEYS} keys, not ${keys.length}.`);
  keys.forEach(({ type, der }, index) => {
    if (der.length > MAX_KEY_DER) throw new RangeError(`A public key of ${der.length} bytes does not fit.`);
    const offset = KEYS_OFFSET + index * KEY_SIZE;
    putU16le(bytes, offset, der.length);
    bytes[offset + 2] = KEY_TYPE_NUMBERS[type];
    bytes.set(der, offset + 4);
  });
}
