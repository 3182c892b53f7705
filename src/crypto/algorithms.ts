import { concat, fromBase64, toHex } from "../bytes.js";
import { toNumber } from "./big-numbers.js";
import { CURVE_DOMAINS, type CurveDomain } from "./curve-domains.js";
import { isEd25519Point, uncompressedPoint } from "./curve-points.js";
import { encodeEcdsaSignature, parseEcdsaSignature } from "./ecdsa-signature.js";
import type { HashName } from "./hashes.js";
import { KeyError } from "./key-error.js";
import type { CurveKeyType, EcdsaKeyType, KeyType, SigningKeyType } from "./key-types.js";
import { cryptoProvider } from "./provider.js";
import { isPssOf, openPss } from "./pss.js";

export type { CurveKeyType, EcdsaKeyType, KeyType, SigningKeyType } from "./key-types.js";

/**
 * All keyed cryptography: curves by the provider in use, RSA by WebCrypto, which exists in Node and in browsers alike.
 * Everything that signs or verifies is asynchronous because WebCrypto is.
 */

/** Names of signature schemes for signers outside this program, which know nothing of images. */
export type SchemeName =
  /** RSASSA-PSS with SHA-256, MGF1 of the same, a salt of 32 bytes. */
  | "rsa-pss-sha256-salt32"
  /** RSASSA-PKCS1-v1_5 with SHA-256; not for images. */
  | "rsa-pkcs1v15-sha256"
  | "ecdsa-p256-sha256"
  | "ecdsa-p384-sha384"
  /** RFC 8032, not Ed25519ph. */
  | "ed25519";

/** What a signature is made over. */
export interface SignedMessage {
  /** Header, plaintext body and protected TLVs. */
  readonly range: Uint8Array;
  /** Hash of `range`, by the image's hash algorithm. */
  readonly digest: Uint8Array;
  /** Pure signature: over the range itself. Ed25519 only. */
  readonly pure: boolean;
}

/** What is known of a signature's message. Without `range`, as of an encrypted image, only its digest is. */
export interface CheckedMessage extends Omit<SignedMessage, "range"> {
  readonly range: Uint8Array | undefined;
}

/**
 * One signature type. `secret` and `publicRaw` are: for Ed25519 seed and point; for ECDSA scalar and uncompressed point;
 * for RSA PKCS#8 and SPKI.
 */
export interface SignatureAlgorithm {
  readonly keyType: SigningKeyType;
  readonly family: "rsa" | "ecdsa" | "eddsa";
  readonly scheme: SchemeName;
  /** `digest`: the scheme's own hash is made before; `message`: it takes bytes of any length and hashes them itself. */
  readonly signs: "digest" | "message";
  /** A signature may also be made over the range itself, without a hash before it. */
  readonly mayBePure: boolean;
  /** ECDSA: bytes of r, and of s. */
  readonly numberSize?: number;
  /** Hash algorithms that may go with it; the first one is the default. */
  readonly hashes: readonly HashName[];
  /** Longest signature, what `--pad-sig` pads to. Absent: they always have one length. */
  readonly padTo?: number;
  readonly signatureLength: { readonly min: number; readonly max: number };
  /** The same key and message always give the same signature. */
  readonly deterministic: boolean;
  /** `digest` must be by one of `hashes`. */
  readonly sign: (secret: Uint8Array, message: SignedMessage) => Promise<Uint8Array>;
  readonly verify: (
    publicRaw: Uint8Array,
    message: CheckedMessage,
    signature: Uint8Array,
  ) => Promise<boolean>;
}

/**
 * Whether keys of this type sign.
 *
 * @param type - of a key
 * @returns false for keys that only encrypt
 */
export function canSign(type: KeyType): type is SigningKeyType {
  return Object.hasOwn(SIGNATURE_ALGORITHMS, type);
}

