import { concat, isFilledWith } from "../bytes.js";
import { BootproofError } from "../errors.js";
import { HASHES, type HashAlgorithm, type HashName, type SignatureAlgorithm } from "./algorithms.js";
import { encodeBootRecord, MAX_SOFTWARE_TYPE } from "./boot-record.js";
import { cryptBody, generateContentKey, wrapContentKey } from "./encryption.js";
import { type Endian, ORDER, u32Bytes } from "./endian.js";
import { encodeHeader, IMAGE_F, IMAGE_HEADER_SIZE } from "./header.js";
import type { Dependency } from "./image.js";
import { type Key, publicRawOf, secretOf, signatureAlgorithmOf } from "./keys.js";
import {
  buildTlvArea,
  CUSTOM_TLV_RANGE,
  TLV,
  TLV_INFO_MAGIC,
  TLV_PROT_INFO_MAGIC,
  type TlvEntry,
  tlvAreaLength,
  tlvKind,
  tlvName,
} from "./tlv.js";
import { alignUp, BOOT_MAGIC_SIZE, bootMagic, type MaxAlign, trailerLayout } from "./trailer.js";
import { classId, vendorId } from "./uuid.js";
import { formatVersion, parseVersion, securityCounterOf, type Version } from "./version.js";

export type SignErrorCode =
  /** An option whose value cannot be, or two that exclude each other. */
  | "bad-option"
  /** The input does not begin with room for a header. */
  | "no-header-space"
  /** Image and trailer do not fit the slot. */
  | "too-large"
  /** Key and hash or key and option do not go together. */
  | "key-mismatch"
  /** A signature made elsewhere that does not verify. */
  | "bad-signature";

/** An image that cannot be made as asked. */
export class SignError extends BootproofError {
  declare readonly code: SignErrorCode;
  /** What was compared, bytes: with `too-large` image, trailer and slot. */
  readonly sizes?: { readonly image: number; readonly trailer: number; readonly slot: number };

  constructor(
    code: SignErrorCode,
    message: string,
    options: { hint?: string; sizes?: NonNullable<SignError["sizes"]> } = {},
  ) {
    super(code, message, options);
    if (options.sizes) this.sizes = options.sizes;
  }
}

/** Something that signs: a key at hand ({@link keySigner}), or a device or service far away. */
export interface Signer {
  /** Its public key; a private part is not looked at. */
  readonly publicKey: Key;
  sign(request: SigningRequest): Promise<Uint8Array>;
}

/** What a signer is asked to sign. */
export interface SigningRequest {
  readonly algorithm: SignatureAlgorithm;
  readonly hash: HashName;
  /** Header, body and protected TLVs: what RSA, ECDSA and pure Ed25519 sign (they hash it themselves). */
  readonly range: Uint8Array;
  /** The hash of `range`: what Ed25519 signs unless pure. */
  readonly digest: Uint8Array;
  readonly pure: boolean;
}

/** How to make an image. Names and defaults follow imgtool's options. */
export interface SignOptions {
  readonly version: Version | string;
  /** Bytes before the body, at least 32. */
  readonly headerSize: number;
  /** Put a header in front. Otherwise the input already begins with `headerSize` zero bytes. */
  readonly padHeader?: boolean;
  /** Size of the slot; 0 = not checked. */
  readonly slotSize: number;
  /** A private key, or a signer. Neither = an image with a hash only. */
  readonly key?: Key;
  readonly signer?: Signer;
  /** Carry the key's hash, or the whole public key for bootloaders with MCUBOOT_HW_KEY. */
  readonly publicKeyFormat?: "hash" | "full";
  /** Default: the key's own. */
  readonly hash?: HashName;
  /** Ed25519 over the image instead of over its hash. */
  readonly pure?: boolean;
  /** Zeros behind an ECDSA signature up to one length, for very old bootloaders. */
  readonly padSignature?: boolean;
  /** Fill up to the slot's size and put a trailer there. `test`: boots once; `confirmed`: stays. */
  readonly trailer?: "test" | "confirmed";
  /** Write size of the flash. Default 1. */
  readonly align?: 1 | 2 | 4 | 8 | 16 | 32;
  /** BOOT_MAX_ALIGN. Default: 8, or `align` when larger. */
  readonly maxAlign?: MaxAlign;
  /** BOOT_MAX_IMG_SECTORS. Default 128. */
  readonly maxSectors?: number;
  readonly overwriteOnly?: boolean;
  /** `auto`: derived from the version. */
  readonly securityCounter?: number | "auto";
  readonly dependencies?: readonly Dependency[];
  /** Software type of a boot record, at most 12 characters. */
  readonly bootRecord?: string;
  /** UUID or name. */
  readonly vendorId?: string;
  readonly classId?: string;
  /** Further protected TLVs. */
  readonly customTlvs?: readonly TlvEntry[];
  /** RAM address; sets RAM_LOAD. */
  readonly loadAddress?: number;
  /** Flash address; sets ROM_FIXED. */
  readonly romFixed?: number;
  readonly nonBootable?: boolean;
  /** Encrypt the body for the owner of a key. */
  readonly encrypt?: EncryptOptions;
  /** What erased flash reads as. Default 0xff. */
  readonly erasedValue?: 0 | 0xff;
  readonly endian?: Endian;
}

