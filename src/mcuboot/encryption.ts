import { concat, equalConstantTime, take } from "../bytes.js";
import { CURVES } from "../crypto/algorithms.js";
import { HASHES, type HashName, hkdf, hmac } from "../crypto/hashes.js";
import { fromSecret } from "../crypto/key-formats.js";
import { type Key, publicRawOf, secretOf } from "../crypto/keys.js";
import { unwrapAesKey, WrappingKey } from "../crypto/wrapping-key.js";
import { BootproofError } from "../errors.js";
import type { Image } from "./image.js";
import { TLV, type TlvEntry, tlvName } from "./tlv.js";

export type EncryptionErrorCode =
  /** A key of a type that content keys cannot be wrapped for, or not with this hash. */
  | "unsupported-encryption-key"
  /** The image carries no content key for a key of this type. */
  | "no-content-key"
  /** The content key was wrapped for another key. */
  | "wrong-decryption-key";

/** An image that cannot be encrypted or decrypted with the key at hand. */
export class EncryptionError extends BootproofError {
  declare readonly code: EncryptionErrorCode;
}

/** AES key of one image's body, 16 or 32 bytes. */
export type ContentKey = Uint8Array;

/** One way of wrapping a content key for a public key (docs/encrypted_images.md). */
interface Scheme {
  readonly tlv: number;
  readonly keyType: Key["type"];
  readonly hash: HashName;
  readonly wrap: (contentKey: ContentKey, publicRaw: Uint8Array) => Promise<Uint8Array>;
  /** Throws {@link EncryptionError} `wrong-decryption-key`. */
  readonly unwrap: (value: Uint8Array, secret: Uint8Array) => Promise<ContentKey>;
}

const SCHEMES: readonly Scheme[] = [
  { tlv: TLV.ENC_RSA2048, keyType: "rsa-2048", hash: "sha256", wrap: wrapRsa, unwrap: unwrapRsa },
  ecies(TLV.ENC_EC256, "ecdsa-p256", "sha256", 65),
  ecies(TLV.ENC_X25519, "x25519", "sha256", 32),
  ecies(TLV.ENC_X25519_SHA512, "x25519", "sha512", 32),
];

/** A fresh content key. */
export function generateContentKey(bits: 128 | 256): ContentKey {
  return crypto.getRandomValues(new Uint8Array(bits / 8));
}

/** The TLV with the content key, for whoever has the private part of `key`. Throws {@link EncryptionError}. */
export async function wrapContentKey(
  contentKey: ContentKey,
  key: Key,
  hash: "sha256" | "sha512" = "sha256",
): Promise<TlvEntry> {
  const scheme = SCHEMES.find((row) => row.keyType === key.type && row.hash === hash);
  if (!scheme)
    throw new EncryptionError(
      "unsupported-encryption-key",
      `Images cannot be encrypted for keys of type ${key.type}${hash === "sha256" ? "" : ` with ${HASHES[hash].label}`}.`,
      { hint: "RSA-2048, ECDSA P-256 and X25519 keys can receive images; SHA-512 goes with X25519 only." },
    );
  return { type: scheme.tlv, value: await scheme.wrap(contentKey, publicRawOf(key)) };
}

/** What opens an encrypted image: the private key it was encrypted for, or the AES key around its content key. */
export type DecryptionKey = Key | WrappingKey;

/** The content key of an image, unwrapped with a private key. Throws {@link EncryptionError}. */
export async function unwrapContentKey(image: Pick<Image, "tlvs">, key: DecryptionKey): Promise<ContentKey> {
  if (key instanceof WrappingKey) return unwrapWithAes(image, key);
  for (const { type, value } of image.tlvs) {
    const scheme = SCHEMES.find((row) => row.tlv === type && row.keyType === key.type);
    if (scheme) return scheme.unwrap(value, secretOf(key));
  }
  throw new EncryptionError("no-content-key", `The image carries no content key for a ${key.type} key.`);
}

async function unwrapWithAes({ tlvs }: Pick<Image, "tlvs">, key: WrappingKey): Promise<ContentKey> {
  const tlv = tlvs.find(({ type }) => type === TLV.ENC_KW);
  if (!tlv)
    throw new EncryptionError("no-content-key", "The image carries no content key wrapped with an AES key.");
  const content = await unwrapAesKey(tlv.value, key);
  // Of the lengths that can be wrapped only these two are AES keys that images use.
  if (content?.length === 16 || content?.length === 32) return content;
  throw wrongKey(TLV.ENC_KW);
}

