import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { p256, p384 } from "@noble/curves/nist.js";
import { concat } from "../bytes.js";
import { parseEcdsaSignature } from "./ecdsa-signature.js";
import { HASHES, type HashName } from "./hashes.js";
import { KeyError } from "./key-error.js";
import { TLV } from "./tlv.js";

/**
 * The door to all keyed cryptography of this room: curves from noble, RSA from WebCrypto (noble has none), which exists
 * in Node and in browsers alike. Everything that signs or verifies is asynchronous because WebCrypto is.
 */

export type KeyType = "rsa-2048" | "rsa-3072" | "ecdsa-p256" | "ecdsa-p384" | "ed25519" | "x25519";

/** Signing keys: all but X25519, which only agrees on keys. */
export type SigningKeyType = Exclude<KeyType, "x25519">;

/** What a signature is made over. */
export interface SignedMessage {
  /** Header, plaintext body and protected TLVs. */
  readonly range: Uint8Array;
  /** Hash of `range`, by the image's hash algorithm. */
  readonly digest: Uint8Array;
  /** Pure signature: over the range itself. Ed25519 only. */
  readonly pure: boolean;
}

/**
 * One signature type. `secret` and `publicRaw` are: for Ed25519 seed and point; for ECDSA scalar and uncompressed point;
 * for RSA PKCS#8 and SPKI.
 */
export interface SignatureAlgorithm {
  readonly keyType: SigningKeyType;
  readonly tlv: number;
  /** Hash algorithms that may go with it; the first one is the default. */
  readonly hashes: readonly HashName[];
  /** Longest signature, what `--pad-sig` pads to. Absent: they always have one length. */
  readonly padTo?: number;
  readonly signatureLength: { readonly min: number; readonly max: number };
  /** The same key and message always give the same signature. */
  readonly deterministic: boolean;
  /** `digest` must be by one of `hashes`. */
  readonly sign: (secret: Uint8Array, message: SignedMessage) => Promise<Uint8Array>;
  readonly verify: (publicRaw: Uint8Array, message: SignedMessage, signature: Uint8Array) => Promise<boolean>;
}

// A run of the program makes one or two signatures: larger tables cost it more than they save.
for (const { Point } of [ed25519, p256, p384]) Point.BASE.precompute(4);

/** RFC 8032 as bootloaders have it; noble's default (ZIP 215) accepts points that they refuse. */
const STRICT = { zip215: false } as const;

export const SIGNATURE_ALGORITHMS: Readonly<Record<SigningKeyType, SignatureAlgorithm>> = {
  "rsa-2048": rsa("rsa-2048", TLV.RSA2048_PSS, 256),
  "rsa-3072": rsa("rsa-3072", TLV.RSA3072_PSS, 384),
  "ecdsa-p256": ecdsa("ecdsa-p256", "sha256", 32, 72),
  "ecdsa-p384": ecdsa("ecdsa-p384", "sha384", 48, 103),
  ed25519: {
    keyType: "ed25519",
    tlv: TLV.ED25519,
    hashes: ["sha256", "sha512"],
    signatureLength: { min: 64, max: 64 },
    deterministic: true,
    // Plain Ed25519 with the digest as its message: neither Ed25519ph nor, unless pure, over the image.
    sign: async (secret, { range, digest, pure }) => ed25519.sign(pure ? range : digest, secret),
    verify: async (publicRaw, { range, digest, pure }, signature) =>
      signature.length === 64 &&
      didVerify(() => ed25519.verify(signature, pure ? range : digest, publicRaw, STRICT)),
  },
};

/** Is this TLV type a signature's? */
export function isSignatureTlv(type: number): boolean {
  return Object.values(SIGNATURE_ALGORITHMS).some(({ tlv }) => tlv === type);
}

/** What a curve key needs besides signing. */
export interface Curve {
  readonly secretLength: number;
  readonly isSecret: (secret: Uint8Array) => boolean;
  readonly isPublic: (publicRaw: Uint8Array) => boolean;
  /** The public point; for ECDSA uncompressed. */
  readonly publicOf: (secret: Uint8Array) => Uint8Array;
  readonly generate: () => Uint8Array;
  /** Agree on a secret: the x-coordinate. Only for keys that encrypt. */
  readonly agree?: (secret: Uint8Array, publicRaw: Uint8Array) => Uint8Array;
}

export type CurveKeyType = Exclude<KeyType, "rsa-2048" | "rsa-3072">;

