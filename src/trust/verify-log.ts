import { equal, toHex } from "../bytes.js";
import { type Checkpoint, openCheckpoint, readUnverified } from "./checkpoint.js";
import { type LogEvent, parseEvent } from "./events.js";
import { LogError } from "./log-error.js";
import { HASH_LENGTH, leafHash, rootFromInclusion, treeRoot } from "./merkle.js";
import type { NoteVerifier } from "./signed-note.js";
import { completeHash, hashesFromTiles, parseEntries, TILE_WIDTH, tilesOf } from "./tiles.js";
import type { TlogProof } from "./tlog-proof.js";

/** Checks a whole log: its own consistency, and its past against what was seen of it earlier. */

/** Reads a log's files. What is not there is undefined. */
export interface LogReader {
  /** The signed note. */
  checkpoint(): string | undefined;
  /** Bundle of entries that holds at least `width` of them. */
  entries(index: number, width: number): Uint8Array | undefined;
  /** Tile of hashes that holds at least `width` of them. */
  tile(level: number, index: number, width: number): Uint8Array | undefined;
}

export type LogProblemKind =
  | "edited"
  | "not-an-event"
  | "missing"
  | "out-of-order"
  | "tiles-damaged"
  | "root-not-signed"
  | "truncated"
  | "rewritten";

export interface LogProblem {
  readonly kind: LogProblemKind;
  /** First entry that is wrong; absent where only the whole is known to be. */
  readonly index?: number;
  /** One sentence for people. */
  readonly message: string;
}

/** What somebody kept of the log earlier: a checkpoint, with the leaf hashes of that time or not; or a proof. */
export interface EarlierState {
  /** How to call it in a message: a file's name. */
  readonly name: string;
  readonly checkpoint: string;
  /** Concatenated leaf hashes of its entries, which say where exactly a rewritten log differs. */
  readonly leaves?: Uint8Array;
  /** One entry's proof under the checkpoint. */
  readonly proof?: TlogProof;
}

export interface LogVerdict {
  readonly checkpoint: Checkpoint;
  /** In the order of the entries; the first is the one to look at. Empty: the log is what it was signed as. */
  readonly problems: readonly LogProblem[];
  /** Number of earlier states that the log was found consistent with; 0: it is consistent with itself, not witnessed. */
  readonly witnessedBy: number;
  /** Entries whose wall clock is before that of the entry ahead of them: the clock was set back. Not a problem of the log. */
  readonly clockSetBack: readonly number[];
  /** First and last entry, where they could be read. */
  readonly first?: LogEvent;
  readonly last?: LogEvent;
}

/**
 * Reads every entry, recomputes every hash and compares.
 *
 * @throws LogError `no-log`; `not-a-note`, `bad-signature`, `bad-checkpoint` for the log's checkpoint or an earlier one;
 * `other-log` when an earlier state is of another log
 */
export async function verifyLog(
  reader: LogReader,
  verifiers: readonly NoteVerifier[],
  earlier: readonly EarlierState[] = [],
): Promise<LogVerdict> {
  const note = reader.checkpoint();
  if (note === undefined) throw new LogError("no-log", "There is no log here: it has no checkpoint.");
  const checkpoint = await openCheckpoint(note, verifiers);
  const seen = await Promise.all(earlier.map((state) => openEarlier(state, checkpoint, verifiers)));
  const walk = walkEntries(reader, checkpoint.size);
  const leaves = joinLeaves(walk.leaves);
  const problems = [
    ...walk.problems,
    ...(walk.leaves.length === checkpoint.size
      ? rootProblems(reader, leaves, checkpoint, walk.problems)
      : []),
  ];
  let witnessedBy = 0;
  for (const state of seen) {
    const problem = compareWithEarlier(state, leaves, checkpoint);
    if (problem === undefined) witnessedBy++;
    else problems.push(problem);
  }
  return {
    checkpoint,
    problems: inOrder(problems),
    witnessedBy: problems.length === 0 ? witnessedBy : 0,
    clockSetBack: walk.clockSetBack,
    ...(walk.first && { first: walk.first }),
    ...(walk.last && { last: walk.last }),
  };
}

interface Seen extends EarlierState {
  readonly then: Checkpoint;
}

