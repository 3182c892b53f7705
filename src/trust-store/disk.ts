import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { renameOver } from "../rename-over.js";

/**
 * The few things that the stores do to a disk, each of which may be the last before the power fails or the process is
 * killed. A test hands in one that ends in the middle.
 */
export interface Disk {
  /** Content; undefined when there is no such file. */
  read(path: string): Uint8Array | undefined;
  /** Names in a folder, in no order; empty when there is no such folder. */
  list(path: string): string[];
  /** As `mkdir -p`. */
  makeFolder(path: string): void;
  /**
   * Creates or replaces a file that only its owner may read. `sync`: and waits until its content is on the disk; its name
   * may all the same be lost with the power until {@link syncFolder}.
   */
  write(path: string, content: Uint8Array, options: { sync: boolean }): void;
  /**
   * Waits until the content of all these files and the names in all these folders are on the disk, in no order: a file
   * system that is asked for several at once writes its journal once.
   */
  syncAll(files: readonly string[], folders: readonly string[]): Promise<void>;
  /** Waits until the names in a folder are on the disk. */
  syncFolder(path: string): void;
  rename(from: string, to: string): void;
  /** Gives a file a second name; false when that is taken. */
  link(from: string, to: string): boolean;
  /** Removes a file, or a folder with all that is in it; nothing when it is not there. */
  remove(path: string): void;
}

const isCode = (error: unknown, ...codes: string[]): boolean =>
  codes.includes((error as NodeJS.ErrnoException).code ?? "");

/** The machine's own. */
export const realDisk: Disk = {
  read(path) {
    try {
      return new Uint8Array(readFileSync(path));
    } catch (error) {
      if (isCode(error, "ENOENT", "ENOTDIR")) return undefined;
      throw error;
    }
  },
  list(path) {
    try {
      return readdirSync(path);
    } catch (error) {
      if (isCode(error, "ENOENT", "ENOTDIR")) return [];
      throw error;
    }
  },
  makeFolder(path) {
    if (existsSync(path)) return;
    // Node's own recursive one never returns where a parent refuses with ENOENT, as in /proc.
    // A drive that is not there is its own parent.
    if (dirname(path) !== path) realDisk.makeFolder(dirname(path));
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (!isCode(error, "EEXIST")) throw error;
    }
  },
  write(path, content, { sync }) {
    const file = openSync(path, "w", 0o600);
    try {
      for (let done = 0; done < content.length; ) done += writeSync(file, content, done);
      if (sync) fsyncSync(file);
    } finally {
      closeSync(file);
    }
  },
  async syncAll(files, folders) {
    await Promise.all([...files.map(syncOne), ...folders.map(syncNames)]);
  },
  syncFolder(path) {
    let folder: number;
    try {
      folder = openSync(path, "r");
    } catch (error) {
      if (opensNoFolders(error)) return;
      throw error;
    }
    try {
      fsyncSync(folder);
    } catch (error) {
      if (!hasNothingToSync(error)) throw error;
    } finally {
      closeSync(folder);
    }
  },
  rename: (from, to) => renameOver(from, to),
  link(from, to) {
    try {
      linkSync(from, to);
      return true;
    } catch (error) {
      if (isCode(error, "EEXIST")) return false;
      throw error;
    }
  },
  remove: (path) => rmSync(path, { force: true, recursive: true }),
};

/** Windows opens no folders; there the names are written through. */
const opensNoFolders = (error: unknown): boolean =>
  process.platform === "win32" && isCode(error, "EISDIR", "EPERM", "EACCES");

/** Some file systems (network, FUSE) have nothing to do for a folder and say so. */
const hasNothingToSync = (error: unknown): boolean => isCode(error, "EINVAL", "ENOTSUP", "EPERM");

async function syncOne(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncNames(path: string): Promise<void> {
  let folder: FileHandle;
  try {
    folder = await open(path, "r");
  } catch (error) {
    if (opensNoFolders(error)) return;
    throw error;
  }
  try {
    await folder.sync();
  } catch (error) {
    if (!hasNothingToSync(error)) throw error;
  } finally {
    await folder.close();
  }
}

/** Replaces a file whole or not at all, and waits until that is on the disk. */
export function replaceFile(disk: Disk, path: string, content: Uint8Array): void {
  const fresh = `${path}.new`;
  disk.write(fresh, content, { sync: true });
  disk.rename(fresh, path);
  disk.syncFolder(dirname(path));
}
