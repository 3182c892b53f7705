import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import type { RepositoryFetch } from "../tuf/client.js";
import { TufError } from "../tuf/error.js";
import { pathBelow } from "./path-below.js";
import { RepositoryFetchError } from "./repository-fetch-error.js";
import { tooLong } from "./too-long.js";

/** Where the two halves of a repository are. */
export interface RepositoryFolders {
  readonly metadata: string;
  readonly targets: string;
}

/** Reads a repository out of folders: a copy of one, or a USB stick. */
export function folderFetch({ metadata, targets }: RepositoryFolders): RepositoryFetch {
  return {
    metadata: async (name, maxLength) => readAtMost(join(metadata, name), name, maxLength),
    target: async (path, maxLength) => readAtMost(join(targets, ...pathBelow(path)), path, maxLength),
  };
}

function readAtMost(path: string, subject: string, maxLength: number): Uint8Array | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new RepositoryFetchError("unreachable", `Cannot read ${path}: ${message}.`, { cause });
  }
  try {
    const { size } = fstatSync(file);
    if (size > maxLength) throw tooLong(subject, maxLength);
    const bytes = new Uint8Array(size);
    let done = 0;
    for (let got = -1; done < size && got !== 0; done += got)
      got = readSync(file, bytes, done, size - done, done);
    return bytes.subarray(0, done);
  } catch (cause) {
    if (cause instanceof TufError) throw cause;
    throw new RepositoryFetchError("unreachable", `Cannot read ${path}: ${(cause as Error).message}.`, {
      cause,
    });
  } finally {
    closeSync(file);
  }
}
