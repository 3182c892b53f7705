import { concat, putU16be, take, u16be } from "../bytes.js";
import { LogError } from "./log-error.js";
import { HASH_LENGTH, nodeHash, type TreeHashes } from "./merkle.js";

/** The files that a log is made of. C2SP tlog-tiles. */

/** Entries, or hashes, of a full tile. */
export const TILE_WIDTH = 256;
/** Levels of the tree in one level of tiles. */
const TILE_HEIGHT = 8;
/** An entry's length is a 16-bit number. */
export const LARGEST_ENTRY = 0xffff;

/** `tile/0/x001/x234/067`, `tile/entries/000.p/5`: where a tile of `width` stands. C2SP tlog-tiles, "Merkle Tree". */
export function tilePath(level: number | "entries", index: number, width = TILE_WIDTH): string {
  const path = `tile/${level}/${groupsOf(index)}`;
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

/** Groups of three digits, all but the last with an x before them. */
function groupsOf(index: number): string {
  const groups = [`${index % 1000}`.padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift(`x${`${rest % 1000}`.padStart(3, "0")}`);
  return groups.join("/");
}

/** How many hashes tile `index` of `level` has in a tree of `size` entries; 0 when there is no such tile. */
export function tileWidth(level: number, index: number, size: number): number {
  const nodes = Math.floor(size / TILE_WIDTH ** level);
  return Math.max(0, Math.min(TILE_WIDTH, nodes - index * TILE_WIDTH));
}

/** Every tile of hashes of a tree, widths included, level by level from the leaves up. */
export function* tilesOf(size: number): Generator<{ level: number; index: number; width: number }> {
  for (let level = 0; size >= TILE_WIDTH ** level; level++)
    for (let index = 0; tileWidth(level, index, size) > 0; index++)
      yield { level, index, width: tileWidth(level, index, size) };
}

/**
 * A bundle of entries: each with its length before it, 16 bits, big-endian.
 *
 * @throws LogError `bad-event` for an entry that is too long
 */
export function formatEntries(entries: readonly Uint8Array[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    if (entry.length > LARGEST_ENTRY)
      throw new LogError("bad-event", `An entry of ${entry.length} bytes is too long for a log.`);
    const length = new Uint8Array(2);
    putU16be(length, 0, entry.length);
    return [length, entry];
  });
  return concat(...parts);
}

/**
 * The first `count` entries of a bundle.
 *
 * @throws LogError `bad-tile` when it holds fewer
 */
export function parseEntries(bundle: Uint8Array, count: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  for (let offset = 0; entries.length < count; ) {
    const length = offset + 2 <= bundle.length ? u16be(bundle, offset) : Number.POSITIVE_INFINITY;
    if (offset + 2 + length > bundle.length)
      throw new LogError("bad-tile", `A bundle of ${count} entries ends in entry ${entries.length} of it.`, {
        index: entries.length,
      });
    entries.push(take(bundle, offset + 2, length));
    offset += 2 + length;
  }
  return entries;
}

/** Returns the hashes of a tile that is at least `width` wide. Tells with LogError when there is none. */
export type TileReader = (level: number, index: number, width: number) => Uint8Array;

/** Hashes of a tree of `size` entries out of its tiles. Each tile is read once. */
export function hashesFromTiles(size: number, read: TileReader): TreeHashes {
  const tiles = new Map<string, Uint8Array>();
  const tile = (level: number, index: number): Uint8Array => {
    const key = `${level}/${index}`;
    const known = tiles.get(key);
    if (known) return known;
    const width = tileWidth(level, index, size);
    const bytes = width > 0 ? read(level, index, width) : new Uint8Array();
    if (bytes.length < width * HASH_LENGTH)
      throw new LogError("bad-tile", `Tile ${tilePath(level, index, width)} has ${bytes.length} bytes.`);
    tiles.set(key, bytes);
    return bytes;
  };
  return {
    subtree(level, index) {
      const tileLevel = Math.floor(level / TILE_HEIGHT);
      const width = 2 ** (level % TILE_HEIGHT);
      const first = index * width;
      const bytes = tile(tileLevel, Math.floor(first / TILE_WIDTH));
      return completeHash(take(bytes, (first % TILE_WIDTH) * HASH_LENGTH, width * HASH_LENGTH));
    },
  };
}

/** Hash over a power of two of hashes. */
export function completeHash(hashes: Uint8Array): Uint8Array {
  if (hashes.length === HASH_LENGTH) return hashes;
  const middle = hashes.length / 2;
  return nodeHash(completeHash(hashes.subarray(0, middle)), completeHash(hashes.subarray(middle)));
}
