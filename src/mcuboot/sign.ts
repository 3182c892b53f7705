import { concat, isFilledWith, u32Bytes } from "../bytes.js";
import type { HashAlgorithm } from "../crypto/hashes.js";
import { type Key, publicRawOf, signatureAlgorithmOf } from "../crypto/keys.js";
import { keySigner, type Signer } from "../crypto/signer.js";
import { compressBody, compressionFlags, LZMA_SETTINGS_SIZE } from "./compression.js";
import { HASH_TLVS, SIGNATURE_TLVS } from "./crypto-tlvs.js";
import { cryptBody, generateContentKey, wrapContentKey } from "./encryption.js";
import { encodeHeader, IMAGE_HEADER_SIZE } from "./header.js";
import { protectedTlvs } from "./protected-tlvs.js";
import { badOption, SignError } from "./sign-error.js";
import type { SignOptions } from "./sign-options.js";
import { plannedHash, type SigningPlan, signingPlan } from "./signing-plan.js";
import { checkFits, withTrailer } from "./slot-padding.js";
import {
  buildTlvArea,
  TLV,
  TLV_INFO_MAGIC,
  TLV_PROT_INFO_MAGIC,
  type TlvEntry,
  tlvAreaLength,
} from "./tlv.js";

export { SignError, type SignErrorCode } from "./sign-error.js";
export type { EncryptOptions, SignOptions } from "./sign-options.js";

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
  /** By which it is finished. */
  readonly plan: SigningPlan;
  /** Bytes of the body in `range`, with padding for encryption. */
  readonly bodySize: number;
  readonly range: Uint8Array;
  readonly digest: Uint8Array;
  readonly hash: HashAlgorithm;
  readonly pure: boolean;
}

/**
 * Makes an MCUboot image of a body, byte for byte as imgtool does; ECDSA signatures have nonces by RFC 6979, so that
 * only RSA differs from run to run.
 *
 * @param body - the firmware, with room for the header when `padHeader` is not set
 * @param options - sizes in bytes; `version` as `major.minor.revision+build`
 * @returns the file with padding and trailer where asked for, the image alone, and its hash
 * @throws SignError, VersionError, KeyError
 *
 * @example
 * ```ts
 * import { generateKey, signImage, verifyImage } from "bootproof";
 * const key = await generateKey("ecdsa-p256");
 * const { image } = await signImage(new Uint8Array(2048), {
 *   key,
 *   version: "2.0.0",
 *   securityCounter: 7,
 *   headerSize: 0x200,
 *   padHeader: true,
 *   slotSize: 0x20000,
 * });
 * const verdict = await verifyImage(image, { keys: [key.publicKey] });
 * if (verdict.result !== "good") throw new Error("an image that does not verify");
 * ```
 */
export async function signImage(body: Uint8Array, options: SignOptions): Promise<SignedImage> {
  const { key, signer, ...rest } = options;
  if (key && signer) throw badOption("Give a key or a signer, not both.");
  return signByPlan(body, signingPlan(rest), key ? keySigner(key) : signer);
}

/**
 * As {@link signImage}, by a plan that was made before.
 *
 * @param body - the firmware, with room for the header where the plan adds none
 * @param plan - by `signingPlan`
 * @param signer - undefined: an image with a hash only
 * @returns the image, with padding and trailer where the plan asks for them
 * @throws SignError, KeyError; what the signer throws
 */
export async function signByPlan(body: Uint8Array, plan: SigningPlan, signer?: Signer): Promise<SignedImage> {
  const compressed = plan.compression && (await signCompressed(body, plan, plan.compression, signer));
  if (compressed) return compressed;
  const prepared = prepareImage(body, plan, signer?.publicKey);
  return finishImage(prepared, signer && (await signatureOf(prepared, signer)));
}

/** A signature, wherever it was made, and whose it shall be. */
export interface MadeSignature {
  readonly publicKey: Key;
  readonly signature: Uint8Array;
}