/** How to encrypt. */
export interface EncryptOptions {
  /** Of the bootloader; a private part is not looked at. */
  readonly key: Key;
  /** AES key length, bits. Default 128. */
  readonly keyLength?: 128 | 256;
  /** With an X25519 key. Default SHA-256. */
  readonly hash?: "sha256" | "sha512";
  /**
   * Flag and content key, but the body in clear: for programming straight into the primary, so that a later swap can
   * encrypt it on its way out.
   */
  readonly clear?: boolean;
  /** The bootloader saves whole TLVs in the trailer (MCUBOOT_SWAP_SAVE_ENCTLV): more is reserved for it. */
  readonly saveTlv?: boolean;
}

/** A finished image. */
export interface SignedImage {
  /** The file: the image, with padding and trailer when asked for. */
  readonly bytes: Uint8Array;
  /** The image alone. */
  readonly image: Uint8Array;
  readonly imageHash: Uint8Array;
  readonly signature?: Uint8Array;
}

/** An image up to the point where it is signed. */
export interface PreparedImage {
  /** Bytes of the body in `range`, with padding for encryption. */
  readonly bodySize: number;
  readonly range: Uint8Array;
  readonly digest: Uint8Array;
  readonly hash: HashAlgorithm;
  readonly pure: boolean;
}

/** A signer that holds the key itself. Throws `KeyError` for a public key and for X25519. */
export function keySigner(key: Key): Signer {
  const secret = secretOf(key);
  const algorithm = signatureAlgorithmOf(key);
  return { publicKey: key, sign: (request) => algorithm.sign(secret, request) };
}

/**
 * Makes an MCUboot image of a body, byte for byte as imgtool does; ECDSA signatures have nonces by RFC 6979, so that
 * only RSA differs from run to run. Throws {@link SignError}, `VersionError`, `KeyError`.
 */
export async function signImage(body: Uint8Array, options: SignOptions): Promise<SignedImage> {
  const signer = signerOf(options);
  const prepared = prepareImage(body, options, signer?.publicKey);
  if (!signer) return finishImage(prepared, options);
  const { range, digest, hash, pure } = prepared;
  const algorithm = signatureAlgorithmOf(signer.publicKey);
  const signature = await signer.sign({ algorithm, hash: hash.name, range, digest, pure });
  return finishImage(prepared, options, { publicKey: signer.publicKey, signature });
}

/** Header, body and protected TLVs with their hash: all that a signature covers. */
export function prepareImage(input: Uint8Array, options: SignOptions, publicKey?: Key): PreparedImage {
  checkOptions(options);
  checkKeyPair(publicKey, options.encrypt?.key);
  const hash = chooseHash(options, publicKey);
  const body = bodyOf(input, options);
  const version = checkedVersion(options.version);
  const endian = options.endian ?? "little";
  const entries = protectedTlvs(options, version, hash, publicKey);
  if (tlvAreaLength(entries) > 0xffff) throw bad("The protected TLVs are longer than 65535 bytes together.");
  const header = encodeHeader(
    {
      loadAddress: options.romFixed ?? options.loadAddress ?? 0,
      headerSize: options.headerSize,
      protectedSize: tlvAreaLength(entries),
      bodySize: body.length,
      flags: flagsOf(options),
      version,
      pad: 0,
    },
    endian,
  );
  const range = concat(
    header,
    headerPadding(options),
    body,
    buildTlvArea(TLV_PROT_INFO_MAGIC, entries, endian),
  );
  return { range, bodySize: body.length, digest: hash.digest(range), hash, pure: options.pure ?? false };
}

