import { concat, equal, isFilledWith } from "../bytes.js";
import { HASHES, type HashAlgorithm } from "../crypto/hashes.js";
import { type Key, publicRawOf, signatureAlgorithmOf } from "../crypto/keys.js";
import type { Signer } from "../crypto/signer.js";
import { isPure } from "./checks.js";
import { HASH_TLVS, isSignatureTlv, SIGNATURE_TLVS } from "./crypto-tlvs.js";
import { type DecryptionKey, decryptRange } from "./encryption.js";
import { IMAGE_F } from "./header.js";
import { hashAlgorithmOf, type Image, parseImage } from "./image.js";
import { SignError } from "./sign-error.js";
import { buildTlvArea, TLV, TLV_INFO_MAGIC, type Tlv, type TlvEntry } from "./tlv.js";

export interface ResignOptions {
  /** Keep the signatures that are there: the image is then good for boards with any of the keys. */
  readonly add?: boolean;
  readonly publicKeyFormat?: "hash" | "full";
  /** Of an encrypted image, whose signature is over plaintext. */
  readonly decryptionKey?: DecryptionKey;
}

/**
 * An image as it is, under another signature: header, body and protected TLVs stay, and so does the trailer of a
 * file that was filled up.
 *
 * @param bytes - an image, or a file that begins with one
 * @param signer - whose signature it will have
 * @param options - `add` keeps the signatures that are there; `decryptionKey` for encrypted images
 * @returns the file as it was but for its unprotected TLVs
 * @throws {@link SignError} where the old signature's key is part of what is signed
 *
 * @example
 * ```ts
 * import { generateKey, signImage, verifyImage } from "bootproof";
 * import { resignImage } from "bootproof/mcuboot";
 * import { keySigner } from "bootproof/crypto";
 * const [old, next] = [await generateKey("ed25519"), await generateKey("ed25519")];
 * const options = { version: "1.0.0", headerSize: 32, padHeader: true, slotSize: 0x8000 };
 * const { image } = await signImage(new Uint8Array(512), { key: old, ...options });
 * // For boards that trust either key, while keys change:
 * const both = await resignImage(image, keySigner(next), { add: true });
 * for (const { publicKey } of [old, next]) {
 *   const { result } = await verifyImage(both, { keys: [publicKey] });
 *   if (result !== "good") throw new Error(result);
 * }
 * ```
 */
export async function resignImage(
  bytes: Uint8Array,
  signer: Signer,
  options: ResignOptions = {},
): Promise<Uint8Array> {
  const image = parseImage(bytes);
  mustNotHoldOldKey(image);
  const range = await plainRange(image, options);
  const hash = hashFor(image, signer.publicKey, options);
  const digest = hash.digest(range);
  const signature = await signed(image, range, digest, hash, signer);
  const kept = image.tlvs.filter((tlv) => !tlv.protected);
  const entries: TlvEntry[] = [
    { type: HASH_TLVS[hash.name], value: digest },
    ...(isPure(image) ? [{ type: TLV.SIG_PURE, value: Uint8Array.of(1) }] : []),
    ...(options.add ? kept.filter(isSigning) : []),
    keyTlv(signer.publicKey, hash, options),
    { type: SIGNATURE_TLVS[signatureAlgorithmOf(signer.publicKey).keyType], value: signature },
    ...kept.filter((tlv) => !isSigning(tlv) && !isIdentity(tlv)),
  ];
  const renewed = concat(image.hashedRange, buildTlvArea(TLV_INFO_MAGIC, entries, image.endian));
  return intoFile(bytes, image.size, renewed);
}

/** What the old key stands inside of cannot just be kept. */
function mustNotHoldOldKey(image: Image): void {
  if (image.tlvs.some(({ type }) => type === TLV.BOOT_RECORD))
    throw new SignError(
      "key-mismatch",
      "The image has a boot record, which holds the hash of the key that signed it.",
      {
        hint: "Sign the original body with the other key.",
      },
    );
  if ((image.header.flags & IMAGE_F.COMPRESSED_LZMA2) !== 0)
    throw new SignError("key-mismatch", "A compressed image holds a second signature inside.", {
      hint: "Sign the original body with the other key.",
    });
}

async function plainRange(image: Image, { decryptionKey }: ResignOptions): Promise<Uint8Array> {
  const { hashedRange, imageHash } = image;
  const isPlain = imageHash && equal(hashAlgorithmOf(image).digest(hashedRange), imageHash.value);
  if (!image.encrypted || isPlain) return hashedRange;
  if (decryptionKey) return decryptRange(image, decryptionKey);
  throw new SignError(
    "key-mismatch",
    "The image is encrypted and its signature is over what it decrypts to.",
    {
      hint: "Give the private key that decrypts it.",
    },
  );
}

/** The image's own hash where the key goes with it; only without other signatures may it change. */
function hashFor(image: Image, key: Key, { add }: ResignOptions): HashAlgorithm {
  const { hashes, keyType, mayBePure } = signatureAlgorithmOf(key);
  const own = hashAlgorithmOf(image);
  if (isPure(image) && !mayBePure)
    throw new SignError(
      "key-mismatch",
      `The image is made for a pure signature, which a ${keyType} key cannot give.`,
    );
  if (hashes.includes(own.name)) return own;
  if (!add) return HASHES[hashes[0]!];
  throw new SignError(
    "key-mismatch",
    `The image carries ${own.label}, which a ${keyType} key does not use: both signatures cannot be in one image.`,
  );
}

async function signed(
  image: Image,
  range: Uint8Array,
  digest: Uint8Array,
  hash: HashAlgorithm,
  signer: Signer,
): Promise<Uint8Array> {
  const { publicKey } = signer;
  const algorithm = signatureAlgorithmOf(publicKey);
  const pure = isPure(image);
  const signature = await signer.sign({ algorithm, hash: hash.name, range, digest, pure });
  if (await algorithm.verify(publicRawOf(publicKey), { range, digest, pure }, signature)) return signature;
  throw new SignError(
    "signer-bad-signature",
    `The signature was not made by this ${publicKey.type} key over this image.`,
  );
}

function keyTlv(key: Key, hash: HashAlgorithm, { publicKeyFormat }: ResignOptions): TlvEntry {
  return publicKeyFormat === "full"
    ? { type: TLV.PUBKEY, value: key.publicDer }
    : { type: TLV.KEYHASH, value: key.keyHashBy(hash.name) };
}

/** Belongs to a signature: the key's name, or the signature. */
function isSigning({ type }: Tlv): boolean {
  return type === TLV.KEYHASH || type === TLV.PUBKEY || isSignatureTlv(type);
}

/** Written anew in front of the signatures. */
function isIdentity({ type }: Tlv): boolean {
  return type === TLV.SIG_PURE || type === TLV.SHA256 || type === TLV.SHA384 || type === TLV.SHA512;
}

/** The file with its image replaced. What follows the image must be empty space as far as the new one is longer. */
function intoFile(bytes: Uint8Array, oldSize: number, renewed: Uint8Array): Uint8Array {
  if (bytes.length === oldSize) return renewed;
  const fill = bytes[oldSize]!;
  const grown = bytes.subarray(oldSize, Math.max(oldSize, renewed.length));
  if (renewed.length > bytes.length || !isFilledWith(grown, fill))
    throw new SignError("slot-too-small", "There is no room after the image for a longer signature.");
  const file = bytes.slice();
  file.fill(fill, 0, Math.max(oldSize, renewed.length));
  file.set(renewed);
  return file;
}