/** AES-CTR from block 0: the same call encrypts and decrypts. The key is used once only, so the nonce can be zero. */
export async function cryptBody(contentKey: ContentKey, body: Uint8Array): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", contentKey, "AES-CTR", false, ["encrypt"]);
  const parameters = { name: "AES-CTR", counter: new Uint8Array(16), length: 128 };
  return new Uint8Array(await crypto.subtle.encrypt(parameters, key, body));
}

/**
 * What hash and signature of an encrypted image cover: header, decrypted body, protected TLVs.
 *
 * @param image - encrypted
 * @param key - the private key that it was encrypted for, or the AES key around its content key
 * @returns as long as `hashedRange`
 * @throws EncryptionError for another key
 */
export async function decryptRange(image: Image, key: DecryptionKey): Promise<Uint8Array> {
  const { headerSize, bodySize } = image.header;
  const plain = await cryptBody(await unwrapContentKey(image, key), image.body);
  const range = image.hashedRange;
  return concat(range.subarray(0, headerSize), plain, range.subarray(headerSize + bodySize));
}

const INFO = new TextEncoder().encode("MCUBoot_ECIES_v1");

/** Value: ephemeral public key, tag, encrypted content key. */
function ecies(tlv: number, keyType: "ecdsa-p256" | "x25519", hash: HashName, pointLength: number): Scheme {
  const curve = CURVES[keyType];
  const tagLength = HASHES[hash].length;
  const keysFor = (secret: Uint8Array, point: Uint8Array, length: number) => {
    const derived = hkdf(hash, curve.agree!(secret, point), INFO, length + tagLength);
    return { cipherKey: derived.subarray(0, length), tagKey: derived.subarray(length) };
  };
  return {
    tlv,
    keyType,
    hash,
    async wrap(contentKey, publicRaw) {
      const ephemeral = fromSecret(keyType, curve.generate());
      const { cipherKey, tagKey } = keysFor(ephemeral.secret, publicRaw, contentKey.length);
      const encrypted = await cryptBody(cipherKey, contentKey);
      return concat(ephemeral.publicRaw, hmac(hash, tagKey, encrypted), encrypted);
    },
    async unwrap(value, secret) {
      const length = value.length - pointLength - tagLength;
      if (length !== 16 && length !== 32) throw wrongKey(tlv);
      const point = take(value, 0, pointLength);
      if (!curve.readPublic(point)) throw wrongKey(tlv);
      const { cipherKey, tagKey } = keysFor(secret, point, length);
      const encrypted = take(value, pointLength + tagLength, length);
      // The tag first: only then is it known that the key was meant for us.
      if (!equalConstantTime(hmac(hash, tagKey, encrypted), take(value, pointLength, tagLength)))
        throw wrongKey(tlv);
      return cryptBody(cipherKey, encrypted);
    },
  };
}

const OAEP = { name: "RSA-OAEP", hash: "SHA-256" } as const;

async function wrapRsa(contentKey: ContentKey, publicRaw: Uint8Array): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("spki", publicRaw, OAEP, false, ["encrypt"]);
  return new Uint8Array(await crypto.subtle.encrypt(OAEP, key, contentKey));
}

async function unwrapRsa(value: Uint8Array, secret: Uint8Array): Promise<ContentKey> {
  const key = await crypto.subtle.importKey("pkcs8", secret, OAEP, false, ["decrypt"]);
  try {
    const contentKey = new Uint8Array(await crypto.subtle.decrypt(OAEP, key, value));
    if (contentKey.length === 16 || contentKey.length === 32) return contentKey;
  } catch {
    // WebCrypto gives no reason on purpose; with OAEP it is another key or a damaged TLV.
  }
  throw wrongKey(TLV.ENC_RSA2048);
}

function wrongKey(tlv: number): EncryptionError {
  return new EncryptionError(
    "wrong-decryption-key",
    `The content key in ${tlvName(tlv)} was not wrapped for this key, or is damaged.`,
  );
}
