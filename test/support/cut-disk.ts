import { basename, dirname } from "node:path";
import type { Disk } from "../../src/trust-store/disk.js";

/** The process was killed here. */
export class Killed extends Error {}

/** How a disk operation is cut: not begun, or half done where it can be. */
export type Cut = "before" | "half";

const CHANGES = ["makeFolder", "write", "syncFolder", "rename", "link", "remove"] as const;

/** A disk whose process is killed at its `at`-th change, counted from 0. Nothing reaches the disk after that. */
export function cutDisk(disk: Disk, at: number, cut: Cut): Disk & { readonly changes: number } {
  let changes = 0;
  let isDead = false;
  const alive = <T>(work: () => T): T => {
    if (isDead) throw new Killed("killed");
    return work();
  };
  const wrapped: Record<string, unknown> = {
    read: (path: string) => alive(() => disk.read(path)),
    list: (path: string) => alive(() => disk.list(path)),
  };
  for (const name of CHANGES) {
    const act = disk[name].bind(disk) as (...words: unknown[]) => unknown;
    wrapped[name] = (...words: unknown[]) =>
      alive(() => {
        if (changes++ !== at) return act(...words);
        isDead = true;
        const [path, content] = words;
        if (cut === "half" && name === "write" && content instanceof Uint8Array)
          disk.write(path as string, content.subarray(0, content.length >> 1), { sync: false });
        throw new Killed(`killed at change ${at}: ${name} ${path}`);
      });
  }
  // Any of them may be the last that happens, in whatever order.
  wrapped.syncAll = async (files: readonly string[], folders: readonly string[]) => {
    const each = [...folders.map((folder) => [[], [folder]]), ...files.map((file) => [[file], []])];
    for (const [file, folder] of each) {
      if (changes++ === at) {
        isDead = true;
        throw new Killed(`killed at change ${at}: sync`);
      }
      await alive(() => disk.syncAll(file!, folder!));
    }
  };
  return Object.defineProperty(wrapped, "changes", { get: () => changes }) as unknown as Disk & {
    readonly changes: number;
  };
}

interface Inode {
  now: Uint8Array;
  /** Content that is on the medium; undefined until it is synced for the first time. */
  kept: Uint8Array | undefined;
}

/** Which of the names that were not synced outlive a power cut; content that was not synced never does. */
export type NamesAfterCut = "synced" | "all";

/** A disk in memory with a cache that a power cut empties. */
export class PowerDisk implements Disk {
  #now = new Map<string, Inode>();
  #kept = new Map<string, Inode>();

  read(path: string): Uint8Array | undefined {
    return this.#now.get(path)?.now.slice();
  }

  list(path: string): string[] {
    const inside = [...this.#now.keys()].filter((name) => name.startsWith(`${path}/`));
    return [...new Set(inside.map((name) => name.slice(path.length + 1).split("/")[0]!))];
  }

  makeFolder(): void {}

  write(path: string, content: Uint8Array, { sync }: { sync: boolean }): void {
    const there = this.#now.get(path);
    const inode = there ?? { now: content, kept: undefined };
    inode.now = content.slice();
    if (sync) inode.kept = inode.now;
    this.#now.set(path, inode);
  }

  async syncAll(files: readonly string[], folders: readonly string[]): Promise<void> {
    for (const file of files) this.syncFile(file);
    for (const folder of folders) this.syncFolder(folder);
  }

  syncFile(path: string): void {
    const inode = this.#now.get(path)!;
    inode.kept = inode.now;
  }

  syncFolder(path: string): void {
    const isInside = (name: string) => dirname(name) === path;
    for (const name of [...this.#kept.keys()])
      if (isInside(name) && !this.#now.has(name)) this.#kept.delete(name);
    for (const [name, inode] of this.#now) if (isInside(name)) this.#kept.set(name, inode);
    this.#syncMoved(path);
  }

  /** A folder that was renamed into this one: with its new name its old one is gone. */
  #syncMoved(path: string): void {
    const folders = new Set(this.list(path).map((name) => `${path}/${name}`));
    for (const [name, inode] of this.#moved) {
      const folder = [...folders].find((candidate) => name.startsWith(`${candidate}/`));
      if (folder === undefined || dirname(folder) !== path) continue;
      this.#kept.set(name, inode.inode);
      this.#kept.delete(inode.from);
      this.#moved.delete(name);
    }
  }

  /** Files of renamed folders that were on the medium under their old name. */
  readonly #moved = new Map<string, { from: string; inode: Inode }>();

  rename(from: string, to: string): void {
    const file = this.#now.get(from);
    if (file) {
      this.#now.delete(from);
      this.#now.set(to, file);
      return;
    }
    for (const [name, inode] of [...this.#now]) {
      if (!name.startsWith(`${from}/`)) continue;
      const moved = to + name.slice(from.length);
      this.#now.delete(name);
      this.#now.set(moved, inode);
      if (this.#kept.has(name)) this.#moved.set(moved, { from: name, inode });
    }
  }

  link(from: string, to: string): boolean {
    if (this.#now.has(to)) return false;
    this.#now.set(to, this.#now.get(from)!);
    return true;
  }

  remove(path: string): void {
    for (const name of [...this.#now.keys()])
      if (name === path || name.startsWith(`${path}/`)) this.#now.delete(name);
  }

  /** What a machine finds that is started again. */
  afterPowerCut(names: NamesAfterCut): PowerDisk {
    const after = new PowerDisk();
    for (const [name, { kept }] of names === "all" ? this.#now : this.#kept) {
      const content = kept ?? new Uint8Array();
      const inode = { now: content, kept: content };
      after.#now.set(name, inode);
      after.#kept.set(name, inode);
    }
    return after;
  }

  /** Names for a message. */
  toString(): string {
    return [...this.#now.keys()].map((name) => basename(name)).join(" ");
  }
}
