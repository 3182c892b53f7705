import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signWith,
  verify as verifyWith,
} from "node:crypto";
import { concat, fromHex } from "../bytes.js";
import { LogError } from "../trust/log-error.js";
import type { NoteSigner, NoteVerifier } from "../trust/signed-note.js";

/** The log's Ed25519 key, on node:crypto: quick to load, and it signs in microseconds. */

/**
 * A verifier of notes.
 *
 * @param verifier - the key's name, and its 32 bytes
 * @returns verifies notes by OpenSSL
 * @throws LogError `bad-verifier-key` when the bytes are no point
 */
export function noteVerifier({ name, publicKey }: Pick<NoteVerifier, "name" | "publicKey">): NoteVerifier {
  const key = publicKeyOf(publicKey);
  return {
    name,
    publicKey,
    verify: (message, signature) => verifyWith(null, message, key, signature),
  };
}

/** A signer of notes out of a private key in PEM. @throws LogError `bad-verifier-key` when it is no Ed25519 key */
export function noteSigner(name: string, pem: string): NoteSigner {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The cause stays out: it must not carry anything of a private key's file.
    throw new LogError("bad-verifier-key", "The log's signing key cannot be read.", { hint: KEY_HINT });
  }
  if (key.asymmetricKeyType !== "ed25519")
    throw new LogError(
      "bad-verifier-key",
      `The log's signing key is ${key.asymmetricKeyType}, not Ed25519.`,
      {
        hint: KEY_HINT,
      },
    );
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return {
    name,
    publicKey: new Uint8Array(spki.subarray(-32)),
    sign: (message) => new Uint8Array(signWith(null, message, key)),
  };
}

const KEY_HINT = "Restore the key from a backup; a new key starts a new log in another folder.";

/** A new signing key, PKCS#8 PEM. */
export function generateLogKey(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return privateKey.export({ format: "pem", type: "pkcs8" }).toString();
}

/** SubjectPublicKeyInfo of Ed25519 up to the point: RFC 8410. */
const SPKI_HEAD = fromHex("302a300506032b6570032100");

function publicKeyOf(point: Uint8Array): KeyObject {
  try {
    const key = Buffer.from(concat(SPKI_HEAD, point));
    return createPublicKey({ key, format: "der", type: "spki" });
  } catch (cause) {
    throw new LogError("bad-verifier-key", "The bytes of this verifier key are not an Ed25519 key.", {
      cause,
    });
  }
}
