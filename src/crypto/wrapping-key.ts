import { BytesError, fromBase64 } from "../bytes.js";
import { KeyError } from "./key-error.js";

let secretOf: (key: WrappingKey) => Uint8Array;

/**
 * An AES key that wraps content keys (ENC_KW). Images of this kind are made by Mynewt's newt only. The bytes are a
 * `#private` field, as a private key's are.
 */
export class WrappingKey {
  readonly bits: 128 | 256;
  readonly #bytes: Uint8Array;

  /** 16 or 32 bytes; throws `KeyError` `unsupported-key` for others. */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== 16 && bytes.length !== 32)
      throw new KeyError(
        "unsupported-key",
        `An AES key of ${bytes.length} bytes: content keys are wrapped with 16 or 32.`,
      );
    this.bits = bytes.length === 16 ? 128 : 256;
    this.#bytes = bytes.slice();
  }

  toJSON(): { type: string } {
    return { type: `aes-${this.bits}-kw` };
  }

  static {
    secretOf = (key) => key.#bytes;
  }
}

/**
 * A key file of MCUboot's (base64) or the bare bytes.
 *
 * @param file - base64 text, or 16 or 32 bare bytes
 * @returns an AES key that content keys were wrapped with
 * @throws `KeyError`
 */
export function parseWrappingKey(file: Uint8Array): WrappingKey {
  const text = new TextDecoder("latin1").decode(file).trim();
  // 32 characters of base64 would be an AES-192 key, which images do not have; 32 bytes of chance look otherwise.
  const isBare = file.length === 16 || (file.length === 32 && !/^[A-Za-z0-9+/]{32}$/.test(text));
  if (isBare) return new WrappingKey(file);
  try {
    return new WrappingKey(fromBase64(text));
  } catch (error) {
    if (!(error instanceof BytesError)) throw error;
    throw new KeyError("not-a-key", "Not an AES key: neither 16 or 32 bytes nor base64 of them.");
  }
}

/** RFC 3394 with its default initial value, undone; undefined when the key is another one or the bytes are damaged. */
export async function unwrapAesKey(wrapped: Uint8Array, key: WrappingKey): Promise<Uint8Array | undefined> {
  const subtle = crypto.subtle;
  const kek = await subtle.importKey("raw", secretOf(key), "AES-KW", false, ["unwrapKey"]);
  try {
    const content = await subtle.unwrapKey("raw", wrapped, kek, "AES-KW", "AES-CTR", true, ["encrypt"]);
    return new Uint8Array(await subtle.exportKey("raw", content));
  } catch {
    // WebCrypto does not say more: the integrity check failed, or the length is none of a wrapped key.
    return undefined;
  }
}
