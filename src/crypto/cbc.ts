import { KeyError } from "./key-error.js";

/** Block ciphers that protect key files, all in CBC mode with PKCS#7 padding. Sizes in bytes. */
export interface CbcCipher {
  readonly name: "aes" | "3des" | "des";
  readonly keyLength: number;
  readonly ivLength: number;
}

export const AES_128: CbcCipher = { name: "aes", keyLength: 16, ivLength: 16 };
export const AES_192: CbcCipher = { name: "aes", keyLength: 24, ivLength: 16 };
export const AES_256: CbcCipher = { name: "aes", keyLength: 32, ivLength: 16 };
export const TRIPLE_DES: CbcCipher = { name: "3des", keyLength: 24, ivLength: 8 };
export const DES: CbcCipher = { name: "des", keyLength: 8, ivLength: 8 };

/**
 * Deciphers 3DES-EDE in CBC mode with PKCS#7 padding: `key` has 24 bytes, `iv` 8. Throws whatever it likes when the
 * padding is wrong.
 */
export type TripleDes = (key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array) => Uint8Array;

let tripleDes: TripleDes | undefined;

/**
 * Has key files that are encrypted with 3DES or DES read by what the platform brings along, such as `node:crypto`.
 * WebCrypto, which does for AES, has neither; without this such files are refused with a way to convert them.
 *
 * @param decipher - decrypts CBC with 3DES (keys of 24 bytes) or DES (of 8), padding removed
 */
export function tripleDesWith(decipher: TripleDes): void {
  tripleDes = decipher;
}

/** The plaintext. Throws {@link KeyError} `wrong-passphrase` when the padding is wrong, `unsupported-encryption`. */
export async function decryptCbc(
  cipher: CbcCipher,
  key: Uint8Array,
  iv: Uint8Array,
  ciphertext: Uint8Array,
): Promise<Uint8Array> {
  if (cipher.name === "aes") {
    const imported = await importAes(key);
    try {
      return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv }, imported, ciphertext));
    } catch {
      throw wrongPassphrase();
    }
  }
  if (!tripleDes)
    throw new KeyError(
      "unsupported-encryption",
      "The private key is encrypted with DES, which is not available here.",
      {
        hint: "Convert it once: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW",
      },
    );
  // DES is 3DES with one key three times: the first two steps undo each other.
  const wide = cipher.name === "des" ? new Uint8Array([...key, ...key, ...key]) : key;
  try {
    return tripleDes(wide, iv, ciphertext);
  } catch {
    throw wrongPassphrase();
  }
}

/** Some browsers have no AES-192: that is said, and not taken for a wrong passphrase. */
async function importAes(key: Uint8Array) {
  try {
    return await crypto.subtle.importKey("raw", key, "AES-CBC", false, ["decrypt"]);
  } catch {
    throw new KeyError("unsupported-encryption", `This platform has no AES with ${8 * key.length} bits.`);
  }
}

/** CBC says only that the padding was wrong: that is a wrong passphrase. */
export function wrongPassphrase(): KeyError {
  return new KeyError("wrong-passphrase", "The passphrase does not decrypt this key.");
}
