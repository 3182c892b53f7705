import { concat, equal, fromHex } from "../bytes.js";
import { CURVES, type CurveKeyType, type EcdsaKeyType, type KeyType } from "./algorithms.js";
import { DER, DerReader, der, derBits, derInteger } from "./der.js";
import { curveOid, readCurve } from "./ec-parameters.js";
import { KeyError } from "./key-error.js";

/** What a key file holds. `secret` and `publicRaw` are in the form `SIGNATURE_ALGORITHMS` wants. */
export interface KeyParts {
  readonly type: KeyType;
  readonly publicRaw: Uint8Array;
  readonly secret?: Uint8Array;
}

type KeyFormat = "pkcs8" | "encrypted-pkcs8" | "spki" | "sec1" | "pkcs1-private" | "pkcs1-public";

/** What the first elements inside the outer SEQUENCE are tells the forms apart; no label is needed. */
const SHAPES: readonly { readonly format: KeyFormat; readonly tags: readonly (number | undefined)[] }[] = [
  { format: "pkcs8", tags: [DER.INTEGER, DER.SEQUENCE, DER.OCTET_STRING] },
  { format: "encrypted-pkcs8", tags: [DER.SEQUENCE, DER.OCTET_STRING] },
  { format: "spki", tags: [DER.SEQUENCE, DER.BIT_STRING] },
  { format: "sec1", tags: [DER.INTEGER, DER.OCTET_STRING] },
  { format: "pkcs1-private", tags: [DER.INTEGER, DER.INTEGER, DER.INTEGER] },
  { format: "pkcs1-public", tags: [DER.INTEGER, DER.INTEGER, undefined] },
];

/** Which form these DER bytes have; undefined when none. */
export function keyFormatOf(bytes: Uint8Array): KeyFormat | undefined {
  return SHAPES.find(({ tags }) => {
    const inside = new DerReader(bytes).enter(DER.SEQUENCE, "a key");
    return tags.every((tag) => {
      if (inside.tag !== tag) return false;
      if (tag !== undefined) inside.read(tag, "a key");
      return true;
    });
  })?.format;
}

const OID = {
  rsa: fromHex("2a864886f70d010101"),
  /** A key for RSASSA-PSS alone, which is how MCUboot signs anyway (RFC 8017, appendix C); else a plain RSA key. */
  rsaPss: fromHex("2a864886f70d01010a"),
  ec: fromHex("2a8648ce3d0201"),
  x25519: fromHex("2b656e"),
  ed25519: fromHex("2b6570"),
} as const;

type Family = "rsa" | "ec" | "ed25519" | "x25519";

/** The first row of a family is how it is written. */
const FAMILIES: readonly { readonly family: Family; readonly oid: Uint8Array }[] = [
  { family: "rsa", oid: OID.rsa },
  { family: "rsa", oid: OID.rsaPss },
  { family: "ec", oid: OID.ec },
  { family: "ed25519", oid: OID.ed25519 },
  { family: "x25519", oid: OID.x25519 },
];

/** Reads any unencrypted form. Throws {@link KeyError} or `DerError`. */
export function decodeKey(bytes: Uint8Array, format: Exclude<KeyFormat, "encrypted-pkcs8">): KeyParts {
  const outer = new DerReader(bytes);
  const key = outer.enter(DER.SEQUENCE, "a key");
  outer.end("the key");
  return DECODERS[format](key, bytes);
}

const DECODERS = {
  pkcs8(key: DerReader): KeyParts {
    key.integer("the version");
    const type = readAlgorithm(key);
    const inside = key.read(DER.OCTET_STRING, "the private key");
    if (type === "rsa") return decodeKey(inside, "pkcs1-private");
    if (isCurve25519(type)) {
      const secret = new DerReader(inside);
      return fromSecret(type, secret.read(DER.OCTET_STRING, "the private key"));
    }
    return decodeSec1(new DerReader(inside).enter(DER.SEQUENCE, "an EC private key"), type);
  },

  spki(key: DerReader, bytes: Uint8Array): KeyParts {
    const type = readAlgorithm(key);
    const inside = key.bits("the public key");
    if (type === "rsa") return decodeKey(inside, "pkcs1-public");
    const publicRaw = CURVES[type].readPublic(inside);
    if (publicRaw) return { type, publicRaw };
    throw new KeyError(
      "broken-key",
      `This ${type} key of ${bytes.length} bytes is damaged: it is not a point on its curve.`,
    );
  },

  sec1: (key: DerReader): KeyParts => decodeSec1(key, undefined),

  "pkcs1-private"(key: DerReader, bytes: Uint8Array): KeyParts {
    key.integer("the version");
    const parts = rsaPublic(key.integer("the modulus"), key.integer("the exponent"));
    return { ...parts, secret: wrapRsaPrivate(bytes) };
  },

  "pkcs1-public": (key: DerReader): KeyParts =>
    rsaPublic(key.integer("the modulus"), key.integer("the exponent")),
};

