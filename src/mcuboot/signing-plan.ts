import type { Endian } from "../bytes.js";
import { HASHES, type HashAlgorithm, type HashName } from "../crypto/hashes.js";
import { type Key, signatureAlgorithmOf } from "../crypto/keys.js";
import { MAX_SOFTWARE_TYPE } from "./boot-record.js";
import { ENCRYPTION_KEYS } from "./crypto-tlvs.js";
import { IMAGE_F, IMAGE_HEADER_SIZE } from "./header.js";
import { checkedVersion, isU, type PlannedTlvs, plannedTlvs } from "./protected-tlvs.js";
import { badOption, outOfRange, SignError } from "./sign-error.js";
import type {
  BodyOptions,
  EncryptOptions,
  HeaderOptions,
  PlacementOptions,
  SignOptions,
} from "./sign-options.js";
import type { MaxAlign } from "./trailer.js";
import type { Version } from "./version.js";

/** How an image will be made: every option checked, every default in its place. Made once by {@link signingPlan}, then only read. */
export interface SigningPlan {
  readonly endian: Endian;
  readonly header: HeaderPlan;
  readonly slot: SlotPlan;
  readonly tlvs: PlannedTlvs;
  readonly signature: SignaturePlan;
  readonly compression: BodyOptions["compression"] | undefined;
  readonly encryption: EncryptionPlan | undefined;
}

export interface HeaderPlan {
  readonly version: Version;
  /** Bytes before the body. */
  readonly size: number;
  /** The input has no room for it: it is put in front. */
  readonly isAdded: boolean;
  /** Where the body is loaded to, or must lie; 0: nowhere in particular. */
  readonly address: number;
  /** Flag bits, without those of a compressed body. */
  readonly flags: number;
  /** Byte between the header's fields and the body. */
  readonly filler: number;
}

export interface SlotPlan {
  /** Bytes; 0 = not checked. */
  readonly size: number;
  readonly trailer: "test" | "confirmed" | undefined;
  /** Write size of the flash, bytes. */
  readonly align: number;
  readonly maxAlign: MaxAlign;
  readonly maxSectors: number;
  readonly overwriteOnly: boolean;
  readonly erasedValue: 0 | 0xff;
  readonly endian: Endian;
  /** What of an encrypted image the bootloader saves in the trailer. */
  readonly saved: "nothing" | "content key" | "whole TLV";
}

export interface SignaturePlan {
  /** Undefined: the key's own. */
  readonly hash: HashName | undefined;
  readonly isPure: boolean;
  /** Zeros behind an ECDSA signature. */
  readonly isPadded: boolean;
  readonly publicKeyFormat: "hash" | "full";
}

export type EncryptionPlan = Required<EncryptOptions>;

/**
 * Checks what an image shall be like, before there is a body or a signer.
 *
 * @param options - sizes and addresses in bytes; `version` as `major.minor.revision+build`. Keys of signers are not looked at
 * @returns what `prepareImage` and `finishImage` go by
 * @throws SignError, VersionError when an option is out of range, or two of them do not go together
 *
 * @example
 * ```ts
 * import { generateKey, verifyImage } from "bootproof";
 * import { finishImage, prepareImage, signingPlan } from "bootproof/mcuboot";
 * import { keySigner, SIGNATURE_ALGORITHMS } from "bootproof/crypto";
 * const key = await generateKey("ed25519");
 * const plan = signingPlan({ version: "1.0.0", headerSize: 0x200, padHeader: true, slotSize: 0x20000 });
 * const prepared = prepareImage(new Uint8Array(2048), plan, key.publicKey);
 * const { range, digest, hash, pure } = prepared;
 * // In another process, on another machine, in a security module:
 * const algorithm = SIGNATURE_ALGORITHMS.ed25519;
 * const signature = await keySigner(key).sign({ algorithm, hash: hash.name, range, digest, pure });
 * const { image } = await finishImage(prepared, { publicKey: key.publicKey, signature });
 * const { result } = await verifyImage(image, { keys: [key.publicKey] });
 * if (result !== "good") throw new Error(result);
 * ```
 */
export function signingPlan(options: Omit<SignOptions, "key" | "signer">): SigningPlan {
  const encryption = options.encrypt && encryptionPlan(options.encrypt);
  const endian = options.endian ?? "little";
  const header = headerPlan(options, options.erasedValue ?? 0xff, encryption);
  if (options.bootRecord !== undefined && options.bootRecord.length > MAX_SOFTWARE_TYPE)
    throw badOption(`Boot record "${options.bootRecord}": a software type has at most 12 characters.`);
  // imgtool would drop the flag from the outer image without a word.
  if (options.compression && options.nonBootable)
    throw badOption("A compressed image cannot be non-bootable.");
  return {
    endian,
    header,
    slot: slotPlan(options, endian, encryption),
    tlvs: plannedTlvs(options, header.version, endian),
    signature: {
      hash: options.hash,
      isPure: options.pure ?? false,
      isPadded: options.padSignature ?? false,
      publicKeyFormat: options.publicKeyFormat ?? "hash",
    },
    compression: options.compression,
    encryption,
  };
}

