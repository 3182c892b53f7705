import { BytesError, concat, fromBase64, toBase64, toHex } from "../bytes.js";
import { HASHES } from "../crypto/hashes.js";
import { LogError } from "./log-error.js";

/**
 * Signed notes, as checkpoints are written: a text, an empty line, and one line a signature. C2SP signed-note.
 */

/** Signature type of plain Ed25519, C2SP signed-note. */
export const NOTE_ED25519 = 0x01;

/** C2SP asks readers to accept at least 16 signatures; more than this is no note of ours or of any witness set. */
const MOST_SIGNATURES = 64;
const LONGEST_NOTE = 64 * 1024;
const SIGNATURE_MARK = "\u2014 ";

/** Who may sign a note: a key name and an Ed25519 public key. */
export interface NoteVerifier {
  readonly name: string;
  /** Ed25519 point, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** True when `signature` (64 bytes) over `message` is by this key. */
  verify(message: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>;
}

/** Signs notes under a name. The private key stays behind `sign`. */
export interface NoteSigner {
  readonly name: string;
  readonly publicKey: Uint8Array;
  /** Ed25519 signature of the message, 64 bytes. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** One signature line. */
export interface NoteSignature {
  readonly name: string;
  /** First four bytes of the key's hash, hex. */
  readonly keyId: string;
  /** Type-specific; 64 bytes for Ed25519. */
  readonly signature: Uint8Array;
}

/** A note taken apart, its signatures not yet judged. */
export interface Note {
  /** Ends in a line feed; what the signatures are over. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Identifies a key: first four bytes of SHA-256(name, LF, type, public key). C2SP signed-note, "Signatures". */
export function noteKeyId(name: string, publicKey: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(`${name}\n`);
  return HASHES.sha256.digest(concat(head, Uint8Array.of(NOTE_ED25519), publicKey)).subarray(0, 4);
}

/**
 * `name+keyid+base64(type, key)`: what a verifier in any language is given. C2SP signed-note, "Verifier keys".
 *
 * @param verifier - the key's name, and its 32 bytes
 * @returns one line
 */
export function formatVerifierKey({ name, publicKey }: Pick<NoteVerifier, "name" | "publicKey">): string {
  const key = toBase64(concat(Uint8Array.of(NOTE_ED25519), publicKey));
  return `${name}+${toHex(noteKeyId(name, publicKey))}+${key}`;
}

/**
 * Reads what {@link formatVerifierKey} writes.
 *
 * @param text - one line
 * @returns the key's name, and its 32 bytes
 * @throws LogError `bad-verifier-key`
 */
export function parseVerifierKey(text: string): { name: string; publicKey: Uint8Array } {
  const wrong = (why: string) =>
    new LogError("bad-verifier-key", `This is not a verifier key: ${why}.`, {
      hint: "A verifier key is one line, NAME+8 HEX DIGITS+BASE64; bootproof log key prints it.",
    });
  const parts = /^([^+\s]{1,512})\+([0-9a-f]{8})\+(\S{1,128})$/.exec(text.trim());
  if (!parts) throw wrong("it does not have the form NAME+ID+KEY");
  const [, name, id, encoded] = parts as unknown as [string, string, string, string];
  const bytes = base64(encoded);
  if (bytes?.[0] !== NOTE_ED25519 || bytes.length !== 33) throw wrong("the key in it is not Ed25519");
  const publicKey = bytes.subarray(1);
  if (toHex(noteKeyId(name, publicKey)) !== id) throw wrong("the id in it does not match name and key");
  return { name, publicKey };
}

/** A key name: not empty, neither spaces nor plus signs. C2SP signed-note. */
export function isKeyName(name: string): boolean {
  return name.length > 0 && name.length <= 512 && !/[\s+\p{Cc}]/u.test(name);
}

/**
 * Signs a text that ends in a line feed.
 *
 * @throws LogError `not-a-note` for a text that no note can carry
 */
export async function signNote(text: string, signer: NoteSigner): Promise<string> {
  if (!text.endsWith("\n") || hasControls(text))
    throw new LogError(
      "not-a-note",
      "The text of a note must end with a line feed and contain no control characters.",
    );
  const signature = await signer.sign(new TextEncoder().encode(text));
  const line = toBase64(concat(noteKeyId(signer.name, signer.publicKey), signature));
  return `${text}\n${SIGNATURE_MARK}${signer.name} ${line}\n`;
}

/**
 * Takes a note apart. The signatures are not judged: {@link openNote} does that.
 *
 * @throws LogError `not-a-note`
 */
export function parseNote(note: string): Note {
  const wrong = (why: string) =>
    new LogError("not-a-note", `This is not a signed note: ${why}.`, {
      hint: "bootproof log checkpoint and bootproof log prove write such files.",
    });
  if (note.length > LONGEST_NOTE) throw wrong(`it has more than ${LONGEST_NOTE} characters`);
  if (hasControls(note)) throw wrong("it has control characters");
  const end = note.lastIndexOf("\n\n");
  if (end < 0) throw wrong("it has no empty line before its signatures");
  const text = note.slice(0, end + 1);
  const lines = note.slice(end + 2).split("\n");
  if (lines.pop() !== "" || lines.length === 0) throw wrong("its last line is not a whole signature");
  if (lines.length > MOST_SIGNATURES) throw wrong(`it has more than ${MOST_SIGNATURES} signatures`);
  const signatures = lines.map((line) => {
    const parts = /^\u2014 (\S+) (\S+)$/.exec(line);
    const bytes = parts && base64(parts[2]!);
    if (!parts || !bytes || bytes.length < 5 || !isKeyName(parts[1]!))
      throw wrong("a signature line does not have the form: dash, key name, base64");
    return { name: parts[1]!, keyId: toHex(bytes.subarray(0, 4)), signature: bytes.subarray(4) };
  });
  return { text, signatures };
}

/**
 * The text of a note that at least one of the verifiers' keys signed. Signatures by unknown keys are ignored; a bad one
 * by a known key rejects the note.
 *
 * @throws LogError `not-a-note`, `bad-signature`
 */
export async function openNote(note: string, verifiers: readonly NoteVerifier[]): Promise<string> {
  const { text, signatures } = parseNote(note);
  const message = new TextEncoder().encode(text);
  let isSigned = false;
  for (const { name, keyId, signature } of signatures) {
    const verifier = verifiers.find(
      (candidate) => candidate.name === name && toHex(noteKeyId(name, candidate.publicKey)) === keyId,
    );
    if (!verifier) continue;
    if (signature.length !== 64 || !(await verifier.verify(message, signature)))
      throw new LogError("log-bad-signature", `The signature of ${name} under this note does not verify.`, {
        hint: "The note was changed after it was signed.",
      });
    isSigned = true;
  }
  if (isSigned) return text;
  const signers = signatures.map(({ name, keyId }) => `${name}+${keyId}`).join(", ");
  const wanted = verifiers
    .map((one) => `${one.name}+${toHex(noteKeyId(one.name, one.publicKey))}`)
    .join(", ");
  throw new LogError(
    "log-bad-signature",
    `The note is signed by ${signers}; expected ${wanted || "no key"}.`,
    {
      hint: "Give the verifier key of the log that wrote it.",
    },
  );
}

/** The bytes, or undefined for what is not strict base64. */
function base64(text: string): Uint8Array | undefined {
  try {
    const bytes = fromBase64(text);
    // Two texts for the same bytes would let a note be altered without harm to its signature.
    return toBase64(bytes) === text ? bytes : undefined;
  } catch (error) {
    if (!(error instanceof BytesError)) throw error;
    return undefined;
  }
}

function hasControls(text: string): boolean {
  return /(?!\n)\p{Cc}|\p{Cs}/u.test(text);
}