/**
 * Adds the unprotected TLVs with a signature, wherever it was made, then padding and trailer. Throws {@link SignError}
 * `bad-signature` for one that does not verify: it never gets into an image.
 */
export async function finishImage(
  prepared: PreparedImage,
  options: SignOptions,
  signed?: { publicKey: Key; signature: Uint8Array },
): Promise<SignedImage> {
  if (signed) await mustVerify(prepared, signed);
  const entries: TlvEntry[] = [{ type: prepared.hash.tlv, value: prepared.digest }];
  if (prepared.pure) entries.push({ type: TLV.SIG_PURE, value: Uint8Array.of(1) });
  const signature = signed && padded(signed, options);
  // The bootloader takes TLVs in order: the key must be known before its signature comes.
  if (signed && signature) entries.push(keyTlv(signed.publicKey, prepared.hash, options), signature);
  const { range, tlv } = await encrypted(prepared, options);
  if (tlv) entries.push(tlv);
  const image = concat(range, buildTlvArea(TLV_INFO_MAGIC, entries, options.endian ?? "little"));
  checkFits(image.length, options, tlv?.value.length);
  return {
    bytes: options.trailer ? withTrailer(image, options) : image,
    image,
    imageHash: prepared.digest,
    ...(signature && { signature: signature.value }),
  };
}

/**
 * Bytes that imgtool reserves for the trailer. Necessary, not sufficient: swap-move and swap-offset need a sector more
 * (see `largestImage`).
 */
export function reservedTrailerSize(
  options: Pick<SignOptions, "align" | "maxAlign" | "maxSectors" | "overwriteOnly" | "encrypt">,
  encryptionTlvLength = 0,
): number {
  const maxAlign = maxAlignOf(options);
  const magic = alignUp(BOOT_MAGIC_SIZE, maxAlign);
  if (options.overwriteOnly) return 2 * maxAlign + magic;
  const status = (options.maxSectors ?? 128) * 3 * (options.align ?? 1);
  // imgtool counts 16 bytes for a saved key also with AES-256.
  const saved = options.encrypt ? alignUp(options.encrypt.saveTlv ? encryptionTlvLength : 16, maxAlign) : 0;
  return status + 2 * saved + 4 * maxAlign + magic;
}

function signerOf({ key, signer }: SignOptions): Signer | undefined {
  if (key && signer) throw bad("Give a key or a signer, not both.");
  return key ? keySigner(key) : signer;
}

function checkOptions(options: SignOptions): void {
  const { headerSize, slotSize, loadAddress, romFixed, bootRecord } = options;
  if (!isU(headerSize, 16) || headerSize < IMAGE_HEADER_SIZE)
    throw bad(`Header size ${headerSize}: it must be between 32 and 65535.`);
  if (!isU(slotSize, 32)) throw bad(`Slot size ${slotSize} is not a size.`);
  if (loadAddress && romFixed !== undefined)
    throw bad(
      "A load address and a fixed ROM address exclude each other: the header has one field for both.",
    );
  if (!isU(loadAddress ?? 0, 32) || !isU(romFixed ?? 0, 32)) throw bad("An address must fit 32 bits.");
  if (options.trailer && slotSize === 0)
    throw bad("A trailer stands at the end of the slot: give the slot's size.");
  if (bootRecord !== undefined && bootRecord.length > MAX_SOFTWARE_TYPE)
    throw bad(`Boot record "${bootRecord}": a software type has at most 12 characters.`);
  if (options.align !== undefined && options.align > maxAlignOf(options))
    throw bad(
      `A write size of ${options.align} does not go with a maximum alignment of ${maxAlignOf(options)}.`,
    );
}

