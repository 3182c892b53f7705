import { BytesError, toHex } from "../bytes.js";
import {
  CURVES,
  generateRsa,
  type KeyType,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from "./algorithms.js";
import { DER, DerError, der, derInteger } from "./der.js";
import { HASHES, type HashName } from "./hashes.js";
import { decryptPkcs8, encryptPkcs8 } from "./key-encryption.js";
import { KeyError } from "./key-error.js";
import {
  decodeKey,
  encodePkcs8,
  encodePrivate,
  encodePublic,
  encodeSpki,
  fromSecret,
  type KeyParts,
  keyFormatOf,
  type PrivateFormat,
} from "./key-formats.js";
import { type PemBlock, parsePem, toPemText } from "./pem.js";

let partsOf: (key: Key) => KeyParts;

/**
 * A key, with or without its private part.
 *
 * The private part is a `#private` field: it shows up neither in `JSON.stringify` nor in what an inspector prints, and
 * no error of this room holds it. It leaves through {@link toPem}, {@link privateDer} and {@link secretOf} only.
 */
export class Key {
  readonly type: KeyType;
  /** The public key as MCUboot hashes and embeds it: PKCS#1 for RSA, SPKI for all others. */
  readonly publicDer: Uint8Array;
  readonly #parts: KeyParts;

  /** For this room only: use {@link parseKey} or {@link generateKey}. */
  constructor(parts: KeyParts) {
    this.#parts = parts;
    this.type = parts.type;
    this.publicDer = encodePublic(parts);
  }

  get isPrivate(): boolean {
    return this.#parts.secret !== undefined;
  }

  /** SHA-256 of {@link publicDer}: what a KEYHASH TLV holds, except in images hashed with SHA-384 or SHA-512. */
  get keyHash(): Uint8Array {
    return this.keyHashBy("sha256");
  }

  /** The key hash as an image with this hash algorithm carries it. */
  keyHashBy(hash: HashName): Uint8Array {
    return HASHES[hash].digest(this.publicDer);
  }

  /** The same key without its private part. */
  get publicKey(): Key {
    return new Key({ type: this.type, publicRaw: this.#parts.publicRaw });
  }

  toJSON(): { type: KeyType; keyHash: string; private: boolean } {
    return { type: this.type, keyHash: toHex(this.keyHash), private: this.isPrivate };
  }

  toString(): string {
    return `${this.type} ${this.isPrivate ? "private" : "public"} key ${toHex(this.keyHash)}`;
  }

  static {
    partsOf = (key) => key.#parts;
  }
}

/** The public part in the form the algorithms want. For this room. */
export function publicRawOf(key: Key): Uint8Array {
  return partsOf(key).publicRaw;
}

/** The private part in the form the algorithms want. For this room. Throws `no-private-part`. */
export function secretOf(key: Key): Uint8Array {
  return privatePartsOf(key).secret;
}

/** How this key signs. Throws `unsupported-key` for X25519, which does not. */
export function signatureAlgorithmOf(key: Key): SignatureAlgorithm {
  if (key.type === "x25519")
    throw new KeyError("unsupported-key", "An X25519 key encrypts images; it cannot sign them.");
  return SIGNATURE_ALGORITHMS[key.type];
}

/**
 * Reads a key: PEM or DER; PKCS#8 (also encrypted with PBES2), SPKI, SEC1, PKCS#1. From several PEM blocks the first
 * that is a key counts. Throws {@link KeyError}; `passphrase-needed` when it is encrypted and none was given.
 */
export async function parseKey(
  file: string | Uint8Array,
  options: { passphrase?: string } = {},
): Promise<Key> {
  const bytes = typeof file === "string" || looksLikePem(file) ? keyBlock(textOf(file)) : file;
  try {
    return new Key(await decode(bytes, options.passphrase));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw notAKey(error);
  }
}

/** A new key. Randomness is WebCrypto's. */
export async function generateKey(type: KeyType): Promise<Key> {
  if (type === "rsa-2048" || type === "rsa-3072")
    return new Key(decodeKey(await generateRsa(type === "rsa-2048" ? 2048 : 3072), "pkcs8"));
  return new Key(fromSecret(type, CURVES[type].generate()));
}

/** The key of a curve whose private number is known: test keys from a seed. Throws `broken-key` when out of range. */
export function keyFromSecret(type: keyof typeof CURVES, secret: Uint8Array): Key {
  return new Key(fromSecret(type, secret));
}

/**
 * A public key out of its numbers, as security modules hand it out: a point (uncompressed for ECDSA), or modulus and
 * exponent. Throws {@link KeyError}.
 */
export async function publicKeyOf(
  numbers:
    | { readonly type: keyof typeof CURVES; readonly point: Uint8Array }
    | { readonly type: "rsa"; readonly modulus: Uint8Array; readonly exponent: Uint8Array },
): Promise<Key> {
  if (numbers.type === "rsa")
    return parseKey(der(DER.SEQUENCE, derInteger(numbers.modulus), derInteger(numbers.exponent)));
  // Through its written form, which checks that the point is on its curve.
  return parseKey(encodeSpki({ type: numbers.type, publicRaw: numbers.point }));
}

/**
 * PEM text. `private`: PKCS#8, encrypted when there is a passphrase (PBES2: PBKDF2-HMAC-SHA256, AES-256-CBC);
 * `public`: SPKI. Throws `no-private-part`.
 */
export async function toPem(
  key: Key,
  part: "private" | "public",
  options: { passphrase?: string } = {},
): Promise<string> {
  if (part === "public") return toPemText("PUBLIC KEY", encodeSpki(partsOf(key)));
  const pkcs8 = encodePkcs8(privatePartsOf(key));
  if (options.passphrase === undefined) return toPemText("PRIVATE KEY", pkcs8);
  return toPemText("ENCRYPTED PRIVATE KEY", await encryptPkcs8(pkcs8, options.passphrase));
}

/**
 * The private key as a bootloader that decrypts embeds it (imgtool's `getpriv`). Throws `no-private-part`, or
 * `unsupported-format` for a type or format that no bootloader takes.
 */
export function privateDer(
  key: Key,
  options: { format?: PrivateFormat; minimal?: boolean } = {},
): Uint8Array {
  return encodePrivate(privatePartsOf(key), options);
}

function privatePartsOf(key: Key): KeyParts & { secret: Uint8Array } {
  const { secret, ...rest } = partsOf(key);
  if (!secret)
    throw new KeyError("no-private-part", `This is a public ${key.type} key: it can verify, but not sign.`, {
      hint: "Name the private key's file.",
    });
  return { ...rest, secret };
}

async function decode(bytes: Uint8Array, passphrase: string | undefined): Promise<KeyParts> {
  const format = keyFormatOf(bytes);
  if (!format) throw notAKey();
  if (format !== "encrypted-pkcs8") return decodeKey(bytes, format);
  if (passphrase === undefined)
    throw new KeyError("passphrase-needed", "The private key is encrypted: a passphrase is needed.");
  const plain = await decryptPkcs8(bytes, passphrase);
  try {
    return decodeKey(plain, "pkcs8");
  } catch (cause) {
    // A wrong passphrase can leave padding that looks right, and then no key.
    if (!(cause instanceof DerError)) throw cause;
    throw new KeyError("wrong-passphrase", "The passphrase does not open this key.");
  }
}

const KEY_LABELS = [
  "PRIVATE KEY",
  "ENCRYPTED PRIVATE KEY",
  "EC PRIVATE KEY",
  "RSA PRIVATE KEY",
  "PUBLIC KEY",
  "RSA PUBLIC KEY",
];

function keyBlock(text: string): Uint8Array {
  const blocks = pemBlocks(text);
  const block = blocks.find(({ label }) => KEY_LABELS.includes(label));
  if (!block) {
    const labels = blocks.map(({ label }) => label).join(", ");
    throw new KeyError(
      "not-a-key",
      labels ? `No key in this PEM file, only: ${labels}.` : "Not a key file.",
      {
        hint: "A key file is PEM or DER: PKCS#8, SEC1, PKCS#1 or a public key.",
      },
    );
  }
  if (block.legacyEncrypted)
    throw new KeyError("unsupported-encryption", "This key is encrypted in OpenSSL's old way.", {
      hint: "Convert it once: openssl pkcs8 -topk8 -in OLD -out NEW",
    });
  return block.bytes;
}

function pemBlocks(text: string): PemBlock[] {
  try {
    return parsePem(text);
  } catch (cause) {
    if (!(cause instanceof BytesError)) throw cause;
    // The cause stays out: it would be a step towards printing what stands in a private key's file.
    throw new KeyError("not-a-key", "This PEM file is damaged: a block is not base64.");
  }
}

function notAKey(cause?: DerError): KeyError {
  return new KeyError("not-a-key", cause ? `Not a key: ${cause.message}` : "Not a key file.", {
    hint: "A key file is PEM or DER: PKCS#8, SEC1, PKCS#1 or a public key.",
  });
}

function looksLikePem(bytes: Uint8Array): boolean {
  // DER of a key starts with a SEQUENCE; everything else is taken for text.
  return bytes[0] !== 0x30;
}

function textOf(file: string | Uint8Array): string {
  return typeof file === "string" ? file : new TextDecoder("latin1").decode(file);
}
