import { BytesError, concat, fromBase64, toBase64, toHex } from "../bytes.js";
import { HASHES } from "../crypto/hashes.js";
import { type Key, publicRawOf, signatureAlgorithmOf } from "../crypto/keys.js";
import type { Signer } from "../crypto/signer.js";
import { BootproofError } from "../errors.js";

/** Dead Simple Signing Envelope, version 1.0.2: bytes with their type, under signatures over both. */

export type EnvelopeErrorCode =
  /** The text is no envelope. */
  | "bad-envelope"
  /** Fewer of the given keys signed it than must have. */
  | "not-signed"
  /** What is in it is of another type than was expected, or is not what the type says. */
  | "wrong-content";

/** An envelope cannot be read or believed. */
export class EnvelopeError extends BootproofError {
  declare readonly code: EnvelopeErrorCode;
}

export interface Envelope {
  readonly payloadType: string;
  /** Exactly the bytes that the signatures are over. */
  readonly payload: Uint8Array;
  readonly signatures: readonly { readonly keyid?: string; readonly sig: Uint8Array }[];
}

const LARGEST_ENVELOPE = 16 * 1024 * 1024;
const MOST_SIGNATURES = 64;

/** What is signed: `DSSEv1 LEN(type) type LEN(body) body`. DSSE protocol, "Signature Definition". */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = new TextEncoder().encode(payloadType);
  const head = new TextEncoder().encode(`DSSEv1 ${type.length} `);
  return concat(head, type, new TextEncoder().encode(` ${payload.length} `), payload);
}

/**
 * Signs bytes; the envelope as JSON, with a line end. `keyid` is the hash of the public key, hex.
 *
 * @param payloadType - a media type
 * @param payload - what is signed
 * @param signers - one signature each, in this order
 * @returns JSON, DSSE 1.0
 * @throws EnvelopeError `not-signed` when a signature does not verify with the key that its signer shows; what a
 *   signer throws
 */
export async function signEnvelope(
  payloadType: string,
  payload: Uint8Array,
  signers: readonly Signer[],
): Promise<string> {
  const range = preAuthEncoding(payloadType, payload);
  const signatures = [];
  for (const signer of signers) {
    const algorithm = signatureAlgorithmOf(signer.publicKey);
    const hash = algorithm.hashes[0]!;
    const digest = HASHES[hash].digest(range);
    // DSSE signs the encoding itself, so Ed25519 is pure and RSA is PSS with a salt as long as the hash.
    const sig = await signer.sign({ algorithm, hash, range, digest, pure: true });
    // A program or a module may sign with another key than it shows.
    if (!(await algorithm.verify(publicRawOf(signer.publicKey), { range, digest, pure: true }, sig)))
      throw new EnvelopeError("not-signed", "The signer's signature does not verify with its public key.", {
        hint: "Does the signer use the key whose public half it reports? Nothing was written.",
      });
    signatures.push({ keyid: toHex(signer.publicKey.keyHash), sig: toBase64(sig) });
  }
  return `${JSON.stringify({ payload: toBase64(payload), payloadType, signatures })}\n`;
}

/**
 * Takes an envelope apart; nothing in it is believed yet.
 *
 * @param text - JSON, as it came
 * @returns type, payload and signatures
 * @throws EnvelopeError `bad-envelope`
 */
export function parseEnvelope(text: string): Envelope {
  const wrong = (why: string, cause?: unknown) =>
    new EnvelopeError("bad-envelope", `This is not a DSSE envelope: ${why}.`, {
      cause,
      hint: "bootproof help attest says which commands write one.",
    });
  if (text.length > LARGEST_ENVELOPE) throw wrong(`it has more than ${LARGEST_ENVELOPE} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong("it is not JSON", cause);
  }
  if (typeof value !== "object" || value === null) throw wrong("it is not an object");
  const { payload, payloadType, signatures } = value as Record<string, unknown>;
  if (typeof payload !== "string" || typeof payloadType !== "string") throw wrong("it has no payload");
  if (!Array.isArray(signatures) || signatures.length === 0 || signatures.length > MOST_SIGNATURES)
    throw wrong("it has no list of signatures");
  try {
    return {
      payloadType,
      payload: fromAnyBase64(payload),
      signatures: signatures.map((one: unknown) => {
        const { keyid, sig } = (one ?? {}) as Record<string, unknown>;
        if (typeof sig !== "string") throw wrong("a signature of it is not a text");
        return { ...(typeof keyid === "string" ? { keyid } : {}), sig: fromAnyBase64(sig) };
      }),
    };
  } catch (cause) {
    if (cause instanceof BytesError) throw wrong("a field of it is not base64", cause);
    throw cause;
  }
}

/** DSSE lets writers choose between the standard and the URL-safe alphabet. */
function fromAnyBase64(text: string): Uint8Array {
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
}

/**
 * The payload of an envelope that at least `threshold` different keys of `keys` signed. Key ids in it are hints and not
 * looked at: every signature is tried with every key.
 *
 * @param envelope - by {@link parseEnvelope}
 * @param options - `keys` that count; the `payloadType` that is expected; `threshold`, default 1
 * @returns the payload, and which of the keys signed
 * @throws EnvelopeError `not-signed`, `wrong-content`
 *
 * @example
 * ```ts
 * import { generateKey } from "bootproof";
 * import { keySigner } from "bootproof/crypto";
 * import { openEnvelope, parseEnvelope, signEnvelope } from "bootproof/trust";
 * const key = await generateKey("ed25519");
 * const payloadType = "application/vnd.example+json";
 * const text = await signEnvelope(payloadType, new TextEncoder().encode("{}"), [keySigner(key)]);
 * const { payload } = await openEnvelope(parseEnvelope(text), { keys: [key.publicKey], payloadType });
 * if (new TextDecoder().decode(payload) !== "{}") throw new Error("another payload");
 * ```
 */
export async function openEnvelope(
  envelope: Envelope,
  options: { keys: readonly Key[]; payloadType: string; threshold?: number },
): Promise<{ payload: Uint8Array; signedBy: Key[] }> {
  const { keys, payloadType, threshold = 1 } = options;
  const range = preAuthEncoding(envelope.payloadType, envelope.payload);
  const signedBy: Key[] = [];
  for (const key of keys) {
    const algorithm = signatureAlgorithmOf(key);
    const hash = algorithm.hashes[0]!;
    const message = { range, digest: HASHES[hash].digest(range), pure: true };
    for (const { sig } of envelope.signatures)
      if (await algorithm.verify(publicRawOf(key), message, sig)) {
        if (!signedBy.some((one) => toHex(one.keyHash) === toHex(key.keyHash))) signedBy.push(key);
        break;
      }
  }
  if (signedBy.length < threshold)
    throw new EnvelopeError(
      "not-signed",
      `The envelope is signed by ${signedBy.length} of the ${keys.length} keys given; ${threshold} must have signed it.`,
      { hint: "Is it the right public key? Was the file changed after it was signed?" },
    );
  if (envelope.payloadType !== payloadType)
    throw new EnvelopeError(
      "wrong-content",
      `The envelope contains ${envelope.payloadType.slice(0, 80)}; expected ${payloadType}.`,
    );
  return { payload: envelope.payload, signedBy };
}
