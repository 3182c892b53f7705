import { concat, equal } from "../bytes.js";
import { HASHES } from "../crypto/hashes.js";
import { LogError } from "./log-error.js";

/** Merkle trees and their proofs. RFC 6962, section 2.1; verification as in RFC 9162, sections 2.1.3 and 2.1.4. */

/** Length of every hash in a tree, bytes. */
export const HASH_LENGTH = 32;

/** A tree of more entries is refused: it leaves numbers exact, and no log of ours is that long. */
export const LARGEST_TREE = 2 ** 40;

/** Hashes of the complete subtrees of a log: those of `2 ** level` entries, counted from the left. */
export interface TreeHashes {
  /** Hash of the entries `index * 2 ** level` up to, not including, `(index + 1) * 2 ** level`. */
  subtree(level: number, index: number): Uint8Array;
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** SHA-256(0x00, entry). */
export function leafHash(entry: Uint8Array): Uint8Array {
  return HASHES.sha256.digest(concat(LEAF, entry));
}

/** SHA-256(0x01, left, right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return HASHES.sha256.digest(concat(NODE, left, right));
}

/** Root of a tree of `size` entries; of none, the hash of nothing. */
export function treeRoot(size: number, hashes: TreeHashes): Uint8Array {
  return size === 0 ? HASHES.sha256.digest(new Uint8Array()) : rangeHash(0, size, hashes);
}

/** The hash of the entries from `low` to `high`; `low` is where such a subtree may begin. */
function rangeHash(low: number, high: number, hashes: TreeHashes): Uint8Array {
  const count = high - low;
  const level = Math.log2(count);
  if (Number.isInteger(level)) return hashes.subtree(level, low / count);
  const middle = low + splitOf(count);
  return nodeHash(rangeHash(low, middle, hashes), rangeHash(middle, high, hashes));
}

/** The largest power of two below `count`. */
function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

/**
 * Audit path of an entry: the hashes from the leaf's sibling up. RFC 6962, section 2.1.1.
 *
 * @throws LogError `bad-proof` for an index outside the tree
 */
export function inclusionProof(index: number, size: number, hashes: TreeHashes): Uint8Array[] {
  if (!(index >= 0 && index < size))
    throw new LogError("bad-proof", `There is no entry ${index} in a log of ${size} entries.`);
  const path = (low: number, high: number): Uint8Array[] => {
    if (high - low === 1) return [];
    const middle = low + splitOf(high - low);
    return index < middle
      ? [...path(low, middle), rangeHash(middle, high, hashes)]
      : [...path(middle, high), rangeHash(low, middle, hashes)];
  };
  return path(0, size);
}

/**
 * Proof that the first `before` entries of a tree of `size` are a tree seen earlier. RFC 6962, section 2.1.2.
 *
 * @throws LogError `bad-proof` when the earlier tree is empty or larger
 */
export function consistencyProof(before: number, size: number, hashes: TreeHashes): Uint8Array[] {
  if (!(before > 0 && before <= size))
    throw new LogError("bad-proof", `A log of ${size} entries cannot be compared with one of ${before}.`);
  const proof = (low: number, high: number, isRootKnown: boolean): Uint8Array[] => {
    if (high === before) return isRootKnown ? [] : [rangeHash(low, high, hashes)];
    const middle = low + splitOf(high - low);
    return before <= middle
      ? [...proof(low, middle, isRootKnown), rangeHash(middle, high, hashes)]
      : [...proof(middle, high, false), rangeHash(low, middle, hashes)];
  };
  return proof(0, size, true);
}

/** The root that an audit path leads to; undefined when the path is too long or too short. RFC 9162, section 2.1.3.2. */
export function rootFromInclusion(
  index: number,
  size: number,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
): Uint8Array | undefined {
  if (!isTreeSize(size) || !Number.isInteger(index) || index < 0 || index >= size) return undefined;
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return undefined;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 ? hash : undefined;
}

/** True when the tree of `size` entries with `root` begins with the one of `before` entries. RFC 9162, section 2.1.4.2. */
export function isConsistent(
  older: { size: number; root: Uint8Array },
  newer: { size: number; root: Uint8Array },
  proof: readonly Uint8Array[],
): boolean {
  if (!isTreeSize(older.size) || !isTreeSize(newer.size) || older.size > newer.size) return false;
  if (older.size === newer.size) return proof.length === 0 && equal(older.root, newer.root);
  if (older.size === 0) return proof.length === 0;
  const path = Number.isInteger(Math.log2(older.size)) ? [older.root, ...proof] : [...proof];
  let [first] = path;
  if (first === undefined) return false;
  let second = first;
  let [node, last] = [older.size - 1, newer.size - 1];
  while (node % 2 === 1) [node, last] = [half(node), half(last)];
  for (const hash of path.slice(1)) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      first = nodeHash(hash, first);
      second = nodeHash(hash, second);
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      second = nodeHash(second, hash);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equal(first, older.root) && equal(second, newer.root);
}

/** A size that a tree can have here. */
export function isTreeSize(size: number): boolean {
  return Number.isInteger(size) && size >= 0 && size <= LARGEST_TREE;
}

const half = (value: number): number => Math.floor(value / 2);
