import { toHex } from "../../bytes.js";
import type { SigningKeyType } from "../../crypto/algorithms.js";
import { HASHES } from "../../crypto/hashes.js";
import { KeyError } from "../../crypto/key-error.js";
import { type Key, publicRawOf, signatureAlgorithmOf, toPem } from "../../crypto/keys.js";
import type { Signer } from "../../crypto/signer.js";
import { canonicalJson, type JsonObject } from "../canonical-json.js";
import { sha256Hex } from "../hashes.js";
import type { MetadataSignature } from "../metadata-types.js";

/** keytype, scheme and form of the value as the specification has them, section 4.2. */
const SPELLING: Readonly<
  Record<SigningKeyType, readonly [keytype: string, scheme: string, value: "hex" | "pem"]>
> = {
  ed25519: ["ed25519", "ed25519", "hex"],
  "ecdsa-p256": ["ecdsa", "ecdsa-sha2-nistp256", "pem"],
  "ecdsa-p384": ["ecdsa", "ecdsa-sha2-nistp384", "pem"],
  "rsa-2048": ["rsa", "rsassa-pss-sha256", "pem"],
  "rsa-3072": ["rsa", "rsassa-pss-sha256", "pem"],
};

/** A key as metadata holds it, and the id that the specification gives it. */
export interface NamedTufKey {
  readonly id: string;
  readonly key: JsonObject;
}

/**
 * The TUF form of a public key. Its id is the SHA-256 of its canonical form, as older clients expect.
 *
 * @param key - public or private
 * @returns the key as metadata holds it, and its id in hex
 * @throws KeyError `unsupported-key` for X25519, which does not sign
 */
export async function tufKeyOf(key: Key): Promise<NamedTufKey> {
  const [keytype, scheme, form] = SPELLING[signatureAlgorithmOf(key).keyType];
  const value = form === "hex" ? toHex(publicRawOf(key)) : (await toPem(key, "public")).trim();
  const tufKey = { keytype, keyval: { public: value }, scheme };
  return { id: sha256Hex(canonicalJson(tufKey)), key: tufKey };
}

/** Someone who signs metadata, with the id under which the signature will be looked for. */
export interface MetadataSigner {
  readonly id: string;
  readonly key: JsonObject;
  readonly signer: Signer;
}

/**
 * A signer together with the TUF key id of its public key.
 *
 * @param signer - Ed25519, ECDSA or RSA
 * @returns with the id under which its signatures are looked for
 * @throws KeyError `unsupported-key` for X25519
 */
export async function metadataSigner(signer: Signer): Promise<MetadataSigner> {
  return { ...(await tufKeyOf(signer.publicKey.publicKey)), signer };
}

/**
 * Signs the canonical form of a signed part.
 *
 * @param id - under which the repository knows the key, when that is not its own
 */
export async function signBytes(
  bytes: Uint8Array,
  { signer, id: ownId }: MetadataSigner,
  id: string = ownId,
): Promise<MetadataSignature> {
  const algorithm = signatureAlgorithmOf(signer.publicKey);
  const hash = algorithm.hashes[0]!;
  const digest = HASHES[hash].digest(bytes);
  const signature = await signer.sign({ algorithm, hash, range: bytes, digest, pure: true });
  if (
    !(await algorithm.verify(publicRawOf(signer.publicKey), { range: bytes, digest, pure: true }, signature))
  )
    throw new KeyError("broken-key", "The signer gave a signature that its own public key does not verify.");
  return { keyid: id, sig: toHex(signature) };
}