/** The public key in the encoding that MCUboot hashes and embeds: PKCS#1 for RSA, SPKI for all others. */
export function encodePublic({ type, publicRaw }: KeyParts): Uint8Array {
  if (isRsa(type)) return spkiInside(publicRaw);
  return der(DER.SEQUENCE, algorithm(type), derBits(publicRaw));
}

/** The public key as SubjectPublicKeyInfo, what a PUBLIC KEY block of PEM holds. */
export function encodeSpki(parts: KeyParts): Uint8Array {
  return isRsa(parts.type) ? parts.publicRaw : encodePublic(parts);
}

/**
 * The private key as PKCS#8, byte for byte what OpenSSL writes. Precondition: `secret` is there. `withPoint`: an EC key
 * carries its public point too, as usual.
 */
export function encodePkcs8(parts: KeyParts & { secret: Uint8Array }, withPoint = true): Uint8Array {
  const { type, publicRaw, secret } = parts;
  if (isRsa(type)) return secret;
  const inside = isCurve25519(type)
    ? der(DER.OCTET_STRING, secret)
    : ecPrivate(secret, withPoint ? publicRaw : undefined);
  return der(DER.SEQUENCE, derInteger(Uint8Array.of(0)), algorithm(type), der(DER.OCTET_STRING, inside));
}

/** SEC1, which unlike the inside of PKCS#8 names the curve. */
function encodeSec1(
  { type, publicRaw, secret }: KeyParts & { secret: Uint8Array },
  withPoint: boolean,
): Uint8Array {
  return ecPrivate(secret, withPoint ? publicRaw : undefined, curveOid(type as EcdsaKeyType));
}

function ecPrivate(secret: Uint8Array, point?: Uint8Array, curve?: Uint8Array): Uint8Array {
  return der(
    DER.SEQUENCE,
    derInteger(Uint8Array.of(1)),
    der(DER.OCTET_STRING, secret),
    curve ? der(DER.CONTEXT_0, der(DER.OID, curve)) : new Uint8Array(0),
    point ? der(DER.CONTEXT_1, derBits(point)) : new Uint8Array(0),
  );
}

/** The PKCS#1 private key inside a PKCS#8 one. */
function pkcs1Of(pkcs8: Uint8Array): Uint8Array {
  const key = new DerReader(pkcs8).enter(DER.SEQUENCE, "a key");
  key.integer("the version");
  key.read(DER.SEQUENCE, "the key's algorithm");
  return key.read(DER.OCTET_STRING, "the private key").slice();
}

/** n, e, d, p, q: without the numbers that only speed things up. */
function minimalPkcs1(pkcs1: Uint8Array): Uint8Array {
  const key = new DerReader(pkcs1).enter(DER.SEQUENCE, "a key");
  const version = key.integer("the version");
  const numbers = ["the modulus", "the exponent", "the private exponent", "a prime", "a prime"].map((what) =>
    derInteger(key.integer(what)),
  );
  return der(DER.SEQUENCE, derInteger(version), ...numbers);
}

/** How private keys are embedded in bootloaders that decrypt: imgtool's `getpriv -f`. */
export type PrivateFormat = "openssl" | "pkcs8";

const PRIVATE_FORMATS: Readonly<Record<KeyType, readonly PrivateFormat[]>> = {
  "rsa-2048": ["openssl"],
  "rsa-3072": ["openssl"],
  "ecdsa-p256": ["pkcs8", "openssl"],
  "ecdsa-p384": ["pkcs8", "openssl"],
  x25519: ["pkcs8"],
  // It signs; no bootloader holds its private part.
  ed25519: [],
};

/**
 * The private key for embedding, byte for byte as imgtool writes it. `openssl`: PKCS#1 or SEC1. `minimal`: without what
 * a bootloader does not need: RSA's precomputed numbers, the public point of P-256. Default: the type's usual format.
 * Throws {@link KeyError} `unsupported-format`.
 */
export function encodePrivate(
  parts: KeyParts & { secret: Uint8Array },
  { format = PRIVATE_FORMATS[parts.type][0], minimal = false }: { format?: PrivateFormat; minimal?: boolean },
): Uint8Array {
  const { type } = parts;
  if (format === undefined || !PRIVATE_FORMATS[type].includes(format))
    throw new KeyError("unsupported-format", `A private ${type} key has no ${format ?? "embedded"} form.`, {
      hint: "Bootloaders contain private keys only for decryption: RSA-2048, ECDSA P-256 or X25519.",
    });
  if (minimal && type === "ecdsa-p384")
    throw new KeyError(
      "unsupported-format",
      "There is no minimal form of a P-384 key: no bootloader decrypts with one.",
    );
  if (isRsa(type)) return minimal ? minimalPkcs1(pkcs1Of(parts.secret)) : pkcs1Of(parts.secret);
  if (isCurve25519(type)) return encodePkcs8(parts);
  return format === "openssl" ? encodeSec1(parts, !minimal) : encodePkcs8(parts, !minimal);
}