/** As imgtool has it: a bootloader that checks ECDSA or RSA brings only that curve or RSA for decryption too. */
function checkKeyPair(signing: Key | undefined, encryption: Key | undefined): void {
  if (!signing || !encryption || signing.type === "ed25519") return;
  const family = ({ type }: Key) => (type.startsWith("rsa") ? "rsa" : type);
  if (family(signing) === family(encryption)) return;
  throw new SignError(
    "key-mismatch",
    `An image signed with ${signing.type} cannot be encrypted for a ${encryption.type} key: bootloaders support one family.`,
  );
}

function chooseHash({ hash, pure }: SignOptions, publicKey: Key | undefined): HashAlgorithm {
  if (!publicKey) {
    if (pure) throw new SignError("key-mismatch", "A pure signature needs an Ed25519 key.");
    return HASHES[hash ?? "sha256"];
  }
  const { hashes, keyType } = signatureAlgorithmOf(publicKey);
  if (pure) {
    if (keyType !== "ed25519")
      throw new SignError("key-mismatch", `Pure signatures exist for Ed25519 only, this key is ${keyType}.`);
    if (hash && hash !== "sha512")
      throw new SignError("key-mismatch", `A pure image carries SHA-512, not ${HASHES[hash].label}.`);
    return HASHES.sha512;
  }
  if (hash && !hashes.includes(hash))
    throw new SignError(
      "key-mismatch",
      `A ${keyType} key does not go with ${HASHES[hash].label}: it signs ${hashes.map((name) => HASHES[name].label).join(" or ")}.`,
    );
  return HASHES[hash ?? hashes[0]!];
}

function bodyOf(input: Uint8Array, options: SignOptions): Uint8Array {
  const body = withoutHeaderSpace(input, options);
  if (!options.encrypt) return body;
  // AES blocks are counted from the body's start, but imgtool pads header and body together to whole ones.
  return concat(body, new Uint8Array(-(options.headerSize + body.length) & 15));
}

function withoutHeaderSpace(input: Uint8Array, { headerSize, padHeader }: SignOptions): Uint8Array {
  if (padHeader) return input;
  if (input.length < headerSize || !isFilledWith(input.subarray(0, headerSize), 0))
    throw new SignError(
      "no-header-space",
      `The input does not begin with ${headerSize} zero bytes for a header.`,
      {
        hint: "Ask for a header to be put in front (padHeader), or leave room for it when linking.",
      },
    );
  return input.subarray(headerSize);
}

function headerPadding({ headerSize, padHeader, erasedValue }: SignOptions): Uint8Array {
  return new Uint8Array(headerSize - IMAGE_HEADER_SIZE).fill(padHeader ? (erasedValue ?? 0xff) : 0);
}

/** Through its text, which checks that each part fits its field. */
function checkedVersion(version: Version | string): Version {
  return parseVersion(typeof version === "string" ? version : formatVersion(version));
}

function flagsOf({ loadAddress, romFixed, nonBootable, encrypt }: SignOptions): number {
  const aes = encrypt?.keyLength === 256 ? IMAGE_F.ENCRYPTED_AES256 : IMAGE_F.ENCRYPTED_AES128;
  return (
    (encrypt ? aes : 0) |
    (loadAddress ? IMAGE_F.RAM_LOAD : 0) |
    (romFixed ? IMAGE_F.ROM_FIXED : 0) |
    (nonBootable ? IMAGE_F.NON_BOOTABLE : 0)
  );
}

/** In imgtool's order, which makes images comparable. */
function protectedTlvs(
  options: SignOptions,
  version: Version,
  hash: HashAlgorithm,
  publicKey: Key | undefined,
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
  const vendor = options.vendorId === undefined ? undefined : vendorId(options.vendorId);
  if (vendor) add(TLV.UUID_VID, vendor);
  if (options.classId !== undefined) {
    const id = classId(options.classId, vendor);
    if (!id) throw bad("A class id that is a name needs a vendor id.");
    add(TLV.UUID_CID, id);
  }
  return [...entries, ...checkedCustomTlvs(options.customTlvs ?? [])];
}

function counterOf(counter: number | "auto", version: Version): number {
  const value = counter === "auto" ? securityCounterOf(version) : counter;
  if (!isU(value, 32)) throw bad(`Security counter ${value}: it must fit 32 bits.`);
  return value;
}

