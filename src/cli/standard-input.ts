import { readSync } from "node:fs";
import { LARGEST_INPUT } from "./files.js";
import { UsageError } from "./usage-error.js";

/** The name that stands for what is piped into the program. */
export const STDIN = "-";

const PIECE = 64 * 1024;
/** A pipe that does not block is asked again after so long. */
const PAUSE_MS = 10;

let content: Uint8Array | undefined;

/** All that is piped into the program, however often it is asked for. Throws `UsageError`. */
export function readStandardInput(): Uint8Array {
  content ??= readToEnd();
  return content;
}

function readToEnd(): Uint8Array {
  if (process.stdin.isTTY)
    throw new UsageError(
      "- stands for piped input, but nothing is piped in.",
      "Name a file, or write: ... | bootproof ...",
    );
  const pieces: Buffer[] = [];
  let length = 0;
  for (;;) {
    const piece = Buffer.alloc(PIECE);
    const read = readPiece(piece);
    if (read === 0) break;
    pieces.push(piece.subarray(0, read));
    length += read;
    if (length > LARGEST_INPUT)
      throw new UsageError(`More than ${LARGEST_INPUT} bytes are piped in: no firmware image is that long.`);
  }
  return new Uint8Array(Buffer.concat(pieces));
}

function readPiece(piece: Buffer): number {
  for (;;) {
    try {
      return readSync(0, piece);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Windows says so where others give no bytes.
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}