/** The parts of a curve key whose secret is at hand. */
export function fromSecret(type: CurveKeyType, secret: Uint8Array): KeyParts & { secret: Uint8Array } {
  if (!CURVES[type].isSecret(secret))
    throw new KeyError("broken-key", `The private ${type} key is out of its curve's range.`);
  return { type, secret: secret.slice(), publicRaw: CURVES[type].publicOf(secret) };
}

function decodeSec1(key: DerReader, stated: EcdsaKeyType | undefined): KeyParts {
  key.integer("the version");
  const number = key.read(DER.OCTET_STRING, "the private key");
  const named = key.tag === DER.CONTEXT_0 ? readCurve(key.enter(DER.CONTEXT_0, "the curve")) : undefined;
  const type = named ?? stated;
  if (!type) throw new KeyError("not-a-key", "This EC private key does not name its curve.");
  if (stated && type !== stated)
    throw new KeyError(
      "broken-key",
      `The private key's file contradicts itself: it says ${stated} outside and ${type} inside.`,
    );
  const parts = fromSecret(type, withLength(number, CURVES[type].secretLength));
  if (key.tag === DER.CONTEXT_1) {
    const encoded = key.enter(DER.CONTEXT_1, "the public key").bits("the public key");
    const point = CURVES[type].readPublic(encoded);
    if (!point)
      throw new KeyError(
        "broken-key",
        "The private key's file contains a public key that is not a point on its curve.",
      );
    if (!equal(point, parts.publicRaw))
      throw new KeyError("broken-key", "The private key's file contains the public key of another key.");
  }
  return parts;
}

/** Some writers leave out leading zeros of a private number, or put one in front. */
function withLength(number: Uint8Array, length: number): Uint8Array {
  const first = number.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? number.subarray(number.length) : number.subarray(first);
  if (digits.length > length) return number;
  return concat(new Uint8Array(length - digits.length), digits);
}

function readAlgorithm(key: DerReader): CurveKeyType | "rsa" {
  const identifier = key.enter(DER.SEQUENCE, "the key's algorithm");
  const oid = identifier.read(DER.OID, "the key's algorithm");
  const family = FAMILIES.find((row) => equal(row.oid, oid))?.family;
  if (!family)
    throw new KeyError("unsupported-key", "This key is of a type that MCUboot does not use.", {
      hint: "MCUboot knows RSA-2048 and RSA-3072, ECDSA P-256 and P-384, Ed25519, and X25519 for encryption.",
    });
  return family === "ec" ? readCurve(identifier) : family;
}

function rsaPublic(modulus: Uint8Array, exponent: Uint8Array): KeyParts {
  const bits = modulus.length === 0 ? 0 : (modulus.length - 1) * 8 + (32 - Math.clz32(modulus[0]!));
  if (bits !== 2048 && bits !== 3072)
    throw new KeyError("unsupported-key", `RSA-${bits}: MCUboot knows RSA-2048 and RSA-3072.`);
  const pkcs1 = der(DER.SEQUENCE, derInteger(modulus), derInteger(exponent));
  const publicRaw = der(DER.SEQUENCE, algorithm(`rsa-${bits}`), derBits(pkcs1));
  return { type: `rsa-${bits}`, publicRaw };
}

function wrapRsaPrivate(pkcs1: Uint8Array): Uint8Array {
  return der(DER.SEQUENCE, derInteger(Uint8Array.of(0)), algorithm("rsa-2048"), der(DER.OCTET_STRING, pkcs1));
}

function spkiInside(spki: Uint8Array): Uint8Array {
  const key = new DerReader(spki).enter(DER.SEQUENCE, "the public key");
  key.read(DER.SEQUENCE, "the key's algorithm");
  return key.bits("the public key").slice();
}

function algorithm(type: KeyType): Uint8Array {
  const family: Family = isRsa(type) ? "rsa" : isCurve25519(type) ? type : "ec";
  const { oid } = FAMILIES.find((row) => row.family === family)!;
  // RSA's identifier has a NULL where EC's has the curve; the 25519 ones have nothing.
  const parameter =
    family === "ec"
      ? der(DER.OID, curveOid(type as EcdsaKeyType))
      : family === "rsa"
        ? der(DER.NULL)
        : new Uint8Array(0);
  return der(DER.SEQUENCE, concat(der(DER.OID, oid), parameter));
}

/**
 * Keys that are two large numbers: no curve, no choice of hash with OAEP.
 *
 * @param type - of a key
 * @returns whatever its length
 */
export function isRsa(type: KeyType): type is "rsa-2048" | "rsa-3072" {
  return type === "rsa-2048" || type === "rsa-3072";
}

function isCurve25519(type: KeyType): type is "ed25519" | "x25519" {
  return type === "ed25519" || type === "x25519";
}