/** The table of signature algorithms: whatever depends on the kind of signature is a column of it. */
export const SIGNATURE_ALGORITHMS: Readonly<Record<SigningKeyType, SignatureAlgorithm>> = {
  "rsa-2048": rsa("rsa-2048", 256),
  "rsa-3072": rsa("rsa-3072", 384),
  "ecdsa-p256": ecdsa("ecdsa-p256", "sha256", 32, 72),
  "ecdsa-p384": ecdsa("ecdsa-p384", "sha384", 48, 103),
  ed25519: {
    keyType: "ed25519",
    family: "eddsa",
    scheme: "ed25519",
    signs: "message",
    mayBePure: true,
    hashes: ["sha256", "sha512"],
    signatureLength: { min: 64, max: 64 },
    deterministic: true,
    // Plain Ed25519 with the digest as its message: neither Ed25519ph nor, unless pure, over the image.
    sign: async (secret, { range, digest, pure }) =>
      cryptoProvider().ed25519.sign(pure ? range : digest, secret),
    verify: async (publicRaw, { range, digest, pure }, signature) => {
      const message = pure ? range : digest;
      return message !== undefined && cryptoProvider().ed25519.verify(signature, message, publicRaw);
    },
  },
};

/** What a curve key needs besides signing. */
export interface Curve {
  readonly secretLength: number;
  readonly isSecret: (secret: Uint8Array) => boolean;
  /** The public key in the form used here out of any encoding of it; undefined when it is none. */
  readonly readPublic: (encoded: Uint8Array) => Uint8Array | undefined;
  /** The public point; for ECDSA uncompressed. */
  readonly publicOf: (secret: Uint8Array) => Uint8Array;
  readonly generate: () => Uint8Array;
  /** Agree on a secret: the x-coordinate. Only for keys that encrypt. */
  readonly agree?: (secret: Uint8Array, publicRaw: Uint8Array) => Uint8Array;
  /** The numbers that define a curve of ECDSA. */
  readonly domain?: CurveDomain;
}

export const CURVES: Readonly<Record<CurveKeyType, Curve>> = {
  "ecdsa-p256": weierstrass("ecdsa-p256", 32),
  "ecdsa-p384": weierstrass("ecdsa-p384", 48),
  ed25519: {
    secretLength: 32,
    isSecret: (secret) => secret.length === 32,
    readPublic: (encoded) => (isEd25519Point(encoded) ? encoded.slice() : undefined),
    publicOf: (secret) => cryptoProvider().ed25519.publicOf(secret),
    generate: () => randomBytes(32),
  },
  x25519: {
    secretLength: 32,
    isSecret: (secret) => secret.length === 32,
    readPublic: (encoded) => (agreesOnSomething(encoded) ? encoded.slice() : undefined),
    publicOf: (secret) => cryptoProvider().x25519.publicOf(secret),
    generate: () => randomBytes(32),
    agree: (secret, publicRaw) => cryptoProvider().x25519.agree(secret, publicRaw),
  },
};

const randomBytes = (length: number) => crypto.getRandomValues(new Uint8Array(length));

/** Points of small order agree on zero whatever the secret: providers throw for them. */
function agreesOnSomething(encoded: Uint8Array): boolean {
  try {
    return encoded.length === 32 && cryptoProvider().x25519.agree(ANY_SECRET, encoded).length === 32;
  } catch {
    return false;
  }
}

/** To try a point out with; not a key. */
const ANY_SECRET = new Uint8Array(32).fill(1);

const PSS = { name: "RSA-PSS", hash: "SHA-256" } as const;
/** Salt as long as the hash: what MCUboot expects. */
const PSS_SALT_LENGTH = 32;

/** A new RSA key as PKCS#8, public exponent 65537. */
export async function generateRsa(bits: 2048 | 3072): Promise<Uint8Array> {
  const publicExponent = Uint8Array.of(1, 0, 1);
  const pair = await crypto.subtle.generateKey({ ...PSS, modulusLength: bits, publicExponent }, true, [
    "sign",
    "verify",
  ]);
  return new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
}

