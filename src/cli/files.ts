import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { BootproofError } from "../errors.js";

export type FileErrorCode =
  | "file-missing"
  /** It is there but cannot be read or written. */
  | "file-unreadable"
  /** It would be overwritten and nobody asked for that. */
  | "file-exists";

/** Reading or writing a file the user named failed. */
export class FileError extends BootproofError {
  declare readonly code: FileErrorCode;
  readonly path: string;

  constructor(
    code: FileErrorCode,
    path: string,
    message: string,
    options: { hint?: string; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.path = path;
  }
}

/** No firmware for a microcontroller is larger; a wrong file name should not fill the memory. */
const largestInput = 64 * 1024 * 1024;

/** @throws FileError */
export function readInput(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > largestInput) {
      throw new FileError(
        "file-unreadable",
        path,
        `${path} has ${size} bytes, more than any firmware image (${largestInput}).`,
      );
    }
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw new FileError("file-missing", path, `There is no file ${path}.`, {
        cause,
        hint: `Look at the spelling, and at the folder: ${process.cwd()}`,
      });
    }
    if (code === "EISDIR")
      throw new FileError("file-unreadable", path, `${path} is a folder, not a file.`, {
        cause,
        hint: "Name the file in it.",
      });
    throw new FileError("file-unreadable", path, `Cannot read ${path}: ${message}.`, {
      cause,
      hint: "Is it yours to read?",
    });
  }
}

/** What `read` makes of a file's content; an error says which file it was. */
export async function readAs<T>(path: string, read: (content: Uint8Array) => T | Promise<T>): Promise<T> {
  const content = readInput(path);
  try {
    return await read(content);
  } catch (error) {
    if (error instanceof BootproofError && !error.message.includes(path))
      error.message = `${path}: ${error.message}`;
    throw error;
  }
}

export interface WriteOptions {
  /** Replace a file that is there. */
  overwrite?: boolean;
  /** Permission bits, e.g. 0o600 for a private key. */
  mode?: number;
}

/**
 * Writes a file whole or not at all: into a neighbour first, which then takes the name.
 *
 * @throws FileError
 */
export function writeOutput(path: string, content: Uint8Array | string, options: WriteOptions = {}): void {
  const { overwrite = true, mode = 0o644 } = options;
  const neighbour = `${path}.${process.pid}.part`;
  try {
    if (overwrite && isDevice(path)) {
      writeFileSync(path, content);
      return;
    }
    const file = openSync(neighbour, "wx", mode);
    try {
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (overwrite) {
      renameSync(neighbour, path);
    } else {
      // Unlike a rename, a link fails when the name is taken, even if that happened a moment ago.
      linkSync(neighbour, path);
      rmSync(neighbour);
    }
  } catch (cause) {
    rmSync(neighbour, { force: true });
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      throw new FileError("file-exists", path, `${path} is already there and was left as it is.`, {
        cause,
        hint: "Choose another name, or add --force.",
      });
    }
    throw new FileError("file-unreadable", path, `Cannot write ${path}: ${message}.`, {
      cause,
      hint: "Is the folder there, and yours to write in?",
    });
  }
}

/** Something like /dev/null or a pipe, whose name must not be given to a file. */
function isDevice(path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && !there.isFile() && !there.isDirectory();
}
