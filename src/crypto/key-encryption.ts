import { concat, equal, fromHex } from "../bytes.js";
import { AES_128, AES_192, AES_256, type CbcCipher, DES, decryptCbc, TRIPLE_DES } from "./cbc.js";
import { DER, DerReader, der, derInteger } from "./der.js";
import { openSslKey, PKCS12_ID, pbkdf1Md5, pbkdf2Sha224, pkcs12Key, scryptKey } from "./key-derivation.js";
import { KeyError } from "./key-error.js";
import type { PemBlock } from "./pem.js";

/**
 * Private keys under a passphrase, as far as OpenSSL writes them today and wrote them once: PBES2 of RFC 8018 (PBKDF2
 * or scrypt; AES or 3DES in CBC mode), PBES1 with MD5 and DES, PKCS#12's scheme with 3DES, and the old encryption of
 * PEM blocks. RC2 is not read. Written is PBES2 with PBKDF2-HMAC-SHA256 and AES-256.
 */

const OID = {
  pbes2: fromHex("2a864886f70d01050d"),
  pbkdf2: fromHex("2a864886f70d01050c"),
  scrypt: fromHex("2b06010401da47040b"),
  md5Des: fromHex("2a864886f70d010503"),
  sha1TripleDes: fromHex("2a864886f70d010c0103"),
  hmacSha1: fromHex("2a864886f70d0207"),
  hmacSha224: fromHex("2a864886f70d0208"),
  hmacSha256: fromHex("2a864886f70d0209"),
  hmacSha384: fromHex("2a864886f70d020a"),
  hmacSha512: fromHex("2a864886f70d020b"),
  aes128Cbc: fromHex("608648016503040102"),
  aes192Cbc: fromHex("608648016503040116"),
  aes256Cbc: fromHex("60864801650304012a"),
  tripleDesCbc: fromHex("2a864886f70d0307"),
} as const;

/** Schemes of before 2000 that are not read, by their names: their ciphers are broken, and their keys often 40 bits. */
const BROKEN: readonly { readonly oid: Uint8Array; readonly name: string }[] = [
  { oid: fromHex("2a864886f70d010c0101"), name: "RC4 (128 bits)" },
  { oid: fromHex("2a864886f70d010c0102"), name: "RC4 (40 bits)" },
  { oid: fromHex("2a864886f70d010c0104"), name: "3DES with two keys" },
  { oid: fromHex("2a864886f70d010c0105"), name: "RC2 (128 bits)" },
  { oid: fromHex("2a864886f70d010c0106"), name: "RC2 (40 bits)" },
  { oid: fromHex("2a864886f70d010501"), name: "DES with MD2" },
  { oid: fromHex("2a864886f70d010504"), name: "RC2 with MD2" },
  { oid: fromHex("2a864886f70d010506"), name: "RC2 with MD5" },
  { oid: fromHex("2a864886f70d01050a"), name: "DES with SHA-1" },
  { oid: fromHex("2a864886f70d01050b"), name: "RC2 with SHA-1" },
  { oid: fromHex("2a864886f70d0302"), name: "RC2" },
  { oid: fromHex("2a864886f70d0304"), name: "RC4" },
  { oid: fromHex("2b0e030207"), name: "DES" },
];

const PRFS = [
  { oid: OID.hmacSha1, hash: "SHA-1" },
  { oid: OID.hmacSha224, hash: "SHA-224" },
  { oid: OID.hmacSha256, hash: "SHA-256" },
  { oid: OID.hmacSha384, hash: "SHA-384" },
  { oid: OID.hmacSha512, hash: "SHA-512" },
] as const;

type Prf = (typeof PRFS)[number]["hash"];

const CIPHERS: readonly { readonly oid: Uint8Array; readonly cipher: CbcCipher }[] = [
  { oid: OID.aes128Cbc, cipher: AES_128 },
  { oid: OID.aes192Cbc, cipher: AES_192 },
  { oid: OID.aes256Cbc, cipher: AES_256 },
  { oid: OID.tripleDesCbc, cipher: TRIPLE_DES },
];

/** The ciphers of OpenSSL's old PEM encryption, by their names in DEK-Info. */
const PEM_CIPHERS: Readonly<Record<string, CbcCipher>> = {
  "AES-128-CBC": AES_128,
  "AES-192-CBC": AES_192,
  "AES-256-CBC": AES_256,
  "DES-EDE3-CBC": TRIPLE_DES,
  "DES-CBC": DES,
};

/** A file may ask for any amount of work; more than these is an attempt to keep us busy. */
const MAX_ITERATIONS = 10_000_000;
/** For derivations that run in JavaScript. */
const MAX_SLOW_ITERATIONS = 500_000;
/** OpenSSL itself writes up to 32 MiB. */
const MAX_SCRYPT_MEMORY = 256 * 1024 * 1024;
/** Memory times parallelization: a few seconds. */
const MAX_SCRYPT_WORK = 4 * MAX_SCRYPT_MEMORY;
/** No salt is longer, and it goes into every derivation. */
const MAX_SALT = 1024;
/** For keys we write: OWASP's figure for PBKDF2 with HMAC-SHA256. */
const ITERATIONS = 600_000;

