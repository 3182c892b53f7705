import { writeSync } from "node:fs";
import { fromHex } from "../bytes.js";
import type { TraceRecord, TraceSink } from "../client/trace.js";
import { FileError, readInput } from "./files.js";
import { openPrivate } from "./private-file.js";

/**
 * A trace as it was kept: one JSON object a line, in the order of the wire. It holds whatever was sent, settings and files
 * included, so only this user may read it.
 */
export function traceTo(path: string): TraceSink {
  const attempt = <T>(act: () => T): T => {
    try {
      return act();
    } catch (cause) {
      if (cause instanceof FileError) throw cause;
      const { message } = cause as NodeJS.ErrnoException;
      throw new FileError("file-unreadable", path, `cannot write the trace ${path}: ${message}`, { cause });
    }
  };
  const file = attempt(() => openPrivate(path));
  let broken = false;
  // Each line is written at once, so that a trace is whole up to the moment something went wrong. A sink must not throw.
  return (record) => {
    if (broken) return;
    try {
      attempt(() => writeSync(file, `${JSON.stringify(record)}\n`));
    } catch (error) {
      broken = true;
      process.stderr.write(`bootproof: ${(error as Error).message}; the trace ends here\n`);
    }
  };
}

/** What is needed of a record to show it and to replay it; the rest of a line is a reader's convenience. */
export type KeptRecord = Pick<TraceRecord, "direction" | "at" | "command" | "hex"> & {
  readonly bytes: Uint8Array;
};

/**
 * The records of a file that {@link traceTo} wrote. A last line that was cut off, by a full disk or on the way to whoever
 * reads it, is left out. Throws FileError naming another line that is none.
 */
export function readTrace(path: string): KeptRecord[] {
  const lines = new TextDecoder().decode(readInput(path)).split("\n");
  return lines.flatMap((line, index) => {
    if (line.trim() === "") return [];
    const record = readRecord(line);
    const isCutOff = index > 0 && index === lines.length - 1;
    if (record === undefined && isCutOff) return [];
    if (record === undefined)
      throw new FileError(
        "file-unreadable",
        path,
        `${path}, line ${index + 1}: this is not a record of a trace`,
        {
          hint: "a trace is what a command with --trace writes: one JSON object a line with direction, at and hex",
        },
      );
    return [record];
  });
}

function readRecord(line: string): KeptRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // No JSON: the caller names the line.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { direction, at, command, hex } = value as Record<string, unknown>;
  if (direction !== "sent" && direction !== "received") return undefined;
  if (typeof at !== "number" || typeof hex !== "string" || !/^([0-9a-f]{2})*$/i.test(hex)) return undefined;
  const named = typeof command === "string" ? { command } : {};
  return { direction, at, ...named, hex, bytes: fromHex(hex) };
}
