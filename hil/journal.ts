import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { BootproofError, formatAddress, parseAddress, renameOver, TransportError } from "bootproof";
import type { BoardEntry } from "./board-files/board-entry.js";

/** What brings a board back when a run over it did not come to its end. */
export interface JournalRecord {
  readonly entry: BoardEntry;
  /** Of the process that ran. */
  readonly pid: number;
  readonly startedAt: string;
  /** The board's own image. */
  readonly base: Uint8Array;
  /** The whole flash, of boards whose flash can be read. */
  readonly flash?: Uint8Array;
}

export type JournalErrorCode =
  /** Another run is on this board. */
  | "board-busy"
  /** An earlier run ended in the middle. */
  | "restore-first"
  | "bad-journal";

export class JournalError extends BootproofError {
  declare readonly code: JournalErrorCode;
}

/**
 * One file per board, there from before the first change until the board is put back. So it is the lock too: the file
 * of a living process keeps a second run off the board, the file of a dead one says that the board was not put back.
 */
export class Journal {
  readonly #path: string;

  readonly #lock: string;

  private constructor(path: string, lock: string) {
    this.#path = path;
    this.#lock = lock;
  }

  /**
   * Takes a board for this run, before it is so much as switched on. Throws {@link JournalError} `board-busy` or
   * `restore-first`.
   */
  static begin(entry: BoardEntry, folder = journalFolder()): Journal {
    mkdirSync(folder, { recursive: true });
    const path = pathOf(entry, folder);
    const lock = JSON.stringify({ entry, pid: process.pid, startedAt: new Date().toISOString() });
    for (;;) {
      try {
        writeFileSync(path, lock, { flag: "wx", mode: 0o600 });
        return new Journal(path, lock);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        mustBeLeftover(entry, path);
        rmSync(path, { force: true });
      }
    }
  }

  /** Notes what the board is to be given back: from now on it may be changed. */
  arm({ base, flash }: Pick<JournalRecord, "base" | "flash">): void {
    const lock = JSON.parse(this.#lock);
    const content = { ...lock, base: packed(base), ...(flash && { flash: packed(flash) }) };
    // A run that dies while it writes must not leave half a record.
    writeFileSync(`${this.#path}.new`, JSON.stringify(content), { mode: 0o600 });
    renameOver(`${this.#path}.new`, this.#path);
  }

  /** The board is put back. */
  end(): void {
    rmSync(this.#path, { force: true });
  }
}

export interface DeadRun {
  readonly record: JournalRecord;
  forget(): void;
}

/** Journals of runs that died, oldest first. A run that is still going on is none of them. */
export function deadRuns(folder = journalFolder()): DeadRun[] {
  const files = namesIn(folder).filter((name) => name.endsWith(".json"));
  return files
    .map((name) => join(folder, name))
    .map((path) => ({ record: readJournal(path), forget: () => rmSync(path, { force: true }) }))
    .filter((one): one is DeadRun => !isAlive(one.record.pid) && one.record.base !== undefined)
    .toSorted((a, b) => a.record.startedAt.localeCompare(b.record.startedAt));
}

function pathOf(entry: BoardEntry, folder: string): string {
  return join(folder, fileNameOf(entry));
}

/** What a board is to the journal: the same board under another name is the same board. */
export function fileNameOf({ reach }: BoardEntry): string {
  const name = createHash("sha256")
    .update(`${reach.kind} ${reachText(reach)}`)
    .digest("hex");
  return `${name.slice(0, 24)}.json`;
}

function reachText(reach: BoardEntry["reach"]): string | undefined {
  switch (reach.kind) {
    case "attached":
      return oneSpelling(reach.address);
    case "labgrid":
      return `${reach.place} ${reach.coordinator ?? ""}`;
    case "machine":
      return reach.launch;
    default:
      return reach.flash;
  }
}

/** `COM6`, `serial:com6` and `serial:COM6` are one board. What is no address, such as a board's serial number, stays. */
function oneSpelling(address: string): string {
  try {
    return formatAddress(parseAddress(address));
  } catch (error) {
    if (error instanceof TransportError) return address;
    throw error;
  }
}

export function journalFolder(): string {
  const state = process.env.XDG_STATE_HOME ?? join(homedir(), ".local", "state");
  return join(state, "bootproof", "prove");
}

/** Throws why a board is taken. A run that died before it changed anything has left nothing but its file. */
function mustBeLeftover(entry: BoardEntry, path: string): void {
  const { pid, startedAt, base } = readJournal(path);
  if (isAlive(pid))
    throw new JournalError("board-busy", `Another run (process ${pid}) is on board ${entry.name}.`, {
      hint: "Wait for it, or stop it with Ctrl-C: it restores the board.",
    });
  if (base !== undefined)
    throw new JournalError(
      "restore-first",
      `A run over board ${entry.name}, begun ${startedAt}, did not finish: the board was not restored.`,
      { hint: "Run bootproof prove --restore first." },
    );
}

/** Without what the board is to be given back while nothing was changed. */
type Record = Omit<JournalRecord, "base"> & Partial<Pick<JournalRecord, "base">>;

function readJournal(path: string): Record {
  try {
    const { entry, pid, startedAt, base, flash } = JSON.parse(readFileSync(path, "utf8"));
    if (typeof pid !== "number" || typeof startedAt !== "string" || typeof entry?.name !== "string")
      throw new TypeError("fields are missing");
    return {
      entry,
      pid,
      startedAt,
      ...(base && { base: unpacked(base) }),
      ...(flash && { flash: unpacked(flash) }),
    };
  } catch (cause) {
    throw new JournalError(
      "bad-journal",
      `The journal ${path} cannot be read: ${(cause as Error).message}.`,
      {
        cause,
        hint: "Check the board yourself, then delete the file.",
      },
    );
  }
}

const LARGEST = 64 * 1024 * 1024;

function packed(bytes: Uint8Array): string {
  return gzipSync(bytes).toString("base64");
}

function unpacked(text: string): Uint8Array {
  return new Uint8Array(gunzipSync(Buffer.from(text, "base64"), { maxOutputLength: LARGEST }));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Of another user: alive all the same.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    // No run ever left one.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
