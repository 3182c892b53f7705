import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { resolve } from "node:path";
import { BoardError } from "./board.js";
import { LAYOUT } from "./layout.js";

const EVEN = { size: LAYOUT.flashSize, erased: 0xff };

/**
 * A flash kept in a file: its first megabyte (or what the geometry has), the rest (QEMU wants sixteen) is a hole. One board at a time: QEMU does
 * not lock the file, so a lock file beside it does.
 */
export class FlashFile {
  readonly path: string;
  readonly #descriptor: number;
  readonly #size: number;
  readonly #unlock: () => void;
  #isOpen = true;

  /**
   * Opens or creates. A new file is erased flash.
   * Throws {@link BoardError} `flash-locked` or `flash-unusable`.
   */
  constructor(path: string, fileSize: number, flash: { size: number; erased: number } = EVEN) {
    this.path = resolve(path);
    this.#size = flash.size;
    this.#unlock = lock(this.path);
    try {
      this.#descriptor = openSized(this.path, fileSize, flash);
    } catch (error) {
      this.#unlock();
      throw error;
    }
  }

  /** `length` bytes, always. Throws RangeError outside the flash. */
  read(offset: number, length: number): Uint8Array {
    mustBeInside(offset, length, this.#size);
    const bytes = new Uint8Array(length);
    readSync(this.#descriptor, bytes, 0, length, offset);
    return bytes;
  }

  /** Throws RangeError outside the flash. */
  write(offset: number, bytes: Uint8Array): void {
    mustBeInside(offset, bytes.length, this.#size);
    writeSync(this.#descriptor, bytes, 0, bytes.length, offset);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#descriptor);
    this.#unlock();
  }
}

function mustBeInside(offset: number, length: number, size: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= size))
    throw new RangeError(`${length} bytes at ${offset} are outside the flash of ${size} bytes.`);
}

function openSized(path: string, fileSize: number, flash: { size: number; erased: number }): number {
  const descriptor = openOrCreate(path);
  try {
    const { size } = fstatSync(descriptor);
    if (size !== 0 && size !== flash.size && size !== LAYOUT.qemuFileSize)
      throw new BoardError(
        "flash-unusable",
        `${path} has ${size} bytes; a flash file of this board has ${flash.size} or ${LAYOUT.qemuFileSize}.`,
        { hint: "Name another file, or one that does not exist yet." },
      );
    if (size === 0) writeSync(descriptor, new Uint8Array(flash.size).fill(flash.erased));
    if (size < fileSize) ftruncateSync(descriptor, fileSize);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function openOrCreate(path: string): number {
  try {
    return openSync(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw unusable(path, error);
  }
  try {
    return openSync(path, "wx+");
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, cause: unknown): BoardError {
  return new BoardError("flash-unusable", `The flash file cannot be opened: ${(cause as Error).message}.`, {
    cause,
    hint: `Check the folder and the permissions of ${path}.`,
  });
}

/** Returns how to unlock. The lock of a process that is gone does not count. */
function lock(path: string): () => void {
  const file = `${path}.lock`;
  const mine = `${process.pid} ${startOf(process.pid)}`;
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, mine, { flag: "wx" });
      const unlock = () => {
        process.off("exit", unlock);
        rmSync(file, { force: true });
      };
      process.once("exit", unlock);
      return unlock;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw unusable(path, error);
      if (isHeld(file)) break;
      rmSync(file, { force: true });
    }
  }
  throw new BoardError(
    "flash-locked",
    `The flash file ${path} is in use by another board${holderOf(file)}.`,
    {
      hint: `Stop that board, or delete ${file} if there is none.`,
    },
  );
}

/** Who has it, in words. */
function holderOf(file: string): string {
  try {
    const pid = Number(readFileSync(file, "utf8").split(" ")[0]);
    return pid === process.pid ? " of this process" : ` (process ${pid})`;
  } catch {
    // Gone meanwhile.
    return "";
  }
}

function isHeld(file: string): boolean {
  try {
    const [pid, start] = readFileSync(file, "utf8").split(" ");
    process.kill(Number(pid), 0);
    return startOf(Number(pid)) === start;
  } catch (error) {
    // Gone meanwhile, or no such process: free. A process of another user (EPERM) may well hold it.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Tells a process from a later one with the same number. Empty where the system does not say. */
function startOf(pid: number): string {
  try {
    // Field 22 of proc(5) stat; the second field is a name that may hold spaces, so count from its end.
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19] ?? "";
  } catch {
    // No /proc: not Linux.
    return "";
  }
}
