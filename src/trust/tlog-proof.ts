import { BytesError, equal, fromBase64, toBase64 } from "../bytes.js";
import { type Checkpoint, openCheckpoint } from "./checkpoint.js";
import { LogError } from "./log-error.js";
import { HASH_LENGTH, isTreeSize, leafHash, rootFromInclusion } from "./merkle.js";
import type { NoteVerifier } from "./signed-note.js";

/** Proof that an entry is in a log: a file beside a report. C2SP tlog-proof. */
export interface TlogProof {
  readonly index: number;
  /** Audit path, from the leaf's sibling up. */
  readonly path: readonly Uint8Array[];
  /** The signed note, whole. */
  readonly checkpoint: string;
  /** What the maker of the proof added; here the entry itself. */
  readonly extra?: Uint8Array;
}

const FIRST_LINE = "c2sp.org/tlog-proof@v1";
/** A tree of 2^40 entries has 40 levels; RFC 6962 paths are no longer. */
const LONGEST_PATH = 64;
const LONGEST_FILE = 256 * 1024;

/**
 * Writes a proof as text, one item per line (C2SP tlog-proof, version 1).
 *
 * @param proof - index, path of hashes, and the log's checkpoint
 * @returns text with a line feed at its end
 */
export function formatProof({ index, path, checkpoint, extra }: TlogProof): string {
  const lines = [
    FIRST_LINE,
    ...(extra ? [`extra ${toBase64(extra)}`] : []),
    `index ${index}`,
    ...path.map(toBase64),
  ];
  return `${lines.join("\n")}\n\n${checkpoint}`;
}

/**
 * Reads a proof; nothing in it is believed yet.
 *
 * @param text - as it came
 * @returns index, path of hashes, checkpoint, and the entry when the proof carries it
 * @throws LogError `bad-proof`
 */
export function parseProof(text: string): TlogProof {
  const wrong = (why: string) =>
    new LogError("bad-proof", `This is not a proof of a log: ${why}.`, {
      hint: "bootproof log prove writes one.",
    });
  if (text.length > LONGEST_FILE) throw wrong(`it has more than ${LONGEST_FILE} characters`);
  const end = text.indexOf("\n\n");
  if (end < 0) throw wrong("it has no empty line before its checkpoint");
  const [first, ...lines] = text.slice(0, end).split("\n");
  if (first !== FIRST_LINE) throw wrong(`its first line is not ${FIRST_LINE}`);
  const extra = lines[0]?.startsWith("extra ") ? lines.shift()!.slice(6) : undefined;
  const index = /^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? "")?.[1];
  if (index === undefined || !isTreeSize(Number(index))) throw wrong("it names no index");
  if (lines.length > LONGEST_PATH) throw wrong(`its path has more than ${LONGEST_PATH} hashes`);
  try {
    const path = lines.map(fromBase64);
    if (path.some((hash) => hash.length !== HASH_LENGTH)) throw wrong("a hash in it does not have 32 bytes");
    return {
      index: Number(index),
      path,
      checkpoint: text.slice(end + 2),
      ...(extra === undefined ? {} : { extra: fromBase64(extra) }),
    };
  } catch (error) {
    if (error instanceof BytesError) throw wrong("a line in it is not base64");
    throw error;
  }
}

/**
 * Checks a proof against the log's key.
 *
 * @param proof - by {@link parseProof}
 * @param verifiers - keys of the log that count
 * @param entry the entry's bytes; default: those the proof carries
 * @returns the checkpoint that the entry was proven under
 * @throws LogError `bad-proof`, `bad-signature`, `not-a-note`, `bad-checkpoint`
 */
export async function verifyProof(
  proof: TlogProof,
  verifiers: readonly NoteVerifier[],
  entry: Uint8Array | undefined = proof.extra,
): Promise<{ checkpoint: Checkpoint; entry: Uint8Array }> {
  const checkpoint = await openCheckpoint(proof.checkpoint, verifiers);
  if (entry === undefined)
    throw new LogError("bad-proof", "The proof contains no entry, and none was given to compare with it.");
  const root = rootFromInclusion(proof.index, checkpoint.size, leafHash(entry), proof.path);
  if (root === undefined || !equal(root, checkpoint.root))
    throw new LogError("bad-proof", `Entry ${proof.index} is not the one that the proof was made for.`, {
      hint: "The entry, the index or the path was changed.",
      index: proof.index,
    });
  return { checkpoint, entry };
}
