import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join, resolve } from "node:path";
import type { JournalEntry } from "../../station/job.js";
import { stateFolder } from "../state-folders.js";
import { StationError } from "./station-error.js";

/** The folder of a bench: of the board file, or of the config file when there is none. */
export function stationFolder(bench: string | undefined, config: string | undefined): string {
  const whose = bench === undefined ? (config ?? "this machine") : resolve(bench);
  const id = createHash("sha256").update(whose).digest("hex").slice(0, 16);
  return join(stateFolder(), "station", id);
}

/** Everything that a station keeps: `jobs.jsonl`, evidence, update files. */
export class StationFiles {
  readonly folder: string;
  #journal: number | undefined;

  /** Makes the folders. @throws StationError `station-unusable` */
  constructor(folder: string) {
    this.folder = folder;
    try {
      for (const name of ["", "evidence", "updates"])
        mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw unusable(folder, cause);
    }
  }

  /** All entries so far. What a killed station wrote half is taken away. @throws StationError */
  readJournal(): JournalEntry[] {
    const path = this.#path;
    if (!existsSync(path)) return [];
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (cause) {
      throw unusable(path, cause);
    }
    const whole = text.lastIndexOf("\n") + 1;
    if (whole < text.length) this.#truncate(Buffer.byteLength(text.slice(0, whole)));
    return text
      .slice(0, whole)
      .split("\n")
      .filter((line) => line !== "")
      .map((line, index) => entryIn(line, index, path));
  }

  /** Appends an entry; it is on the disk when this returns. Half an entry is taken back. Throws what the disk says. */
  append(entry: JournalEntry): void {
    this.#journal ??= openSync(this.#path, "a", 0o600);
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    let done = 0;
    try {
      while (done < line.length) done += writeSync(this.#journal, line, done);
      fsyncSync(this.#journal);
    } catch (error) {
      if (done > 0) ftruncateSync(this.#journal, this.#sizeBefore(done));
      throw error;
    }
  }

  /** Keeps a file of evidence. False when the disk takes none: the record itself counts more. */
  keepEvidence(name: string, content: string): boolean {
    try {
      writeFileSync(join(this.folder, "evidence", name), content, { mode: 0o600 });
      return true;
    } catch {
      // The disk is full, or the folder is gone; the journal tells that too.
      return false;
    }
  }

  evidence(name: string): string | undefined {
    const path = join(this.folder, "evidence", name);
    return /^[\w-]+\.(json|html)$/.test(name) && existsSync(path) ? readFileSync(path, "utf8") : undefined;
  }

  close(): void {
    if (this.#journal !== undefined) closeSync(this.#journal);
    this.#journal = undefined;
  }

  get #path(): string {
    return join(this.folder, "jobs.jsonl");
  }

  #sizeBefore(appended: number): number {
    return readFileSync(this.#path).length - appended;
  }

  #truncate(size: number): void {
    const file = openSync(this.#path, "r+");
    try {
      ftruncateSync(file, size);
    } finally {
      closeSync(file);
    }
  }
}

const KINDS = ["queued", "started", "withdrawn", "ended"];

function entryIn(line: string, index: number, path: string): JournalEntry {
  try {
    const entry = JSON.parse(line);
    if (KINDS.includes(entry?.kind) && typeof entry.at === "string") return entry;
  } catch {
    // Told below, as what is JSON and no entry.
  }
  throw new StationError("bad-journal-entry", `Line ${index + 1} of ${path} is not an entry of a station.`, {
    hint: "It was edited or damaged. Move the file away to start a new history, or remove the line.",
  });
}

function unusable(path: string, cause: unknown): StationError {
  return new StationError("station-unusable", `${path} cannot be used: ${(cause as Error).message}.`, {
    cause,
    hint: "Check the permissions and the space; XDG_STATE_HOME names another folder.",
  });
}