function headerPlan(
  options: HeaderOptions,
  erasedValue: number,
  encryption: EncryptionPlan | undefined,
): HeaderPlan {
  const { headerSize, loadAddress = 0, romFixed, nonBootable, padHeader = false } = options;
  if (!isU(headerSize, 16) || headerSize < IMAGE_HEADER_SIZE)
    throw outOfRange(`Header size ${headerSize}: it must be between 32 and 65535.`);
  if (loadAddress && romFixed !== undefined)
    throw badOption(
      "A load address and a fixed ROM address exclude each other: the header has one field for both.",
    );
  if (!isU(loadAddress, 32) || !isU(romFixed ?? 0, 32)) throw outOfRange("An address must fit 32 bits.");
  const aes = encryption?.keyLength === 256 ? IMAGE_F.ENCRYPTED_AES256 : IMAGE_F.ENCRYPTED_AES128;
  return {
    version: checkedVersion(options.version),
    size: headerSize,
    isAdded: padHeader,
    address: romFixed ?? loadAddress,
    flags:
      (encryption ? aes : 0) |
      (loadAddress ? IMAGE_F.RAM_LOAD : 0) |
      (romFixed ? IMAGE_F.ROM_FIXED : 0) |
      (nonBootable ? IMAGE_F.NON_BOOTABLE : 0),
    filler: padHeader ? erasedValue : 0,
  };
}

function slotPlan(
  options: PlacementOptions,
  endian: Endian,
  encryption: EncryptionPlan | undefined,
): SlotPlan {
  const { slotSize, trailer, align = 1 } = options;
  const maxAlign = maxAlignOf(options);
  if (!isU(slotSize, 32)) throw badOption(`Slot size ${slotSize} is not a size.`);
  if (trailer && slotSize === 0)
    throw badOption("The trailer is at the end of the slot: give the slot's size (--slot-size), not 0.");
  if (align > maxAlign)
    throw badOption(`A write size of ${align} cannot be used with a maximum alignment of ${maxAlign}.`);
  return {
    size: slotSize,
    trailer,
    align,
    maxAlign,
    maxSectors: options.maxSectors ?? 128,
    overwriteOnly: options.overwriteOnly ?? false,
    erasedValue: options.erasedValue ?? 0xff,
    endian,
    saved: encryption ? (encryption.saveTlv ? "whole TLV" : "content key") : "nothing",
  };
}

function encryptionPlan({ key, keyLength, hash, clear, saveTlv }: EncryptOptions): EncryptionPlan {
  return {
    key,
    keyLength: keyLength ?? 128,
    hash: hash ?? "sha256",
    clear: clear ?? false,
    saveTlv: saveTlv ?? false,
  };
}

/**
 * The hash that an image of this plan has under this key.
 *
 * @param publicKey - undefined: the image has a hash only
 * @throws SignError `key-mismatch` when the key signs no such hash, gives no pure signature, or no bootloader takes it
 *   beside the encryption key
 */
export function plannedHash(
  { signature, encryption }: SigningPlan,
  publicKey: Key | undefined,
): HashAlgorithm {
  const { hash, isPure } = signature;
  if (!publicKey) {
    if (isPure) throw new SignError("key-mismatch", "A pure signature needs an Ed25519 key.");
    return HASHES[hash ?? "sha256"];
  }
  mustGoTogether(publicKey, encryption);
  const { hashes, keyType, mayBePure } = signatureAlgorithmOf(publicKey);
  if (isPure) {
    if (!mayBePure)
      throw new SignError("key-mismatch", `Pure signatures exist for Ed25519 only, this key is ${keyType}.`);
    if (hash && hash !== "sha512")
      throw new SignError("key-mismatch", `A pure image carries SHA-512, not ${HASHES[hash].label}.`);
    return HASHES.sha512;
  }
  if (hash && !hashes.includes(hash))
    throw new SignError(
      "key-mismatch",
      `A ${keyType} key cannot be used with ${HASHES[hash].label}: it signs ${hashes.map((name) => HASHES[name].label).join(" or ")}.`,
    );
  return HASHES[hash ?? hashes[0]!];
}

/** Bootloaders support one family of keys. */
function mustGoTogether(signing: Key, encryption: EncryptionPlan | undefined): void {
  const { keyType } = signatureAlgorithmOf(signing);
  if (!encryption || ENCRYPTION_KEYS[keyType].includes(encryption.key.type)) return;
  throw new SignError(
    "key-mismatch",
    `An image signed with ${signing.type} cannot be encrypted for a ${encryption.key.type} key: bootloaders support one family.`,
  );
}

/** BOOT_MAX_ALIGN as imgtool takes it from its options. */
function maxAlignOf({ align, maxAlign }: Pick<PlacementOptions, "align" | "maxAlign">): MaxAlign {
  return maxAlign ?? (align === 16 || align === 32 ? align : 8);
}
