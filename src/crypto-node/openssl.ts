import {
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { concat, fromHex } from "../bytes.js";
import type { EcdsaKeyType } from "../crypto/algorithms.js";
import { CURVE_DOMAINS } from "../crypto/curve-domains.js";
import { hasSmallOrder, isEd25519Point } from "../crypto/curve-points.js";
import { signDeterministically } from "../crypto/deterministic-ecdsa.js";
import { type CryptoProvider, type Ecdsa, useCrypto } from "../crypto/provider.js";

/** Curves and hashes by OpenSSL, which Node brings: the first signature costs a millisecond instead of a hundred. */

// DER in front of a raw key: RFC 8410 for the two curves of 25519, RFC 5480 for ECDSA.
const PKCS8_ED25519 = fromHex("302e020100300506032b657004220420");
const SPKI_ED25519 = fromHex("302a300506032b6570032100");
const PKCS8_X25519 = fromHex("302e020100300506032b656e04220420");
const SPKI_X25519 = fromHex("302a300506032b656e032100");

const ECDSA: Readonly<
  Record<EcdsaKeyType, { curve: string; hash: "sha256" | "sha384"; size: number; spki: Uint8Array }>
> = {
  "ecdsa-p256": {
    curve: "prime256v1",
    hash: "sha256",
    size: 32,
    spki: fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
  },
  "ecdsa-p384": {
    curve: "secp384r1",
    hash: "sha384",
    size: 48,
    spki: fromHex("3076301006072a8648ce3d020106052b81040022036200"),
  },
};

const privateKey = (head: Uint8Array, secret: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.from(concat(head, secret)), format: "der", type: "pkcs8" });
/** For as long as its secret is kept: OpenSSL takes longer to load a key than to sign with it. */
const loaded = new WeakMap<Uint8Array, KeyObject>();

function ed25519Key(secret: Uint8Array): KeyObject {
  const key = loaded.get(secret) ?? privateKey(PKCS8_ED25519, secret);
  loaded.set(secret, key);
  return key;
}

const publicKey = (head: Uint8Array, raw: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.from(concat(head, raw)), format: "der", type: "spki" });
/** The raw key at the end of a SubjectPublicKeyInfo. */
const rawOf = (secret: KeyObject, length: number): Uint8Array =>
  new Uint8Array(createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-length));

const view = (buffer: Buffer | ArrayBuffer) => new Uint8Array(buffer);

/** Everything by OpenSSL. */
export const opensslCrypto: CryptoProvider = {
  hashes: {
    digest: (hash, bytes) => view(createHash(hash).update(bytes).digest()),
    sha1: (bytes) => view(createHash("sha1").update(bytes).digest()),
    hmac: (hash, key, bytes) => view(createHmac(hash, key).update(bytes).digest()),
  },
  ed25519: {
    publicOf: (secret) => rawOf(ed25519Key(secret), 32),
    sign: (message, secret) => new Uint8Array(sign(null, message, ed25519Key(secret))),
    // OpenSSL asks neither for a canonical point nor for one of large order.
    verify: (signature, message, publicRaw) =>
      signature.length === 64 &&
      isEd25519Point(publicRaw) &&
      !hasSmallOrder(publicRaw) &&
      verify(null, message, publicKey(SPKI_ED25519, publicRaw), signature),
  },
  x25519: {
    publicOf: (secret) => rawOf(privateKey(PKCS8_X25519, secret), 32),
    agree: (secret, publicRaw) =>
      new Uint8Array(
        diffieHellman({
          privateKey: privateKey(PKCS8_X25519, secret),
          publicKey: publicKey(SPKI_X25519, publicRaw),
        }),
      ),
  },
  ecdsa: { "ecdsa-p256": ecdsa("ecdsa-p256"), "ecdsa-p384": ecdsa("ecdsa-p384") },
};

/** Has curves and hashes computed by OpenSSL from here on. */
export function useOpenssl(): void {
  useCrypto(opensslCrypto);
}

function ecdsa(type: EcdsaKeyType): Ecdsa {
  const { curve, hash, size, spki } = ECDSA[type];
  const multiplyBase = (scalar: Uint8Array) => {
    const ecdh = createECDH(curve);
    ecdh.setPrivateKey(scalar);
    return new Uint8Array(ecdh.getPublicKey());
  };
  const platform = {
    hmac: (key: Uint8Array, message: Uint8Array) => opensslCrypto.hashes.hmac(hash, key, message),
    multiplyBase: (scalar: Uint8Array) => multiplyBase(scalar).subarray(1, 1 + size),
  };
  return {
    publicOf: multiplyBase,
    sign: (digest, secret) => signDeterministically(digest, secret, CURVE_DOMAINS[type], platform),
    verify(signature, message, publicRaw) {
      try {
        const key = publicKey(spki, publicRaw);
        return verify(hash, message, { key, dsaEncoding: "ieee-p1363" }, signature);
      } catch {
        // OpenSSL refuses to load what is no point of the curve; for a verifier that is a plain no.
        return false;
      }
    },
    agree(secret, publicRaw) {
      const ecdh = createECDH(curve);
      ecdh.setPrivateKey(secret);
      return new Uint8Array(ecdh.computeSecret(publicRaw));
    },
  };
}
