import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { PartialFile } from "../sources/http.js";
import { makeFolder } from "./make-folder.js";
import { readPrivate } from "./private-file.js";
import { stateFolder } from "./state-folders.js";

/** What is not asked for again within this time is thrown away, milliseconds. */
const KEPT_MS = 7 * 24 * 3600 * 1000;
const MOST_BYTES = 1 << 30;

interface Version {
  readonly etag: string;
  readonly total: number;
}

/**
 * Where an unfinished download is kept, in the user's state folder under the hash of its address. The bytes are in one file,
 * and in another what they are of and, piece by piece, their digests: a run may be killed at any moment, and what is no
 * longer as it was written is not used.
 */
export function partialDownload(url: string): PartialFile {
  const folder = join(stateFolder(), "downloads");
  const name = join(folder, createHash("sha256").update(url).digest("hex").slice(0, 32));
  return new PartialDownload(folder, name);
}

class PartialDownload implements PartialFile {
  readonly #folder: string;
  readonly #data: string;
  readonly #list: string;
  #length = 0;
  /** The disk is full, say: the download goes on without being kept. */
  #isBroken = false;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#data = `${name}.part`;
    this.#list = `${name}.list`;
  }

  read(): (Version & { readonly bytes: Uint8Array }) | undefined {
    this.#forgetOld();
    const data = readPrivate(this.#data, MOST_BYTES);
    const list = readPrivate(this.#list, MOST_BYTES);
    if (data === undefined || list === undefined) return undefined;
    const [head = "", ...pieces] = new TextDecoder().decode(list).split("\n");
    const version = readVersion(head);
    if (version === undefined) return undefined;
    let length = 0;
    for (const piece of pieces) {
      const [, size, digest] = /^(\d{1,10}) ([0-9a-f]{64})$/.exec(piece) ?? [];
      const bytes = data.subarray(length, length + Number(size ?? 0));
      if (size === undefined || bytes.length !== Number(size) || sha256(bytes) !== digest) break;
      length += bytes.length;
    }
    if (length === 0) return undefined;
    const bytes = data.slice(0, length);
    // What could not be believed is written again.
    this.begin(version);
    this.append(bytes);
    return { ...version, bytes };
  }

  begin(version: Version): void {
    this.#try(() => {
      this.forget();
      makeFolder(this.#folder);
      this.#write(this.#data, "", "wx");
      this.#write(this.#list, `${JSON.stringify(version)}\n`, "wx");
      this.#length = 0;
      this.#isBroken = false;
    });
  }

  append(bytes: Uint8Array): void {
    this.#try(() => {
      this.#write(this.#data, bytes, "r+", this.#length);
      this.#write(this.#list, `${bytes.length} ${sha256(bytes)}\n`, "a");
      this.#length += bytes.length;
    });
  }

  forget(): void {
    for (const file of [this.#data, this.#list]) rmSync(file, { force: true });
  }

  #write(path: string, content: Uint8Array | string, how: string, at: number | null = null): void {
    const file = openSync(path, how, 0o600);
    try {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      if (bytes.length > 0) writeSync(file, bytes, 0, bytes.length, at);
    } finally {
      closeSync(file);
    }
  }

  /** Keeping is a help and no duty. */
  #try(work: () => void): void {
    if (this.#isBroken) return;
    try {
      work();
    } catch {
      // Errors of the file system: the file is fetched all the same.
      this.#isBroken = true;
    }
  }

  #forgetOld(): void {
    if (!existsSync(this.#folder)) return;
    for (const file of readdirSync(this.#folder).map((one) => join(this.#folder, one))) {
      const changed = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (changed < Date.now() - KEPT_MS) rmSync(file, { force: true });
    }
  }
}

function readVersion(line: string): Version | undefined {
  try {
    const { etag, total } = JSON.parse(line) as Partial<Record<keyof Version, unknown>>;
    const isOurs = typeof etag === "string" && /^"[\x21\x23-\x7e]*"$/.test(etag) && Number.isInteger(total);
    return isOurs ? { etag, total: total as number } : undefined;
  } catch {
    // SyntaxError: the run that wrote it was killed.
    return undefined;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