async function openEarlier(
  state: EarlierState,
  now: Checkpoint,
  verifiers: readonly NoteVerifier[],
): Promise<Seen> {
  const { origin } = readUnverified(state.checkpoint);
  if (origin !== now.origin)
    throw new LogError("other-log", `${state.name} is of the log ${origin}; this is ${now.origin}.`, {
      hint: "bootproof log verify --log NUMBER chooses an older log of this folder.",
    });
  const then = await openCheckpoint(state.checkpoint, verifiers);
  const { leaves } = state;
  if (leaves === undefined) return { ...state, then };
  const isOfIt =
    leaves.length === then.size * HASH_LENGTH && equal(treeRoot(then.size, hashesOver(leaves)), then.root);
  if (!isOfIt)
    throw new LogError("bad-checkpoint", `The leaf hashes next to ${state.name} do not match its root.`, {
      hint: "Remove that file: the checkpoint alone still finds a rewritten log, without naming the entry.",
    });
  return { ...state, then };
}

interface Walk {
  readonly leaves: Uint8Array[];
  readonly problems: LogProblem[];
  readonly clockSetBack: number[];
  first?: LogEvent;
  last?: LogEvent;
}

/** Every entry in order, until one cannot be read. */
function walkEntries(reader: LogReader, size: number): Walk {
  const walk: Walk = { leaves: [], problems: [], clockSetBack: [] };
  for (let tile = 0; tile * TILE_WIDTH < size; tile++) {
    const width = Math.min(TILE_WIDTH, size - tile * TILE_WIDTH);
    const { entries, missing } = readBundle(reader, tile, width);
    const hashes = reader.tile(0, tile, width);
    for (const [at, entry] of entries.entries()) {
      const leaf = leafHash(entry);
      const stored = hashes?.subarray(at * HASH_LENGTH, (at + 1) * HASH_LENGTH);
      judgeEntry(walk, tile * TILE_WIDTH + at, { entry, leaf, stored });
      walk.leaves.push(leaf);
    }
    if (missing === undefined) continue;
    const index = walk.leaves.length;
    walk.problems.push({
      kind: "missing",
      index,
      message: `Entry ${index} of ${size} is missing: ${missing}`,
    });
    break;
  }
  return walk;
}

function readBundle(
  reader: LogReader,
  tile: number,
  width: number,
): { entries: Uint8Array[]; missing?: string } {
  const bundle = reader.entries(tile, width);
  if (bundle === undefined) return { entries: [], missing: "its file is missing." };
  try {
    return { entries: parseEntries(bundle, width) };
  } catch (error) {
    if (!(error instanceof LogError && error.index !== undefined)) throw error;
    return { entries: parseEntries(bundle, error.index), missing: "its file ends before it." };
  }
}

function judgeEntry(
  walk: Walk,
  index: number,
  { entry, leaf, stored }: { entry: Uint8Array; leaf: Uint8Array; stored: Uint8Array | undefined },
): void {
  const found = (kind: LogProblemKind, message: string) => walk.problems.push({ kind, index, message });
  if (stored === undefined || stored.length < HASH_LENGTH)
    found("tiles-damaged", `The hash of entry ${index} is missing from its tile.`);
  else if (!equal(stored, leaf)) found("edited", `Entry ${index} does not have the hash in its tile.`);
  let event: LogEvent;
  try {
    event = parseEvent(entry);
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    found("not-an-event", `Entry ${index}: ${error.message}`);
    return;
  }
  if (event.seq !== index) {
    const gap = event.seq > index ? `; ${event.seq - index} before it are missing` : "";
    found("out-of-order", `Entry ${index} was written as entry ${event.seq}${gap}.`);
  } else {
    const before = walk.leaves.at(-1);
    if (event.prev !== (before && toHex(before)))
      found("out-of-order", `Entry ${index} does not continue the entry before it.`);
  }
  if (walk.last && event.time < walk.last.time) walk.clockSetBack.push(index);
  walk.first ??= event;
  walk.last = event;
}