function rsa(keyType: "rsa-2048" | "rsa-3072", length: number): SignatureAlgorithm {
  return {
    keyType,
    family: "rsa",
    scheme: "rsa-pss-sha256-salt32",
    signs: "digest",
    mayBePure: false,
    hashes: ["sha256"],
    signatureLength: { min: length, max: length },
    deterministic: false,
    async sign(secret, { range }) {
      const key = await usable(crypto.subtle.importKey("pkcs8", secret, PSS, false, ["sign"]));
      const signature = await crypto.subtle.sign({ ...PSS, saltLength: PSS_SALT_LENGTH }, key, range);
      return new Uint8Array(signature);
    },
    async verify(publicRaw, { range, digest }, signature) {
      if (signature.length !== length) return false;
      if (range === undefined) return verifyPssDigest(publicRaw, digest, signature);
      const key = await usable(crypto.subtle.importKey("spki", publicRaw, PSS, false, ["verify"]));
      return crypto.subtle.verify({ ...PSS, saltLength: PSS_SALT_LENGTH }, key, signature, range);
    },
  };
}

/** WebCrypto hashes messages itself; where only the digest is there, the public operation is made here. */
async function verifyPssDigest(
  spki: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const key = await usable(crypto.subtle.importKey("spki", spki, PSS, true, ["verify"]));
  const { n, e } = await crypto.subtle.exportKey("jwk", key);
  const opened = openPss(signature, numberOf(n!), numberOf(e!));
  return opened !== undefined && isPssOf(digest, opened);
}

function numberOf(base64url: string): bigint {
  const base64 = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return BigInt(`0x${toHex(fromBase64(base64.padEnd(Math.ceil(base64.length / 4) * 4, "=")))}`);
}

/** WebCrypto judges an RSA key's numbers only when it imports them; its own error says nothing to people. */
async function usable<T>(imported: Promise<T>): Promise<T> {
  try {
    return await imported;
  } catch {
    throw new KeyError("broken-key", "The numbers of this RSA key are not a valid key.");
  }
}

function ecdsa(
  keyType: "ecdsa-p256" | "ecdsa-p384",
  hash: HashName,
  size: number,
  padTo: number,
): SignatureAlgorithm {
  return {
    keyType,
    family: "ecdsa",
    scheme: keyType === "ecdsa-p256" ? "ecdsa-p256-sha256" : "ecdsa-p384-sha384",
    signs: "digest",
    mayBePure: false,
    numberSize: size,
    hashes: [hash],
    padTo,
    signatureLength: { min: 8, max: 2 * size + 9 },
    // Nonces by RFC 6979: no random number can give the key away, and signing twice gives the same file.
    deterministic: true,
    // The digest that is there: whoever signs away from the build machine may have nothing else.
    sign: async (secret, { digest }) =>
      encodeEcdsaSignature(cryptoProvider().ecdsa[keyType].sign(digest, secret)),
    // SHA-256 or SHA-384 of the range whatever hash TLV the image carries: the curve decides, as in imgtool.
    async verify(publicRaw, { range, digest }, signature) {
      const numbers = parseEcdsaSignature(signature, size);
      if (numbers === undefined) return false;
      const compact = concat(numbers.r, numbers.s);
      if (range !== undefined) return cryptoProvider().ecdsa[keyType].verify(compact, range, publicRaw);
      // OpenSSL in Node hashes messages itself; rare enough to be loaded only now.
      const { verifyEcdsaDigest } = await import("./noble.js");
      return verifyEcdsaDigest(keyType, { signature: compact, digest, publicRaw });
    },
  };
}

function weierstrass(type: EcdsaKeyType, size: number): Curve {
  const domain = CURVE_DOMAINS[type];
  const isSecret = (secret: Uint8Array) => {
    const number = toNumber(secret);
    return secret.length === size && number > 0n && number < domain.n;
  };
  return {
    secretLength: size,
    isSecret,
    readPublic: (encoded) => uncompressedPoint(domain, encoded, size),
    publicOf: (secret) => cryptoProvider().ecdsa[type].publicOf(secret),
    generate: () => {
      for (;;) {
        const secret = randomBytes(size);
        if (isSecret(secret)) return secret;
      }
    },
    agree: (secret, publicRaw) => cryptoProvider().ecdsa[type].agree(secret, publicRaw),
    domain,
  };
}
