import { join } from "node:path";
import { concat } from "../bytes.js";
import { HASH_LENGTH, leafHash, treeRoot } from "../trust/merkle.js";
import {
  completeHash,
  formatEntries,
  hashesFromTiles,
  parseEntries,
  TILE_WIDTH,
  tilePath,
  tileWidth,
} from "../trust/tiles.js";
import type { LogReader } from "../trust/verify-log.js";
import type { Disk } from "./disk.js";
import { damaged, folderReader, tileReader } from "./log-folder.js";

/** The tiles of a log that grows. Nothing that an earlier checkpoint covers is ever written over. */
export class WritableTree {
  size: number;
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #reader: LogReader;
  /** Tiles that changed, by level and index. */
  readonly #fresh = new Map<string, Uint8Array>();
  /** Written, and not yet known to be on the disk. */
  readonly #unsynced = { files: new Set<string>(), folders: new Set<string>() };

  constructor(disk: Disk, folder: string, size: number) {
    this.#disk = disk;
    this.#folder = folder;
    this.#reader = folderReader(folder, disk);
    this.size = size;
  }

  root(): Uint8Array {
    const read = tileReader(this.#reader);
    const hashes = hashesFromTiles(
      this.size,
      (level, index, width) => this.#fresh.get(`${level}/${index}`) ?? read(level, index, width),
    );
    return treeRoot(this.size, hashes);
  }

  lastEntry(): Uint8Array {
    const tile = Math.floor((this.size - 1) / TILE_WIDTH);
    const width = this.size - tile * TILE_WIDTH;
    return this.#bundle(tile, width).at(-1)!;
  }

  /**
   * Writes entries and hashes; the tree is not larger for anybody else until a checkpoint says so, which must not happen
   * before {@link sync}.
   */
  append(entries: readonly Uint8Array[]): void {
    const before = this.size;
    const tile = Math.floor(before / TILE_WIDTH);
    const held = before % TILE_WIDTH === 0 ? [] : this.#bundle(tile, before % TILE_WIDTH);
    const all = [...held, ...entries];
    for (let at = 0; at < all.length; at += TILE_WIDTH) {
      const bundle = all.slice(at, at + TILE_WIDTH);
      const index = tile + at / TILE_WIDTH;
      const had = at === 0 ? held.length : 0;
      this.#put("entries", index, { had, has: bundle.length }, formatEntries(bundle));
    }
    this.#extendLevel(0, before, entries.map(leafHash));
    this.size = before + entries.length;
  }

  /** Waits until all that was written is on the disk, and the content of `more` files beside it. */
  async sync(more: readonly string[]): Promise<void> {
    const { files, folders } = this.#unsynced;
    await this.#disk.syncAll([...files, ...more], [...folders]);
    files.clear();
    folders.clear();
  }

  /** Adds hashes to a level of tiles, and those of the tiles that are full now to the level above. */
  #extendLevel(level: number, before: number, hashes: readonly Uint8Array[]): void {
    const full: Uint8Array[] = [];
    const first = Math.floor(before / TILE_WIDTH);
    const width = before % TILE_WIDTH;
    const held = width === 0 ? new Uint8Array() : tileReader(this.#reader)(level, first, width);
    const all = concat(held.subarray(0, width * HASH_LENGTH), ...hashes);
    const tileBytes = TILE_WIDTH * HASH_LENGTH;
    for (let at = 0; at < all.length; at += tileBytes) {
      const tile = all.slice(at, at + tileBytes);
      const index = first + at / tileBytes;
      this.#fresh.set(`${level}/${index}`, tile);
      const widths = { had: at === 0 ? width : 0, has: tile.length / HASH_LENGTH };
      this.#put(level, index, widths, tile);
      if (tile.length === tileBytes) full.push(completeHash(tile));
    }
    if (full.length > 0) this.#extendLevel(level + 1, first, full);
  }

  #put(
    level: number | "entries",
    index: number,
    { had, has }: { had: number; has: number },
    content: Uint8Array,
  ): void {
    this.#removeStrays(level, index, had);
    const path = join(this.#folder, tilePath(level, index, has));
    const folder = join(path, "..");
    makeFoldersSynced(this.#disk, this.#folder, folder);
    this.#disk.write(path, content, { sync: false });
    this.#unsynced.files.add(path);
    this.#unsynced.folders.add(folder);
  }

  /** What a process that was killed left behind: wider than anything that was ever signed for. */
  #removeStrays(level: number | "entries", index: number, width: number): void {
    const full = join(this.#folder, tilePath(level, index));
    this.#disk.remove(full);
    for (const name of this.#disk.list(`${full}.p`))
      if (Number(name) > width) this.#disk.remove(join(`${full}.p`, name));
  }

  /** Removes the partial tiles that wider ones replace, once a checkpoint covers those. */
  tidy(): void {
    for (const key of this.#fresh.keys()) {
      const [level, index] = key.split("/").map(Number) as [number, number];
      this.#tidyTile(level, index, tileWidth(level, index, this.size));
      if (level === 0) this.#tidyTile("entries", index, tileWidth(0, index, this.size));
    }
  }

  #tidyTile(level: number | "entries", index: number, width: number): void {
    const partial = `${join(this.#folder, tilePath(level, index))}.p`;
    if (width === TILE_WIDTH) this.#disk.remove(partial);
    else
      for (const name of this.#disk.list(partial))
        if (Number(name) < width) this.#disk.remove(join(partial, name));
  }

  #bundle(index: number, width: number): Uint8Array[] {
    const bundle = this.#reader.entries(index, width);
    if (bundle === undefined) throw damaged(index * TILE_WIDTH, "its file is gone");
    return parseEntries(bundle, width);
  }
}

/** As `mkdir -p` below `root`; every new name is on the disk. */
function makeFoldersSynced(disk: Disk, root: string, folder: string): void {
  if (folder === root || disk.list(join(folder, "..")).includes(folder.slice(folder.lastIndexOf("/") + 1)))
    return;
  const parent = join(folder, "..");
  makeFoldersSynced(disk, root, parent);
  disk.makeFolder(folder);
  disk.syncFolder(parent);
}
