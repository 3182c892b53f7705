import { BytesError, toHex } from "../bytes.js";
import {
  CURVES,
  canSign,
  generateRsa,
  type KeyType,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from "./algorithms.js";
import { wrongPassphrase } from "./cbc.js";
import { DER, DerError, der, derInteger } from "./der.js";
import { HASHES, type HashName } from "./hashes.js";
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

/** Only for keys under a passphrase, which most are not. */
const keyEncryption = () => import("./key-encryption.js");

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

/**
 * The public part in the form the algorithms want. For this room.
 *
 * @param key - any
 * @returns a point for curves (ECDSA uncompressed), SubjectPublicKeyInfo (DER) for RSA
 */
export function publicRawOf(key: Key): Uint8Array {
  return partsOf(key).publicRaw;
}

/**
 * The private part in the form the algorithms want. For this room.
 *
 * @param key - with its private part
 * @returns seed or scalar for curves, PKCS#8 (DER) for RSA
 * @throws `no-private-part`
 */
export function secretOf(key: Key): Uint8Array {
  return privatePartsOf(key).secret;
}

/**
 * How this key signs.
 *
 * @param key - public or private
 * @returns its row of {@link SIGNATURE_ALGORITHMS}
 * @throws `unsupported-key` for X25519, which does not
 */
export function signatureAlgorithmOf(key: Key): SignatureAlgorithm {
  if (!canSign(key.type))
    throw new KeyError("unsupported-key", "An X25519 key encrypts images; it cannot sign them.");
  return SIGNATURE_ALGORITHMS[key.type];
}

/**
 * Reads a key in every form that Python's cryptography, and so imgtool, reads, but for RC2 encryption: PEM or DER; PKCS#8
 * (also encrypted), SPKI, SEC1, PKCS#1; PEM also with a byte order mark, on one line, or with blanks for its line ends.
 * From several PEM blocks the first private key counts, else the first public one.
 *
 * @param file - PEM text, or the bytes of a PEM or DER file
 * @param options - `passphrase` of an encrypted file
 * @returns the key, with its private part where the file has it
 * @throws KeyError; `passphrase-needed` when it is encrypted and none was given
 *
 * @example
 * ```ts
 * import { generateKey, parseKey } from "bootproof";
 * import { toPem } from "bootproof/crypto";
 * const key = await generateKey("ed25519");
 * const pem = await toPem(key, "private", { passphrase: "correct horse" });
 * const again = await parseKey(pem, { passphrase: "correct horse" });
 * if (again.type !== "ed25519" || !again.isPrivate) throw new Error("another key");
 * ```
 */
export async function parseKey(
  file: string | Uint8Array,
  options: { passphrase?: string } = {},
): Promise<Key> {
  try {
    const text = pemTextOf(file);
    const bytes = text === undefined ? (file as Uint8Array) : await keyBlock(text, options.passphrase);
    return new Key(await decode(bytes, options.passphrase));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw notAKey(error);
  }
}

/**
 * A new key. Randomness is WebCrypto's.
 *
 * @param type - RSA by its length in bits, ECDSA by its curve; `x25519` keys encrypt images, they do not sign
 * @returns with its private part
 */
export async function generateKey(type: KeyType): Promise<Key> {
  if (type === "rsa-2048" || type === "rsa-3072")
    return new Key(decodeKey(await generateRsa(type === "rsa-2048" ? 2048 : 3072), "pkcs8"));
  return new Key(fromSecret(type, CURVES[type].generate()));
}

/**
 * The key of a curve whose private number is known: test keys from a seed.
 *
 * @param type - its curve
 * @param secret - 32 bytes, big-endian for ECDSA; 48 for P-384
 * @returns with its private part
 * @throws KeyError `broken-key` when the number is out of range
 */
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
 * `public`: SPKI.
 *
 * @param key - with its private part for `private`
 * @param part - which half to write
 * @param options - `passphrase` encrypts a private key
 * @returns PEM text with a line feed at its end
 * @throws `no-private-part`
 */
export async function toPem(
  key: Key,
  part: "private" | "public",
  options: { passphrase?: string } = {},
): Promise<string> {
  if (part === "public") return toPemText("PUBLIC KEY", encodeSpki(partsOf(key)));
  const pkcs8 = encodePkcs8(privatePartsOf(key));
  if (options.passphrase === undefined) return toPemText("PRIVATE KEY", pkcs8);
  return toPemText(
    "ENCRYPTED PRIVATE KEY",
    await (await keyEncryption()).encryptPkcs8(pkcs8, options.passphrase),
  );
}

/**
 * The private key as a bootloader that decrypts embeds it (imgtool's `getpriv`).
 *
 * @param key - with its private part
 * @param options - `format` as imgtool names it; `minimal` leaves out what the bootloader does not read
 * @returns the key, DER
 * @throws `no-private-part`, or `unsupported-format` for a type or format that no bootloader takes
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
      hint: "Give the private key file.",
    });
  return { ...rest, secret };
}

async function decode(bytes: Uint8Array, passphrase: string | undefined): Promise<KeyParts> {
  const format = keyFormatOf(bytes);
  if (!format) throw notAKey();
  if (format !== "encrypted-pkcs8") return decodeKey(bytes, format);
  return decodeDecrypted(await (await keyEncryption()).decryptPkcs8(bytes, needed(passphrase)));
}

/** A wrong passphrase can leave padding that looks right, and then no key. */
function decodeDecrypted(plain: Uint8Array): KeyParts {
  try {
    return decodeKey(plain, "pkcs8");
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause;
    throw wrongPassphrase();
  }
}

function needed(passphrase: string | undefined): string {
  if (passphrase !== undefined) return passphrase;
  throw new KeyError("passphrase-needed", "The private key is encrypted: a passphrase is needed.");
}

/** Labels of keys, in the order in which imgtool looks for them. */
const KEY_LABELS = [
  ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"],
  ["PUBLIC KEY", "RSA PUBLIC KEY"],
] as const;

/** The DER of the block that holds the key, out of its old encryption if it has one. */
async function keyBlock(text: string, passphrase: string | undefined): Promise<Uint8Array> {
  const blocks = pemBlocks(text);
  const block = KEY_LABELS.map((labels: readonly string[]) =>
    blocks.find(({ label }) => labels.includes(label)),
  ).find((found) => found !== undefined);
  if (!block) {
    const labels = blocks.map(({ label }) => label).join(", ");
    throw new KeyError(
      "not-a-key",
      labels ? `No key in this PEM file, only: ${labels}.` : "Not a key file.",
      { hint: KEY_FORMS },
    );
  }
  const { encryption } = block;
  if (!encryption) return block.bytes;
  const plain = await (await keyEncryption()).decryptPemBlock({ ...block, encryption }, needed(passphrase));
  if (!isKey(plain)) throw wrongPassphrase();
  return plain;
}

function isKey(bytes: Uint8Array): boolean {
  try {
    return keyFormatOf(bytes) !== undefined;
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause;
    return false;
  }
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

const KEY_FORMS = "A key file is PEM or DER: PKCS#8, SEC1, PKCS#1 or a public key.";

function notAKey(cause?: DerError): KeyError {
  return new KeyError("not-a-key", cause ? `Not a key: ${cause.message}` : "Not a key file.", {
    hint: KEY_FORMS,
  });
}

/** A bundle of every certificate authority has this order of size; a key has a few thousand bytes. */
const LARGEST_KEY_FILE = 512 * 1024;

/** The text of a PEM file; undefined for DER. Throws {@link KeyError} for what is too large to be a key. */
function pemTextOf(file: string | Uint8Array): string | undefined {
  if (file.length > LARGEST_KEY_FILE)
    throw new KeyError("not-a-key", `Not a key file: ${file.length} bytes are more than any key has.`, {
      hint: KEY_FORMS,
    });
  if (typeof file === "string") return file;
  const [first, second] = file;
  // Notepad's and PowerShell's "Unicode".
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(file);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(file);
  const text = new TextDecoder("latin1").decode(file);
  // DER of a key starts with a SEQUENCE, which is also the digit zero; everything else is taken for text.
  return first === 0x30 && !text.includes("-----BEGIN ") ? undefined : text;
}