/** Tiles above the leaves, and the root. */
function rootProblems(
  reader: LogReader,
  leaves: Uint8Array,
  { size, root }: Checkpoint,
  before: readonly LogProblem[],
): LogProblem[] {
  const hashes = hashesOver(leaves);
  if (!equal(treeRoot(size, hashes), root)) {
    if (before.length > 0) return [];
    const message = "The entries and their tiles do not match the signed root: they were rebuilt.";
    return [{ kind: "root-not-signed", message }];
  }
  for (const { level, index, width } of tilesOf(size)) {
    if (level === 0) continue;
    const stored = reader.tile(level, index, width);
    for (let at = 0; at < width; at++) {
      const wanted = hashes.subtree(level * 8, index * TILE_WIDTH + at);
      if (stored && equal(stored.subarray(at * HASH_LENGTH, (at + 1) * HASH_LENGTH), wanted)) continue;
      const entry = (index * TILE_WIDTH + at) * TILE_WIDTH ** level;
      const message = `The tile over the entries from ${entry} on (level ${level}) is damaged or gone.`;
      return [{ kind: "tiles-damaged", index: entry, message }];
    }
  }
  return [];
}

function compareWithEarlier(
  { then, leaves: thenLeaves, proof, name }: Seen,
  leaves: Uint8Array,
  now: Checkpoint,
): LogProblem | undefined {
  const have = leaves.length / HASH_LENGTH;
  const common = Math.min(then.size, have);
  const differs = thenLeaves && firstDifference(thenLeaves, leaves, common);
  if (differs !== undefined) {
    const message = `Entry ${differs} differs from the one when ${name} was written (${then.size} entries).`;
    return { kind: "rewritten", index: differs, message };
  }
  if (then.size > now.size) {
    const message = `The log had ${then.size} entries when ${name} was written and has ${now.size}: entry ${now.size} is the first that is missing.`;
    return { kind: "truncated", index: now.size, message };
  }
  if (have < then.size) {
    const message = `The remaining entries cannot be compared with ${name}: entry ${have} is missing.`;
    return { kind: "rewritten", index: have, message };
  }
  if (equal(treeRoot(then.size, hashesOver(leaves)), then.root)) return undefined;
  if (proof && !isEntryOf(proof, leaves, then)) {
    const message = `Entry ${proof.index} differs from the one when ${name} was written.`;
    return { kind: "rewritten", index: proof.index, message };
  }
  const message = `The first ${then.size} entries are not those of ${name}: the log was rewritten before entry ${then.size}.`;
  return { kind: "rewritten", message };
}

/** The entry that stands where a proof says is the one that it was made for. */
function isEntryOf({ index, path }: TlogProof, leaves: Uint8Array, then: Checkpoint): boolean {
  const leaf = leaves.subarray(index * HASH_LENGTH, (index + 1) * HASH_LENGTH);
  const root = rootFromInclusion(index, then.size, leaf, path);
  return root !== undefined && equal(root, then.root);
}

function firstDifference(a: Uint8Array, b: Uint8Array, count: number): number | undefined {
  for (let at = 0; at < count * HASH_LENGTH; at++) if (a[at] !== b[at]) return Math.floor(at / HASH_LENGTH);
  return undefined;
}

/** Hashes of all complete subtrees over leaf hashes that lie in one array. */
function hashesOver(leaves: Uint8Array) {
  return hashesFromTiles(leaves.length / HASH_LENGTH, tilesOver(leaves));
}

/** Every tile of the tree over these leaves, made when it is asked for. */
function tilesOver(leaves: Uint8Array) {
  const levels = [leaves];
  const levelOf = (level: number): Uint8Array => {
    while (levels.length <= level) levels.push(nextLevel(levels.at(-1)!));
    return levels[level]!;
  };
  return (level: number, index: number): Uint8Array =>
    levelOf(level).subarray(index * TILE_WIDTH * HASH_LENGTH, (index + 1) * TILE_WIDTH * HASH_LENGTH);
}

/** The roots of all full tiles. */
function nextLevel(hashes: Uint8Array): Uint8Array {
  const width = TILE_WIDTH * HASH_LENGTH;
  const count = Math.floor(hashes.length / width);
  const roots = Array.from({ length: count }, (_, index) =>
    completeHash(hashes.subarray(index * width, (index + 1) * width)),
  );
  return joinLeaves(roots);
}

function joinLeaves(hashes: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(hashes.length * HASH_LENGTH);
  for (const [at, hash] of hashes.entries()) joined.set(hash, at * HASH_LENGTH);
  return joined;
}

/** Problems whose entry is known first, by entry. */
function inOrder(problems: readonly LogProblem[]): LogProblem[] {
  const rank = ({ index }: LogProblem) => index ?? Number.POSITIVE_INFINITY;
  // Infinity minus itself is no number, so equal ranks are told apart first.
  return [...problems].sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
}
