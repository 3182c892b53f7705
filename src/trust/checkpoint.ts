import { BytesError, fromBase64, toBase64 } from "../bytes.js";
import { LogError } from "./log-error.js";
import { HASH_LENGTH, isTreeSize } from "./merkle.js";
import { type NoteSigner, type NoteVerifier, openNote, parseNote, signNote } from "./signed-note.js";

/** What a log was at one time. C2SP tlog-checkpoint. */
export interface Checkpoint {
  /** Names the log, as a URL without its scheme. */
  readonly origin: string;
  /** Number of entries. */
  readonly size: number;
  /** Root of the tree of these entries, 32 bytes. */
  readonly root: Uint8Array;
}

/** The text that is signed: origin, size, root, a line each. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/**
 * The checkpoint in a note's text. Extension lines are allowed and not looked at.
 *
 * @throws LogError `bad-checkpoint`
 */
export function parseCheckpoint(text: string): Checkpoint {
  const wrong = (why: string) => new LogError("bad-checkpoint", `This is not a checkpoint: ${why}.`);
  const [origin = "", size = "", root = "", ...rest] = text.split("\n");
  if (origin === "" || rest.at(-1) !== "") throw wrong("it does not have three lines: origin, size, root");
  if (!/^(0|[1-9]\d{0,15})$/.test(size) || !isTreeSize(Number(size)))
    throw wrong("its second line is not the size of a log");
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(root);
  } catch (error) {
    if (!(error instanceof BytesError)) throw error;
    throw wrong("its third line is not base64");
  }
  if (bytes.length !== HASH_LENGTH || toBase64(bytes) !== root)
    throw wrong("its third line is not a root hash");
  return { origin, size: Number(size), root: bytes };
}

/** Signs a checkpoint; the key's name is the log's origin, as C2SP asks. */
export function signCheckpoint(checkpoint: Checkpoint, signer: NoteSigner): Promise<string> {
  return signNote(formatCheckpoint(checkpoint), signer);
}

/**
 * A checkpoint that one of these keys signed.
 *
 * @throws LogError `not-a-note`, `bad-signature`, `bad-checkpoint`
 */
export async function openCheckpoint(note: string, verifiers: readonly NoteVerifier[]): Promise<Checkpoint> {
  return parseCheckpoint(await openNote(note, verifiers));
}

/** A checkpoint whose signatures nobody has judged: to find out which log it speaks of. */
export function readUnverified(note: string): Checkpoint {
  return parseCheckpoint(parseNote(note).text);
}
