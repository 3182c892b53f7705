import { concat, isFilledWith } from "../bytes.js";
import type { SignatureAlgorithm } from "./algorithms.js";
import { MAX_SOFTWARE_TYPE } from "./boot-record.js";
import {
  type CompressionKind,
  compressBody,
  compressionFlags,
  LZMA_SETTINGS_SIZE,
  type Lzma2Compressor,
} from "./compression.js";
import { cryptBody, generateContentKey, wrapContentKey } from "./encryption.js";
import { type Endian, u32Bytes } from "./endian.js";
import { HASHES, type HashAlgorithm, type HashName } from "./hashes.js";
import { encodeHeader, IMAGE_F, IMAGE_HEADER_SIZE } from "./header.js";
import type { Dependency } from "./image.js";
import { type Key, publicRawOf, secretOf, signatureAlgorithmOf } from "./keys.js";
import { checkedVersion, isU, protectedTlvs } from "./protected-tlvs.js";
import { badOption, outOfRange, SignError } from "./sign-error.js";
import { checkFits, maxAlignOf, withTrailer } from "./slot-padding.js";
import {
  buildTlvArea,
  TLV,
  TLV_INFO_MAGIC,
  TLV_PROT_INFO_MAGIC,
  type TlvEntry,
  tlvAreaLength,
} from "./tlv.js";
import type { MaxAlign } from "./trailer.js";
import type { Version } from "./version.js";

export { SignError, type SignErrorCode } from "./sign-error.js";

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
  /** Compress the body, when that makes the image smaller. `compress` packs a raw LZMA2 stream. */
  readonly compression?: { readonly kind: CompressionKind; readonly compress: Lzma2Compressor };
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
  if (options.compression) {
    const compressed = await signCompressed(body, options, options.compression, signer);
    if (compressed) return compressed;
  }
  const prepared = prepareImage(body, options, signer?.publicKey);
  if (!signer) return finishImage(prepared, options);
  return finishImage(prepared, options, await signatureOf(prepared, signer));
}

async function signatureOf(prepared: PreparedImage, signer: Signer) {
  const { range, digest, hash, pure } = prepared;
  const { publicKey } = signer;
  const algorithm = signatureAlgorithmOf(publicKey);
  return { publicKey, signature: await signer.sign({ algorithm, hash: hash.name, range, digest, pure }) };
}

/** Header, body and protected TLVs with their hash: all that a signature covers. */
export function prepareImage(input: Uint8Array, options: SignOptions, publicKey?: Key): PreparedImage {
  checkOptions(options);
  return prepareBody(bodyOf(input, options), options, publicKey);
}

/** What compression adds to an image. */
interface Compressed {
  readonly flags: number;
  readonly tlvs: readonly TlvEntry[];
}

function prepareBody(
  body: Uint8Array,
  options: SignOptions,
  publicKey: Key | undefined,
  compressed: Compressed = { flags: 0, tlvs: [] },
): PreparedImage {
  checkKeyPair(publicKey, options.encrypt?.key);
  const hash = chooseHash(options, publicKey);
  const version = checkedVersion(options.version);
  const endian = options.endian ?? "little";
  const entries = protectedTlvs(options, version, hash, publicKey, compressed.tlvs);
  if (tlvAreaLength(entries) > 0xffff)
    throw badOption("The protected TLVs are longer than 65535 bytes together.");
  const header = encodeHeader(
    {
      loadAddress: options.romFixed ?? options.loadAddress ?? 0,
      headerSize: options.headerSize,
      protectedSize: tlvAreaLength(entries),
      bodySize: body.length,
      flags: flagsOf(options) | compressed.flags,
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
 * An image whose body is compressed, and which says what the uncompressed image would be: its size, its hash, its
 * signature. undefined when that makes nothing smaller.
 */
async function signCompressed(
  input: Uint8Array,
  options: SignOptions,
  { kind, compress }: NonNullable<SignOptions["compression"]>,
  signer: Signer | undefined,
): Promise<SignedImage | undefined> {
  checkOptions(options);
  // imgtool would drop the flag from the outer image without a word.
  if (options.nonBootable) throw badOption("A compressed image cannot be non-bootable.");
  const body = withoutHeaderSpace(input, options);
  const inner = prepareBody(body, options, signer?.publicKey);
  const innerSigned = signer && (await signatureOf(inner, signer));
  if (innerSigned) await mustVerify(inner, innerSigned);
  const tlvs: TlvEntry[] = [
    { type: TLV.DECOMP_SIZE, value: u32Bytes(body.length, options.endian ?? "little") },
    { type: TLV.DECOMP_SHA, value: inner.digest },
    ...(innerSigned ? [{ type: TLV.DECOMP_SIGNATURE, value: padded(innerSigned, options).value }] : []),
  ];
  const packed = await compressBody(body, kind, compress);
  const added = tlvs.reduce((sum, { value }) => sum + value.length, packed.length - LZMA_SETTINGS_SIZE);
  if (added >= body.length) return undefined;
  // Encryption pads; the stream's own size is then needed to find its end.
  if (options.encrypt)
    tlvs.push({ type: TLV.COMP_DEC_SIZE, value: u32Bytes(packed.length, options.endian ?? "little") });
  const outer = prepareBody(paddedForEncryption(packed, options), options, signer?.publicKey, {
    flags: compressionFlags(kind),
    tlvs,
  });
  return finishImage(outer, options, signer && (await signatureOf(outer, signer)));
}

function signerOf({ key, signer }: SignOptions): Signer | undefined {
  if (key && signer) throw badOption("Give a key or a signer, not both.");
  return key ? keySigner(key) : signer;
}

function checkOptions(options: SignOptions): void {
  const { headerSize, slotSize, loadAddress, romFixed, bootRecord } = options;
  if (!isU(headerSize, 16) || headerSize < IMAGE_HEADER_SIZE)
    throw outOfRange(`Header size ${headerSize}: it must be between 32 and 65535.`);
  if (!isU(slotSize, 32)) throw badOption(`Slot size ${slotSize} is not a size.`);
  if (loadAddress && romFixed !== undefined)
    throw badOption(
      "A load address and a fixed ROM address exclude each other: the header has one field for both.",
    );
  if (!isU(loadAddress ?? 0, 32) || !isU(romFixed ?? 0, 32)) throw outOfRange("An address must fit 32 bits.");
  if (options.trailer && slotSize === 0)
    throw badOption(
      "A trailer stands at the end of the slot: its size (--slot-size) must be given, and not as 0.",
    );
  if (bootRecord !== undefined && bootRecord.length > MAX_SOFTWARE_TYPE)
    throw badOption(`Boot record "${bootRecord}": a software type has at most 12 characters.`);
  if (options.align !== undefined && options.align > maxAlignOf(options))
    throw badOption(
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
  return paddedForEncryption(withoutHeaderSpace(input, options), options);
}

function paddedForEncryption(body: Uint8Array, options: SignOptions): Uint8Array {
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
        hint: "Ask for a header to be put in front (padHeader, on the command line --pad-header), or leave room for it when linking.",
      },
    );
  return input.subarray(headerSize);
}

function headerPadding({ headerSize, padHeader, erasedValue }: SignOptions): Uint8Array {
  return new Uint8Array(headerSize - IMAGE_HEADER_SIZE).fill(padHeader ? (erasedValue ?? 0xff) : 0);
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