/** How a file is encrypted: key and initial vector out of a passphrase. */
interface Scheme {
  readonly cipher: CbcCipher;
  readonly open: (passphrase: string) => Promise<{ readonly key: Uint8Array; readonly iv: Uint8Array }>;
}

/** The PKCS#8 inside. Throws {@link KeyError} `wrong-passphrase` or `unsupported-encryption`, or `DerError`. */
export async function decryptPkcs8(bytes: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const outer = new DerReader(bytes).enter(DER.SEQUENCE, "an encrypted key");
  const { cipher, open } = readScheme(outer.enter(DER.SEQUENCE, "the encryption"));
  const encrypted = outer.read(DER.OCTET_STRING, "the encrypted key");
  const { key, iv } = await open(passphrase);
  return decryptCbc(cipher, key, iv, encrypted);
}

/** What stands in a PEM block with headers of OpenSSL's old encryption. Throws {@link KeyError}. */
export async function decryptPemBlock(
  { bytes, encryption }: PemBlock & { readonly encryption: NonNullable<PemBlock["encryption"]> },
  passphrase: string,
): Promise<Uint8Array> {
  const { iv } = encryption;
  const cipher = Object.hasOwn(PEM_CIPHERS, encryption.cipher) ? PEM_CIPHERS[encryption.cipher] : undefined;
  if (/^RC[245]-/.test(encryption.cipher)) throw isBroken(encryption.cipher);
  const known = must(cipher !== undefined && iv.length === cipher.ivLength && cipher);
  const key = openSslKey(utf8(passphrase), iv.subarray(0, 8), known.keyLength);
  return decryptCbc(known, key, iv, bytes);
}

/** PKCS#8 encrypted under a passphrase. */
export async function encryptPkcs8(pkcs8: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(16));
  const raw = await pbkdf2("SHA-256", passphrase, salt, ITERATIONS, AES_256.keyLength);
  const key = await crypto.subtle.importKey("raw", raw, "AES-CBC", false, ["encrypt"]);
  const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, pkcs8));
  return der(DER.SEQUENCE, writeScheme(salt, iv), der(DER.OCTET_STRING, encrypted));
}

async function pbkdf2(
  hash: Prf,
  passphrase: string,
  salt: Uint8Array,
  iterations: number,
  length: number,
): Promise<Uint8Array> {
  if (hash === "SHA-224") return pbkdf2Sha224(utf8(passphrase), salt, iterations, length);
  const material = await crypto.subtle.importKey("raw", utf8(passphrase), "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(
    await crypto.subtle.deriveBits({ name: "PBKDF2", hash, salt, iterations }, material, 8 * length),
  );
}

function readScheme(encryption: DerReader): Scheme {
  const oid = encryption.read(DER.OID, "the encryption");
  mustNotBeBroken(oid);
  if (equal(oid, OID.pbes2)) return readPbes2(encryption);
  const parameters = encryption.enter(DER.SEQUENCE, "the encryption's parameters");
  const salt = parameters.read(DER.OCTET_STRING, "the salt");
  const iterations = smallNumber(parameters.integer("the iterations"));
  must(salt.length > 0 && salt.length <= MAX_SALT && isCount(iterations, MAX_SLOW_ITERATIONS));
  if (equal(oid, OID.md5Des))
    return {
      cipher: DES,
      open: async (passphrase) => {
        const derived = pbkdf1Md5(utf8(passphrase), salt, iterations);
        return { key: derived.subarray(0, 8), iv: derived.subarray(8, 16) };
      },
    };
  must(equal(oid, OID.sha1TripleDes));
  return {
    cipher: TRIPLE_DES,
    open: async (passphrase) => ({
      key: pkcs12Key(passphrase, salt, iterations, { id: PKCS12_ID.key, length: TRIPLE_DES.keyLength }),
      iv: pkcs12Key(passphrase, salt, iterations, { id: PKCS12_ID.iv, length: TRIPLE_DES.ivLength }),
    }),
  };
}

function readPbes2(encryption: DerReader): Scheme {
  const parameters = encryption.enter(DER.SEQUENCE, "the encryption's parameters");
  const kdf = parameters.enter(DER.SEQUENCE, "the key derivation");
  const derivation = kdf.read(DER.OID, "the key derivation");
  const details = kdf.enter(DER.SEQUENCE, "the key derivation's parameters");
  const salt = details.read(DER.OCTET_STRING, "the salt");
  must(salt.length <= MAX_SALT);
  const derive = equal(derivation, OID.scrypt)
    ? readScrypt(details, salt)
    : readPbkdf2(derivation, details, salt);
  const scheme = parameters.enter(DER.SEQUENCE, "the cipher");
  const oid = scheme.read(DER.OID, "the cipher");
  mustNotBeBroken(oid);
  const row = must(CIPHERS.find((candidate) => equal(candidate.oid, oid)));
  const iv = scheme.read(DER.OCTET_STRING, "the initial vector");
  must(iv.length === row.cipher.ivLength);
  const { cipher } = row;
  return { cipher, open: async (passphrase) => ({ key: await derive(passphrase, cipher.keyLength), iv }) };
}