async function signatureOf(prepared: PreparedImage, signer: Signer): Promise<MadeSignature> {
  const { range, digest, hash, pure } = prepared;
  const { publicKey } = signer;
  const algorithm = signatureAlgorithmOf(publicKey);
  return { publicKey, signature: await signer.sign({ algorithm, hash: hash.name, range, digest, pure }) };
}

/**
 * Header, body and protected TLVs with their hash: all that a signature covers.
 *
 * @param body - the firmware, with room for the header where the plan adds none
 * @param plan - by `signingPlan`
 * @param publicKey - of whoever will sign, where that is known: it decides about the hash
 * @returns to have signed wherever the key is, then {@link finishImage}
 * @throws SignError `no-header-space`, `key-mismatch`, `bad-option`
 */
export function prepareImage(body: Uint8Array, plan: SigningPlan, publicKey?: Key): PreparedImage {
  return prepareBody(paddedForEncryption(withoutHeaderSpace(body, plan), plan), plan, publicKey);
}

/** What compression adds to an image. */
interface Compressed {
  readonly flags: number;
  readonly tlvs: readonly TlvEntry[];
}

function prepareBody(
  body: Uint8Array,
  plan: SigningPlan,
  publicKey: Key | undefined,
  compressed: Compressed = { flags: 0, tlvs: [] },
): PreparedImage {
  const { endian, header } = plan;
  const hash = plannedHash(plan, publicKey);
  const entries = protectedTlvs(plan, hash, publicKey, compressed.tlvs);
  const protectedSize = tlvAreaLength(entries);
  if (protectedSize > 0xffff) throw badOption("The protected TLVs are longer than 65535 bytes together.");
  const fields = {
    loadAddress: header.address,
    headerSize: header.size,
    protectedSize,
    bodySize: body.length,
    flags: header.flags | compressed.flags,
    version: header.version,
    pad: 0,
  };
  const range = concat(
    encodeHeader(fields, endian),
    new Uint8Array(header.size - IMAGE_HEADER_SIZE).fill(header.filler),
    body,
    buildTlvArea(TLV_PROT_INFO_MAGIC, entries, endian),
  );
  const pure = plan.signature.isPure;
  return { plan, range, bodySize: body.length, digest: hash.digest(range), hash, pure };
}

/**
 * Adds the unprotected TLVs with a signature, wherever it was made, then padding and trailer.
 *
 * @param prepared - by {@link prepareImage}
 * @param signed - the signature in the form that images carry, and the key it must verify with; undefined: a hash
 *   only
 * @returns the file with padding and trailer where the plan asks for them
 * @throws SignError `signer-bad-signature` for a signature that does not verify: it never gets into an image;
 *   `slot-too-small`
 */
export async function finishImage(prepared: PreparedImage, signed?: MadeSignature): Promise<SignedImage> {
  const { plan, hash, digest } = prepared;
  if (signed) await mustVerify(prepared, signed);
  const entries: TlvEntry[] = [{ type: HASH_TLVS[hash.name], value: digest }];
  if (prepared.pure) entries.push({ type: TLV.SIG_PURE, value: Uint8Array.of(1) });
  const signature = signed && padded(signed, plan);
  // The bootloader takes TLVs in order: the key must be known before its signature comes.
  if (signed && signature) entries.push(keyTlv(signed.publicKey, hash, plan), signature);
  const { range, tlv } = await encrypted(prepared);
  if (tlv) entries.push(tlv);
  const image = concat(range, buildTlvArea(TLV_INFO_MAGIC, entries, plan.endian));
  checkFits(image.length, plan.slot, tlv?.value.length);
  return {
    bytes: plan.slot.trailer ? withTrailer(image, plan.slot) : image,
    image,
    imageHash: digest,
    ...(signature && { signature: signature.value }),
  };
}

/**
 * An image whose body is compressed, and which says what the uncompressed image would be: its size, its hash, its
 * signature. undefined when that makes nothing smaller.
 */
