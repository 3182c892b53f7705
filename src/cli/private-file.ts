import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  statSync,
} from "node:fs";
import { FileError, ownStream } from "./files.js";

const PRIVATE = 0o600;
const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants;
/** Windows has no such flag, nor links that others could plant. */
const O_NOFOLLOW = constants.O_NOFOLLOW ?? 0;

/**
 * Opens a file for what a board says, which may be confidential: a new one is readable by this user alone, and a link that
 * someone has put under the name is not followed. `append` keeps what is there, and its permissions. Devices and pipes, such
 * as /dev/stderr, are opened as they are.
 *
 * @returns a file descriptor
 * @throws FileError for a link; what node:fs throws for the rest
 */
export function openPrivate(path: string, { append = false }: { append?: boolean } = {}): number {
  const own = ownStream(path);
  if (own !== undefined) return own;
  if (isSpecial(path)) return openSync(path, O_WRONLY | O_APPEND);
  const link = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  if (link)
    throw new FileError("file-unreadable", path, `${path} is a link, which could point to any file.`, {
      hint: "Name the file itself, or remove the link.",
    });
  const how = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | (append ? 0 : O_TRUNC);
  const file = openSync(path, how, PRIVATE);
  // A trace that an earlier run left for all to read is written anew whole: so are its permissions.
  if (!append && fstatSync(file).isFile() && process.platform !== "win32") {
    try {
      fchmodSync(file, PRIVATE);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }
  return file;
}

/** The bytes of a file that this user's earlier run left; undefined for none, a link, or one that others share. */
export function readPrivate(path: string, mostBytes: number): Uint8Array | undefined {
  const there = lstatSync(path, { throwIfNoEntry: false });
  const isOurs = there?.isFile() && there.nlink === 1 && there.size <= mostBytes && isMine(there.uid);
  return isOurs ? new Uint8Array(readFileSync(path)) : undefined;
}

const isMine = (uid: number) => process.getuid === undefined || process.getuid() === uid;

/** A device or a pipe. */
function isSpecial(path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && !there.isFile() && !there.isDirectory();
}
