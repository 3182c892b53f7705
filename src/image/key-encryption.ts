import { concat, equal, fromHex } from "../bytes.js";
import { DER, DerReader, der, derInteger } from "./der.js";
import { KeyError } from "./key-error.js";

/**
 * PKCS#8 under a passphrase: PBES2 of RFC 8018 with PBKDF2 and AES-CBC, which is what imgtool and OpenSSL 1.1 and later
 * write. Older schemes (PBES1, DES) are not read.
 */

const OID = {
  pbes2: fromHex("2a864886f70d01050d"),
  pbkdf2: fromHex("2a864886f70d01050c"),
  hmacSha1: fromHex("2a864886f70d0207"),
  hmacSha256: fromHex("2a864886f70d0209"),
  hmacSha384: fromHex("2a864886f70d020a"),
  hmacSha512: fromHex("2a864886f70d020b"),
  aes128Cbc: fromHex("608648016503040102"),
  aes192Cbc: fromHex("608648016503040116"),
  aes256Cbc: fromHex("60864801650304012a"),
} as const;

const PRFS = [
  { oid: OID.hmacSha1, hash: "SHA-1" },
  { oid: OID.hmacSha256, hash: "SHA-256" },
  { oid: OID.hmacSha384, hash: "SHA-384" },
  { oid: OID.hmacSha512, hash: "SHA-512" },
] as const;

const CIPHERS = [
  { oid: OID.aes128Cbc, length: 128 },
  { oid: OID.aes192Cbc, length: 192 },
  { oid: OID.aes256Cbc, length: 256 },
] as const;

/** A file may ask for any number of rounds; more than this is an attempt to keep us busy. */
const MAX_ITERATIONS = 10_000_000;
/** For keys we write: OWASP's figure for PBKDF2 with HMAC-SHA256. */
const ITERATIONS = 600_000;

interface Scheme {
  readonly hash: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly length: number;
  readonly iv: Uint8Array;
}

/** The PKCS#8 inside. Throws {@link KeyError} `wrong-passphrase` or `unsupported-encryption`, or `DerError`. */
export async function decryptPkcs8(bytes: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const outer = new DerReader(bytes).enter(DER.SEQUENCE, "an encrypted key");
  const scheme = readScheme(outer.enter(DER.SEQUENCE, "the encryption"));
  const encrypted = outer.read(DER.OCTET_STRING, "the encrypted key");
  const key = await derive(scheme, passphrase, "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv: scheme.iv }, key, encrypted));
  } catch {
    // WebCrypto says only that the padding was wrong: with CBC that is a wrong passphrase.
    throw new KeyError("wrong-passphrase", "The passphrase does not open this key.");
  }
}

/** PKCS#8 encrypted under a passphrase. */
export async function encryptPkcs8(pkcs8: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(16));
  const scheme = { hash: "SHA-256", salt, iterations: ITERATIONS, length: 256, iv };
  const key = await derive(scheme, passphrase, "encrypt");
  const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, pkcs8));
  return der(DER.SEQUENCE, writeScheme(scheme), der(DER.OCTET_STRING, encrypted));
}

async function derive(scheme: Scheme, passphrase: string, use: "encrypt" | "decrypt") {
  const material = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(passphrase),
    "PBKDF2",
    false,
    ["deriveKey"],
  );
  const { hash, salt, iterations, length } = scheme;
  return crypto.subtle.deriveKey(
    { name: "PBKDF2", hash, salt, iterations },
    material,
    { name: "AES-CBC", length },
    false,
    [use],
  );
}

function readScheme(encryption: DerReader): Scheme {
  must(equal(encryption.read(DER.OID, "the encryption"), OID.pbes2));
  const parameters = encryption.enter(DER.SEQUENCE, "the encryption's parameters");
  const kdf = parameters.enter(DER.SEQUENCE, "the key derivation");
  must(equal(kdf.read(DER.OID, "the key derivation"), OID.pbkdf2));
  const derivation = kdf.enter(DER.SEQUENCE, "the key derivation's parameters");
  const salt = derivation.read(DER.OCTET_STRING, "the salt");
  const iterations = smallNumber(derivation.integer("the iterations"));
  if (derivation.tag === DER.INTEGER) derivation.integer("the key length");
  const cipher = parameters.enter(DER.SEQUENCE, "the cipher");
  const oid = cipher.read(DER.OID, "the cipher");
  const iv = cipher.read(DER.OCTET_STRING, "the initial vector");
  const row = CIPHERS.find((candidate) => equal(candidate.oid, oid));
  must(row !== undefined && iv.length === 16 && iterations >= 1 && iterations <= MAX_ITERATIONS);
  return { hash: readPrf(derivation), salt, iterations, length: row!.length, iv };
}

function readPrf(derivation: DerReader): string {
  // Left out means HMAC-SHA1, RFC 8018.
  if (derivation.tag === undefined) return "SHA-1";
  const oid = derivation.enter(DER.SEQUENCE, "the hash").read(DER.OID, "the hash");
  const row = PRFS.find((candidate) => equal(candidate.oid, oid));
  must(row !== undefined);
  return row!.hash;
}

function writeScheme({ salt, iterations, iv }: Scheme): Uint8Array {
  const prf = der(DER.SEQUENCE, der(DER.OID, OID.hmacSha256), der(DER.NULL));
  const rounds = new Uint8Array([iterations >> 24, iterations >> 16, iterations >> 8, iterations]);
  const derivation = der(DER.SEQUENCE, der(DER.OCTET_STRING, salt), derInteger(rounds), prf);
  const kdf = der(DER.SEQUENCE, der(DER.OID, OID.pbkdf2), derivation);
  const cipher = der(DER.SEQUENCE, der(DER.OID, OID.aes256Cbc), der(DER.OCTET_STRING, iv));
  return der(DER.SEQUENCE, concat(der(DER.OID, OID.pbes2), der(DER.SEQUENCE, kdf, cipher)));
}

function smallNumber(digits: Uint8Array): number {
  return digits.length > 4 ? Number.POSITIVE_INFINITY : digits.reduce((sum, byte) => sum * 256 + byte, 0);
}

function must(known: boolean): void {
  if (known) return;
  throw new KeyError(
    "unsupported-encryption",
    "The private key is encrypted in a way that is not read here.",
    {
      hint: "Convert it once: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW",
    },
  );
}