type Derive = (passphrase: string, length: number) => Promise<Uint8Array>;

function readPbkdf2(oid: Uint8Array, details: DerReader, salt: Uint8Array): Derive {
  must(equal(oid, OID.pbkdf2));
  const iterations = smallNumber(details.integer("the iterations"));
  if (details.tag === DER.INTEGER) details.integer("the key length");
  const prf = readPrf(details);
  must(isCount(iterations, prf === "SHA-224" ? MAX_SLOW_ITERATIONS : MAX_ITERATIONS));
  return (passphrase, length) => pbkdf2(prf, passphrase, salt, iterations, length);
}

/** RFC 7914, section 7. */
function readScrypt(details: DerReader, salt: Uint8Array): Derive {
  const cost = smallNumber(details.integer("the cost"));
  const blockSize = smallNumber(details.integer("the block size"));
  const parallelization = smallNumber(details.integer("the parallelization"));
  const memory = 128 * cost * blockSize;
  const isPowerOfTwo = cost > 1 && Number.isInteger(Math.log2(cost));
  must(isPowerOfTwo && blockSize >= 1 && parallelization >= 1);
  if (memory > MAX_SCRYPT_MEMORY || 128 * blockSize * parallelization > MAX_SCRYPT_MEMORY)
    throw tooMuch(`${memory} bytes of memory`, `${MAX_SCRYPT_MEMORY}`);
  if (memory * parallelization > MAX_SCRYPT_WORK)
    throw tooMuch(`${parallelization} times ${memory} bytes of scrypt`, `${MAX_SCRYPT_WORK} in all`);
  return (passphrase, length) =>
    scryptKey(utf8(passphrase), salt, { cost, blockSize, parallelization }, length);
}

function tooMuch(asked: string, limit: string): KeyError {
  return new KeyError(
    "unsupported-encryption",
    `Decrypting this key would take ${asked}; the limit is ${limit}.`,
    { hint: CONVERT },
  );
}

function readPrf(derivation: DerReader): Prf {
  // Left out means HMAC-SHA1, RFC 8018.
  if (derivation.tag === undefined) return "SHA-1";
  const oid = derivation.enter(DER.SEQUENCE, "the hash").read(DER.OID, "the hash");
  return must(PRFS.find((candidate) => equal(candidate.oid, oid))).hash;
}

function writeScheme(salt: Uint8Array, iv: Uint8Array): Uint8Array {
  const prf = der(DER.SEQUENCE, der(DER.OID, OID.hmacSha256), der(DER.NULL));
  const rounds = new Uint8Array([ITERATIONS >> 24, ITERATIONS >> 16, ITERATIONS >> 8, ITERATIONS]);
  const derivation = der(DER.SEQUENCE, der(DER.OCTET_STRING, salt), derInteger(rounds), prf);
  const kdf = der(DER.SEQUENCE, der(DER.OID, OID.pbkdf2), derivation);
  const cipher = der(DER.SEQUENCE, der(DER.OID, OID.aes256Cbc), der(DER.OCTET_STRING, iv));
  return der(DER.SEQUENCE, concat(der(DER.OID, OID.pbes2), der(DER.SEQUENCE, kdf, cipher)));
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function isCount(value: number, max: number): boolean {
  return value >= 1 && value <= max;
}

function smallNumber(digits: Uint8Array): number {
  return digits.length > 4 ? Number.POSITIVE_INFINITY : digits.reduce((sum, byte) => sum * 256 + byte, 0);
}

const CONVERT = "Convert it once: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW";

/** OpenSSL 3 reads these ciphers only when it is told to. */
const CONVERT_OLD =
  "Convert it once: openssl pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -in OLD -out NEW";

function mustNotBeBroken(oid: Uint8Array): void {
  const found = BROKEN.find((row) => equal(row.oid, oid));
  if (found) throw isBroken(found.name);
}

function isBroken(name: string): KeyError {
  return new KeyError(
    "unsupported-encryption",
    `The private key is encrypted with ${name}, which is insecure and not supported.`,
    { hint: CONVERT_OLD },
  );
}

function must<T>(known: T | false | undefined): T {
  if (known) return known;
  throw new KeyError(
    "unsupported-encryption",
    "The private key is encrypted in a way that is not supported.",
    {
      hint: CONVERT,
    },
  );
}