export const CURVES: Readonly<Record<CurveKeyType, Curve>> = {
  "ecdsa-p256": weierstrass(p256, 32),
  "ecdsa-p384": weierstrass(p384, 48),
  ed25519: {
    secretLength: 32,
    isSecret: (secret) => secret.length === 32,
    isPublic: (publicRaw) => didVerify(() => ed25519.utils.isValidPublicKey(publicRaw, STRICT.zip215)),
    publicOf: (secret) => ed25519.getPublicKey(secret),
    generate: () => ed25519.utils.randomSecretKey(),
  },
  x25519: {
    secretLength: 32,
    isSecret: (secret) => secret.length === 32,
    // Points of small order agree on zero whatever the secret; noble throws for them.
    isPublic: (publicRaw) =>
      publicRaw.length === 32 && didVerify(() => x25519.getSharedSecret(ANY_SECRET, publicRaw).length === 32),
    publicOf: (secret) => x25519.getPublicKey(secret),
    generate: () => x25519.utils.randomSecretKey(),
    agree: (secret, publicRaw) => x25519.getSharedSecret(secret, publicRaw),
  },
};

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

function rsa(keyType: "rsa-2048" | "rsa-3072", tlv: number, length: number): SignatureAlgorithm {
  return {
    keyType,
    tlv,
    hashes: ["sha256"],
    signatureLength: { min: length, max: length },
    deterministic: false,
    async sign(secret, { range }) {
      const key = await usable(crypto.subtle.importKey("pkcs8", secret, PSS, false, ["sign"]));
      const signature = await crypto.subtle.sign({ ...PSS, saltLength: PSS_SALT_LENGTH }, key, range);
      return new Uint8Array(signature);
    },
    async verify(publicRaw, { range }, signature) {
      if (signature.length !== length) return false;
      const key = await usable(crypto.subtle.importKey("spki", publicRaw, PSS, false, ["verify"]));
      return crypto.subtle.verify({ ...PSS, saltLength: PSS_SALT_LENGTH }, key, signature, range);
    },
  };
}

/** WebCrypto judges an RSA key's numbers only when it imports them; its own error says nothing to people. */
async function usable<T>(imported: Promise<T>): Promise<T> {
  try {
    return await imported;
  } catch {
    throw new KeyError("broken-key", "The numbers of this RSA key do not make a usable key.");
  }
}

type WeierstrassCurve = typeof p256;

function ecdsa(
  keyType: "ecdsa-p256" | "ecdsa-p384",
  hash: HashName,
  size: number,
  padTo: number,
): SignatureAlgorithm {
  const curve: WeierstrassCurve = keyType === "ecdsa-p256" ? p256 : p384;
  // Neither OpenSSL nor MCUboot asks for a low s; noble's default would refuse about half of their signatures.
  const options = { prehash: false, lowS: false } as const;
  // SHA-256 or SHA-384 of the range whatever hash TLV the image carries: the curve decides, as in imgtool.
  const digestOf = ({ range }: SignedMessage) => HASHES[hash].digest(range);
  return {
    keyType,
    tlv: TLV.ECDSA_SIG,
    hashes: [hash],
    padTo,
    signatureLength: { min: 8, max: 2 * size + 9 },
    // Nonces by RFC 6979: no random number can give the key away, and signing twice gives the same file.
    deterministic: true,
    // The digest that is there: whoever signs away from the build machine may have nothing else.
    sign: async (secret, { digest }) => curve.sign(digest, secret, { ...options, format: "der" }),
    async verify(publicRaw, message, signature) {
      const numbers = parseEcdsaSignature(signature, size);
      if (!numbers) return false;
      return didVerify(() =>
        curve.verify(concat(numbers.r, numbers.s), digestOf(message), publicRaw, {
          ...options,
          format: "compact",
        }),
      );
    },
  };
}

function weierstrass(curve: WeierstrassCurve, size: number): Curve {
  return {
    secretLength: size,
    isSecret: (secret) => secret.length === size && curve.utils.isValidSecretKey(secret),
    isPublic: (publicRaw) =>
      publicRaw.length === 2 * size + 1 && didVerify(() => curve.utils.isValidPublicKey(publicRaw, false)),
    publicOf: (secret) => curve.getPublicKey(secret, false),
    generate: () => curve.utils.randomSecretKey(),
    agree: (secret, publicRaw) => curve.getSharedSecret(secret, publicRaw, true).subarray(1),
  };
}

/** noble throws on a point or number that cannot be; for a verifier that is a plain no. */
function didVerify(attempt: () => boolean): boolean {
  try {
    return attempt();
  } catch {
    return false;
  }
}
