import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { BootproofError } from "../errors.js";
import { isHeld, renameOver } from "../rename-over.js";

export type FileErrorCode =
  | "file-missing"
  /** It is there but cannot be read or written. */
  | "file-unreadable"
  /** It would be overwritten and nobody asked for that. */
  | "file-exists"
  /** Its content is not what was expected. */
  | "file-differs";

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
export const LARGEST_INPUT = 64 * 1024 * 1024;

/** @throws FileError */
export function readInput(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > LARGEST_INPUT) {
      throw new FileError(
        "file-unreadable",
        path,
        `${path} has ${size} bytes, more than a firmware image may have (${LARGEST_INPUT}).`,
      );
    }
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw new FileError("file-missing", path, `There is no file ${path}.`, {
        cause,
        hint: `Check the spelling and the folder: ${process.cwd()}`,
      });
    }
    if (code === "EISDIR")
      throw new FileError("file-unreadable", path, `${path} is a folder, not a file.`, {
        cause,
        hint: "Name the file in it.",
      });
    throw new FileError("file-unreadable", path, `Cannot read ${path}: ${message}.`, {
      cause,
      hint: "Do you have permission to read it?",
    });
  }
}

/** What `read` makes of a file's content; an error says which file it was. */
export async function readAs<T>(path: string, read: (content: Uint8Array) => T | Promise<T>): Promise<T> {
  const content = readInput(path);
  return naming(path, () => read(content));
}

/** What `work` gives; an error of ours says which file it was about. */
export async function naming<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
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
  if (isNothing(path)) return;
  const neighbour = `${path}.${process.pid}.part`;
  try {
    if (ownStream(path) !== undefined || (overwrite && isDevice(path))) {
      writeFileSync(ownStream(path) ?? path, content);
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
      renameOver(neighbour, path);
    } else {
      takeFreeName(neighbour, path);
    }
  } catch (cause) {
    rmSync(neighbour, { force: true });
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      throw new FileError("file-exists", path, `${path} exists and was not changed.`, {
        cause,
        hint: "Choose another name, or add --force.",
      });
    }
    throw new FileError("file-unreadable", path, `Cannot write ${path}: ${message}.`, {
      cause,
      hint: isHeld(cause)
        ? "Is it open in another program? Close it there, or write to another name."
        : "Does the folder exist, and may you write to it?",
    });
  }
}

/** What file systems without hard links say: FAT and exFAT, many shares, Android's. */
const NO_LINKS: ReadonlySet<string> = new Set([
  "EPERM",
  "EACCES",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EINVAL",
  "EMLINK",
  "EXDEV",
]);

/**
 * Gives a finished file a name that is free. Unlike a rename, a link fails when the name is taken, even if that happened a
 * moment ago. Where there are no links an empty file takes the name first, which fails just as well, and is replaced then.
 */
function takeFreeName(from: string, to: string): void {
  try {
    linkSync(from, to);
    rmSync(from);
  } catch (error) {
    if (!NO_LINKS.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    closeSync(openSync(to, "wx"));
    try {
      renameOver(from, to);
    } catch (failure) {
      rmSync(to, { force: true });
      throw failure;
    }
  }
}

/**
 * The descriptor that /dev/stdout and its like lead to. They are links to wherever this process writes: a new file must not
 * take their place, and opened once more they would be written over by what follows.
 */
export function ownStream(path: string): number | undefined {
  const [, name, number] = /^\/(?:dev|proc\/self)\/(?:(stdin|stdout|stderr)|fd\/(\d+))$/.exec(path) ?? [];
  if (number !== undefined) return Number(number);
  return name === undefined ? undefined : ["stdin", "stdout", "stderr"].indexOf(name);
}

/** Windows' /dev/null is there in every folder; Node would make a file of that name. */
export const isNothing = (path: string, platform = process.platform): boolean =>
  platform === "win32" && /^(?:\\\\[.?]\\|.*[\\/])?nul$/i.test(path);

/** Something like /dev/null or a pipe, whose name must not be given to a file. */
function isDevice(path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && !there.isFile() && !there.isDirectory();
}