function encodeDependency(dependency: Dependency, endian: Endian): Uint8Array {
  const { image } = dependency;
  const version = checkedVersion(dependency.version);
  if (!isU(image, 8)) throw bad(`Dependency on image ${image}: image numbers are 0 to 255.`);
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
    if (tlvKind(type)) throw bad(`Custom TLV 0x${type.toString(16)} is MCUboot's ${tlvName(type)}.`);
    if (!isU(type, 16) || type < min || type > max)
      throw bad(
        `Custom TLV 0x${type.toString(16)}: types are 0x${min.toString(16)} to 0x${max.toString(16)}.`,
      );
    if (seen.has(type)) throw bad(`Custom TLV 0x${type.toString(16)} is given twice.`);
    seen.add(type);
  }
  return tlvs;
}

async function mustVerify(prepared: PreparedImage, signed: { publicKey: Key; signature: Uint8Array }) {
  const { publicKey, signature } = signed;
  if (await signatureAlgorithmOf(publicKey).verify(publicRawOf(publicKey), prepared, signature)) return;
  throw new SignError(
    "bad-signature",
    `The signature is not one of this ${publicKey.type} key over this image.`,
    {
      hint: "It was made over other bytes, with another key, or another option was used when they were exported.",
    },
  );
}

/** The range with its body encrypted, and the TLV that says how; unchanged when no encryption is asked for. */
async function encrypted(
  { range, bodySize }: PreparedImage,
  { encrypt, headerSize }: SignOptions,
): Promise<{ range: Uint8Array; tlv?: TlvEntry }> {
  if (!encrypt) return { range };
  const contentKey = generateContentKey(encrypt.keyLength ?? 128);
  const tlv = await wrapContentKey(contentKey, encrypt.key, encrypt.hash);
  if (encrypt.clear) return { range, tlv };
  const bodyEnd = headerSize + bodySize;
  const body = await cryptBody(contentKey, range.subarray(headerSize, bodyEnd));
  return { range: concat(range.subarray(0, headerSize), body, range.subarray(bodyEnd)), tlv };
}

function keyTlv(publicKey: Key, hash: HashAlgorithm, { publicKeyFormat }: SignOptions): TlvEntry {
  return publicKeyFormat === "full"
    ? { type: TLV.PUBKEY, value: publicKey.publicDer }
    : { type: TLV.KEYHASH, value: publicKey.keyHashBy(hash.name) };
}

function padded(signed: { publicKey: Key; signature: Uint8Array }, { padSignature }: SignOptions): TlvEntry {
  const { tlv, padTo } = signatureAlgorithmOf(signed.publicKey);
  const missing = padSignature && padTo ? Math.max(0, padTo - signed.signature.length) : 0;
  return { type: tlv, value: concat(signed.signature, new Uint8Array(missing)) };
}

function checkFits(size: number, options: SignOptions, encryptionTlvLength: number | undefined): void {
  const { slotSize } = options;
  const trailer = reservedTrailerSize(options, encryptionTlvLength);
  if (slotSize === 0 || size + trailer <= slotSize) return;
  throw new SignError(
    "too-large",
    `The image has ${size} bytes and the trailer needs ${trailer}: ${size + trailer - slotSize} more than the slot's ${slotSize}.`,
    { sizes: { image: size, trailer, slot: slotSize } },
  );
}

function withTrailer(image: Uint8Array, options: SignOptions): Uint8Array {
  const { slotSize, trailer, overwriteOnly } = options;
  const maxAlign = maxAlignOf(options);
  const bytes = new Uint8Array(slotSize).fill(options.erasedValue ?? 0xff);
  bytes.set(image);
  bytes.set(bootMagic(maxAlign, options.endian), slotSize - BOOT_MAGIC_SIZE);
  if (trailer === "confirmed" && !overwriteOnly) bytes[slotSize - trailerLayout(maxAlign).imageOk] = 1;
  return bytes;
}

function maxAlignOf({ align, maxAlign }: Pick<SignOptions, "align" | "maxAlign">): MaxAlign {
  return maxAlign ?? (align === 16 || align === 32 ? align : 8);
}

function isU(value: number, bits: 8 | 16 | 32): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** bits;
}

function bad(message: string): SignError {
  return new SignError("bad-option", message);
}
