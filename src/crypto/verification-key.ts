import { equal, fromHex } from "../bytes.js";
import { DER, DerError, DerReader, der, derBits, derInteger } from "./der.js";
import { HASHES } from "./hashes.js";
import { KeyError } from "./key-error.js";
import { type Key, parseKey, toPem } from "./keys.js";
import { parsePem } from "./pem.js";

/**
 * Public keys that vouch for files around an image: artifacts, boot metadata. RSA of any usual size and P-256; MCUboot's
 * own keys, of which fewer kinds exist, are in `Key`.
 */
export type VerificationKey = RsaVerificationKey | EcVerificationKey;

interface KeyFacts {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** SHA-256 of `spki`. */
  readonly fingerprint: Uint8Array;
}

export interface RsaVerificationKey extends KeyFacts {
  readonly type: "rsa";
  readonly bits: number;
  /** Big-endian, without leading zeros; the exponent too. */
  readonly modulus: Uint8Array;
  readonly exponent: Uint8Array;
}

export interface EcVerificationKey extends KeyFacts {
  readonly type: "ecdsa-p256";
}

const RSA_ENCRYPTION = fromHex("2a864886f70d010101");
const SMALLEST_RSA = 2048;
const LARGEST_RSA = 8192;

/**
 * Reads a public key: SubjectPublicKeyInfo or PKCS#1, PEM or DER, or the public half of an unencrypted private key.
 *
 * @param file - bytes of the file
 * @returns with its fingerprint; a private part is not kept
 * @throws {@link KeyError}
 */
export async function parseVerificationKey(file: Uint8Array): Promise<VerificationKey> {
  return rsaIn(file) ?? verificationKeyOf(await parseKey(file));
}

/** The same of a key that is at hand. Throws `unsupported-key` for types that vouch for images only. */
export async function verificationKeyOf(key: Key): Promise<VerificationKey> {
  const spki = parsePem(await toPem(key, "public"))[0]!.bytes;
  const rsa = rsaOf(spki);
  if (rsa) return rsa;
  if (key.type !== "ecdsa-p256")
    throw new KeyError("unsupported-key", `A ${key.type} key cannot be used here: RSA and ECDSA P-256 can.`, {
      hint: "Name the key that signs the artifact or the boot metadata, not the one of the MCUboot image.",
    });
  return { type: "ecdsa-p256", spki, fingerprint: HASHES.sha256.digest(spki) };
}

/** Whether this is a key of RSA, whose size is its own. */
export function isRsaKey(key: VerificationKey): key is RsaVerificationKey {
  return key.type === "rsa";
}

/**
 * An RSA key as "rsa-3072", a curve by its name.
 *
 * @param key - any
 * @returns `rsa-4096`, `ecdsa-p256`
 */
export function keyTypeText(key: VerificationKey): string {
  return key.type === "rsa" ? `rsa-${key.bits}` : key.type;
}

function rsaIn(file: Uint8Array): RsaVerificationKey | undefined {
  if (file[0] === 0x30) return rsaOf(file);
  for (const { label, bytes } of pemBlocks(file)) {
    if (label === "PUBLIC KEY") return rsaOf(bytes);
    if (label === "RSA PUBLIC KEY") return rsaOf(spkiOf(bytes));
  }
  return undefined;
}

function pemBlocks(file: Uint8Array) {
  try {
    return parsePem(new TextDecoder("latin1").decode(file));
  } catch {
    // Not base64 inside: the reader of all other forms says so.
    return [];
  }
}

/** The RSA key in a SubjectPublicKeyInfo; undefined when it is none. */
function rsaOf(spki: Uint8Array): RsaVerificationKey | undefined {
  const numbers = rsaNumbers(spki);
  if (!numbers) return undefined;
  const { modulus, exponent } = numbers;
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < SMALLEST_RSA || bits > LARGEST_RSA)
    throw new KeyError("unsupported-key", `RSA-${bits}: ${SMALLEST_RSA} to ${LARGEST_RSA} bits can be used.`);
  const isOdd = (digits: Uint8Array) => (digits.at(-1)! & 1) === 1;
  const isOne = exponent.length === 1 && exponent[0] === 1;
  if (exponent.length === 0 || exponent.length > 4 || isOne || !isOdd(exponent) || !isOdd(modulus))
    throw new KeyError("broken-key", "The numbers of this RSA key are not a valid key.");
  return {
    type: "rsa",
    bits,
    modulus,
    exponent,
    spki: spki.slice(),
    fingerprint: HASHES.sha256.digest(spki),
  };
}

function rsaNumbers(spki: Uint8Array): { modulus: Uint8Array; exponent: Uint8Array } | undefined {
  try {
    const outer = new DerReader(spki);
    const info = outer.enter(DER.SEQUENCE, "the public key");
    outer.end("the public key");
    const algorithm = info.enter(DER.SEQUENCE, "the key's algorithm");
    if (!equal(algorithm.read(DER.OID, "the key's algorithm"), RSA_ENCRYPTION)) return undefined;
    const pkcs1 = new DerReader(info.bits("the public key")).enter(DER.SEQUENCE, "the RSA key");
    return { modulus: pkcs1.integer("the modulus").slice(), exponent: pkcs1.integer("the exponent").slice() };
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

function spkiOf(pkcs1: Uint8Array): Uint8Array {
  return der(DER.SEQUENCE, der(DER.SEQUENCE, der(DER.OID, RSA_ENCRYPTION), der(DER.NULL)), derBits(pkcs1));
}

/** The SubjectPublicKeyInfo of an RSA key's two numbers, big-endian. */
export function rsaSpki(modulus: Uint8Array, exponent: Uint8Array): Uint8Array {
  return spkiOf(der(DER.SEQUENCE, derInteger(modulus), derInteger(exponent)));
}