async function signCompressed(
  input: Uint8Array,
  plan: SigningPlan,
  { kind, compress }: NonNullable<SigningPlan["compression"]>,
  signer: Signer | undefined,
): Promise<SignedImage | undefined> {
  const body = withoutHeaderSpace(input, plan);
  const inner = prepareBody(body, plan, signer?.publicKey);
  const innerSigned = signer && (await signatureOf(inner, signer));
  if (innerSigned) await mustVerify(inner, innerSigned);
  const tlvs: TlvEntry[] = [
    { type: TLV.DECOMP_SIZE, value: u32Bytes(body.length, plan.endian) },
    { type: TLV.DECOMP_SHA, value: inner.digest },
    ...(innerSigned ? [{ type: TLV.DECOMP_SIGNATURE, value: padded(innerSigned, plan).value }] : []),
  ];
  const packed = await compressBody(body, kind, compress);
  const added = tlvs.reduce((sum, { value }) => sum + value.length, packed.length - LZMA_SETTINGS_SIZE);
  if (added >= body.length) return undefined;
  // Encryption pads; the stream's own size is then needed to find its end.
  if (plan.encryption) tlvs.push({ type: TLV.COMP_DEC_SIZE, value: u32Bytes(packed.length, plan.endian) });
  const flags = compressionFlags(kind);
  const outer = prepareBody(paddedForEncryption(packed, plan), plan, signer?.publicKey, { flags, tlvs });
  return finishImage(outer, signer && (await signatureOf(outer, signer)));
}

function paddedForEncryption(body: Uint8Array, { encryption, header }: SigningPlan): Uint8Array {
  if (!encryption) return body;
  // AES blocks are counted from the body's start, but imgtool pads header and body together to whole ones.
  return concat(body, new Uint8Array(-(header.size + body.length) & 15));
}

function withoutHeaderSpace(input: Uint8Array, { header }: SigningPlan): Uint8Array {
  const { size, isAdded } = header;
  if (isAdded) return input;
  if (input.length >= size && isFilledWith(input.subarray(0, size), 0)) return input.subarray(size);
  throw new SignError("no-header-space", `The input does not begin with ${size} zero bytes for a header.`, {
    hint: "Add a header (padHeader, on the command line --pad-header), or leave room for it when linking.",
  });
}

async function mustVerify(prepared: PreparedImage, { publicKey, signature }: MadeSignature): Promise<void> {
  if (await signatureAlgorithmOf(publicKey).verify(publicRawOf(publicKey), prepared, signature)) return;
  throw new SignError(
    "signer-bad-signature",
    `The signature was not made by this ${publicKey.type} key over this image.`,
    {
      hint: "It was made over other bytes, with another key, or the bytes were exported with other options.",
    },
  );
}

/** The range with its body encrypted, and the TLV that says how; unchanged when no encryption is asked for. */
async function encrypted({
  plan,
  range,
  bodySize,
}: PreparedImage): Promise<{ range: Uint8Array; tlv?: TlvEntry }> {
  const { encryption } = plan;
  if (!encryption) return { range };
  const contentKey = generateContentKey(encryption.keyLength);
  const tlv = await wrapContentKey(contentKey, encryption.key, encryption.hash);
  if (encryption.clear) return { range, tlv };
  const start = plan.header.size;
  const end = start + bodySize;
  const body = await cryptBody(contentKey, range.subarray(start, end));
  return { range: concat(range.subarray(0, start), body, range.subarray(end)), tlv };
}

function keyTlv(publicKey: Key, hash: HashAlgorithm, { signature }: SigningPlan): TlvEntry {
  return signature.publicKeyFormat === "full"
    ? { type: TLV.PUBKEY, value: publicKey.publicDer }
    : { type: TLV.KEYHASH, value: publicKey.keyHashBy(hash.name) };
}

function padded({ publicKey, signature }: MadeSignature, plan: SigningPlan): TlvEntry {
  const { keyType, padTo } = signatureAlgorithmOf(publicKey);
  const missing = plan.signature.isPadded && padTo ? Math.max(0, padTo - signature.length) : 0;
  return { type: SIGNATURE_TLVS[keyType], value: concat(signature, new Uint8Array(missing)) };
}
