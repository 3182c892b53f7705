import { readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { makeFolder } from "./make-folder.js";

const fileName = () =>
  join(process.env.XDG_STATE_HOME ?? join(homedir(), ".local", "state"), "bootproof", "shell-history");

/** Lines typed to a board's shell in earlier sessions, newest first. */
export function readHistory(): string[] {
  try {
    return readFileSync(fileName(), "utf8").split("\n").filter(Boolean);
  } catch {
    // No file yet, or one that cannot be read: a shell without a past works as well.
    return [];
  }
}

/** Readable by its owner only, since commands may carry secrets. */
export function writeHistory(newestFirst: readonly string[]): void {
  const file = fileName();
  try {
    makeFolder(dirname(file));
    writeFileSync(file, newestFirst.map((line) => `${line}\n`).join(""), { mode: 0o600 });
  } catch {
    // A home folder that cannot be written to costs the history, not the session.
  }
}
