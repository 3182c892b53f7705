import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { BootproofError } from "../errors.js";
import { renameOver } from "../rename-over.js";
import { realDisk } from "../trust-store/disk.js";
import { ProcessLock, thisProcess } from "../trust-store/process-lock.js";
import type { MetadataStore } from "../tuf/client.js";
import { encodeName } from "../tuf/file-names.js";
import { TOP_LEVEL_ROLES } from "../tuf/metadata-types.js";
import type { TimeFloor } from "../tuf/trusted-time.js";

/** The folder that holds what a client trusts cannot be used. */
export class TufStoreError extends BootproofError {
  declare readonly code: "store-unusable";
}

/** A leftover of a program that was killed while it wrote. */
const LEFTOVER_MS = 3_600_000;
const LATEST_TIME = "latest-time";
/** The time is written down again when it is this much later: not every update needs to write. */
const TIME_STEP_MS = 60_000;

/**
 * Trusted metadata in a folder: `root.json` and so on as they were served, earlier roots in `root_history`, and the
 * latest time at which an update succeeded. Each file is replaced as a whole, so that a program that is killed leaves
 * either the old or the new one.
 */
export class FileStore implements MetadataStore {
  readonly folder: string;

  /** @throws TufStoreError when the folder cannot be made */
  constructor(folder: string) {
    this.folder = folder;
    this.#guard("make", folder, () => mkdirSync(join(folder, "root_history"), { recursive: true }));
    this.#removeLeftovers();
  }

  async read(role: string): Promise<Uint8Array | undefined> {
    return this.#read(fileNameOf(role));
  }
  async write(role: string, bytes: Uint8Array): Promise<void> {
    this.#write(fileNameOf(role), bytes);
  }
  async remove(role: string): Promise<void> {
    const path = join(this.folder, fileNameOf(role));
    this.#guard("remove", path, () => {
      rmSync(path, { force: true });
      syncFolder(this.folder);
    });
  }
  async readRoot(version: number): Promise<Uint8Array | undefined> {
    return this.#read(rootName(version));
  }
  async writeRoot(version: number, bytes: Uint8Array): Promise<void> {
    this.#write(rootName(version), bytes);
  }

  /** The oldest root that was ever trusted here: what tells this repository from all others. */
  firstRoot(): Uint8Array | undefined {
    const folder = join(this.folder, "root_history");
    const versions = this.#guard("read", folder, () => readdirSync(folder)).flatMap((name) => {
      const found = /^(\d+)\.root\.json$/.exec(name);
      return found ? [Number(found[1])] : [];
    });
    return versions.length === 0 ? undefined : this.#read(rootName(Math.min(...versions)));
  }

  /** Runs `work` while no other process does the same here. @throws TufStoreError when others take longer than `waitMs` */
  async alone<T>(waitMs: number, work: () => Promise<T>): Promise<T> {
    const locks = join(this.folder, "lock");
    this.#guard("make", locks, () => mkdirSync(locks, { recursive: true }));
    const done = await new ProcessLock(realDisk, locks).hold({ waitMs, owner: thisProcess() }, work);
    if (done) return done.result;
    throw new TufStoreError(
      "store-unusable",
      `Another process has been updating ${this.folder} for too long.`,
      {
        hint: "Wait for it, or end it.",
      },
    );
  }

  /** The latest time at which an update succeeded here. */
  readLatestTime(): TimeFloor | undefined {
    const bytes = this.#read(LATEST_TIME);
    const time = bytes && new Date(Buffer.from(bytes).toString("utf8").trim());
    return time && !Number.isNaN(time.getTime()) ? { time, source: "metadata" } : undefined;
  }

  /** Remembers that it is this late. An earlier time changes nothing. */
  writeLatestTime(now: Date): void {
    const known = this.readLatestTime();
    if (known && now.getTime() < known.time.getTime() + TIME_STEP_MS) return;
    this.#write(LATEST_TIME, Buffer.from(`${now.toISOString()}\n`));
  }

  #read(name: string): Uint8Array | undefined {
    const path = join(this.folder, name);
    return this.#guard("read", path, () => {
      try {
        return new Uint8Array(readFileSync(path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    });
  }

  #write(name: string, bytes: Uint8Array): void {
    const path = join(this.folder, name);
    const neighbour = `${path}.${process.pid}.part`;
    this.#guard("write", path, () => {
      const file = openSync(neighbour, "w", 0o644);
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameOver(neighbour, path);
      syncFolder(join(path, ".."));
    });
  }

  #removeLeftovers(): void {
    for (const folder of [this.folder, join(this.folder, "root_history")])
      for (const name of this.#guard("read", folder, () => readdirSync(folder)).filter(isPart)) {
        const path = join(folder, name);
        const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
        if (age > LEFTOVER_MS) rmSync(path, { force: true });
      }
  }

  #guard<T>(verb: string, path: string, work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw new TufStoreError("store-unusable", `Cannot ${verb} ${path}: ${(cause as Error).message}.`, {
        cause,
        hint: "It contains the trusted metadata. Is it a folder that you may write to, on a disk with free space?",
      });
    }
  }
}

const isPart = (name: string) => name.endsWith(".part");

function rootName(version: number): string {
  return join("root_history", `${version}.root.json`);
}

/** A name that is one file in this folder, whatever the role is called and however the file system treats case. */
function fileNameOf(role: string): string {
  const isTopLevel = (name: string) => (TOP_LEVEL_ROLES as readonly string[]).includes(name);
  if (isTopLevel(role)) return `${role}.json`;
  const name = encodeName(role);
  // A delegated role called Root must not replace root.json where both are one name.
  return isTopLevel(name.toLowerCase())
    ? `%${name.charCodeAt(0).toString(16)}${name.slice(1)}.json`
    : `${name}.json`;
}

/** A rename lasts when its folder is written out. Systems on which folders cannot be opened see to it themselves. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
