import { writeSync } from "node:fs";
import { FileError } from "./files.js";
import { printable } from "./output.js";
import { openPrivate } from "./private-file.js";

/** Longest line kept whole; what never ends must not fill the memory. */
const LONGEST_LINE = 4096;

/** One line of a device's log, and when its first byte arrived. */
export interface StampedLine {
  at: Date;
  text: string;
}

/** Makes lines of text that arrives in pieces. */
export class LineStamper {
  #at: Date | undefined;
  #text = "";

  /** The lines that this piece ended, without their ends and with control characters shown as escapes. */
  push(piece: string, now: Date): StampedLine[] {
    const lines: StampedLine[] = [];
    for (const part of piece.split(/(?<=\n)/)) {
      if (part === "") continue;
      this.#at ??= now;
      this.#text += part;
      if (part.endsWith("\n") || this.#text.length > LONGEST_LINE) lines.push(...this.flush());
    }
    return lines;
  }

  /** Whatever has not ended yet. */
  flush(): StampedLine[] {
    if (this.#at === undefined) return [];
    const line = { at: this.#at, text: printable(this.#text.replace(/\r*\n$/, "")) };
    this.#at = undefined;
    this.#text = "";
    return [line];
  }
}

/**
 * Appends lines with their time to a file, at once, so that a crash of either side loses nothing. Boards print secrets too,
 * so a new file is this user's alone.
 */
export function logTo(path: string): (line: StampedLine) => void {
  const attempt = <T>(act: () => T): T => {
    try {
      return act();
    } catch (cause) {
      if (cause instanceof FileError) throw cause;
      const { message } = cause as Error;
      throw new FileError("file-unreadable", path, `cannot write the log ${path}: ${message}`, { cause });
    }
  };
  const file = attempt(() => openPrivate(path, { append: true }));
  return ({ at, text }) => attempt(() => writeSync(file, `${at.toISOString()}  ${text}\n`));
}
