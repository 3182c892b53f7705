import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { ReportError } from "./json.js";

/**
 * A run may take hours: whether its report can be written is asked before it begins.
 *
 * @throws ReportError `report-unwritable`
 */
export function mustBeWritable(path: string): void {
  try {
    makeFolder(dirname(path));
    const isNew = !existsSync(path);
    closeSync(openSync(path, "a"));
    if (isNew) rmSync(path);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** Writes one report; the error, where that fails: the others are written all the same, and so is what the run found. */
export function tryToWrite(path: string, text: string): ReportError | undefined {
  try {
    writeFileSync(path, text);
    return undefined;
  } catch (cause) {
    return unwritable(path, cause);
  }
}

function unwritable(path: string, cause: unknown): ReportError {
  const why = (cause as Error).message;
  return new ReportError("report-unwritable", `The report ${path} cannot be written: ${why}.`, {
    cause,
    hint: "Is it a folder, or open in another program? Name another file, or close it there.",
  });
}

/** Node's own recursive one never returns where a parent refuses with ENOENT, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  mkdirSync(path);
}
