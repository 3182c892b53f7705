import { concat, equal, isFilledWith } from "../bytes.js";
import { isSignatureTlv } from "./algorithms.js";
import { isPure } from "./checks.js";
import { type DecryptionKey, decryptRange } from "./encryption.js";
import { HASHES, type HashAlgorithm } from "./hashes.js";
import { IMAGE_F } from "./header.js";
import { hashAlgorithmOf, type Image, parseImage } from "./image.js";
import { type Key, publicRawOf, signatureAlgorithmOf } from "./keys.js";
import type { Signer } from "./sign.js";
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
 * An image as it is, under another signature: header, body and protected TLVs stay, and so does the trailer of a file
 * that was filled up. Throws {@link SignError} where the old signature's key is part of what is signed.
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
    { type: hash.tlv, value: digest },
    ...(isPure(image) ? [{ type: TLV.SIG_PURE, value: Uint8Array.of(1) }] : []),
    ...(options.add ? kept.filter(isSigning) : []),
    keyTlv(signer.publicKey, hash, options),
    { type: signatureAlgorithmOf(signer.publicKey).tlv, value: signature },
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
        hint: "Sign the body anew with the other key.",
      },
    );
  if ((image.header.flags & IMAGE_F.COMPRESSED_LZMA2) !== 0)
    throw new SignError("key-mismatch", "A compressed image holds a second signature inside.", {
      hint: "Sign the body anew with the other key.",
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
  const { hashes, keyType } = signatureAlgorithmOf(key);
  const own = hashAlgorithmOf(image);
  if (isPure(image) && keyType !== "ed25519")
    throw new SignError(
      "key-mismatch",
      `The image is made for a pure signature, which a ${keyType} key cannot give.`,
    );
  if (hashes.includes(own.name)) return own;
  if (!add) return HASHES[hashes[0]!];
  throw new SignError(
    "key-mismatch",
    `The image carries ${own.label}, which does not go with a ${keyType} key: both signatures cannot be in one image.`,
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
    "bad-signature",
    `The signature is not one of this ${publicKey.type} key over this image.`,
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
    throw new SignError("too-large", "There is no room behind the image for a longer signature.");
  const file = bytes.slice();
  file.fill(fill, 0, Math.max(oldSize, renewed.length));
  file.set(renewed);
  return file;
}
