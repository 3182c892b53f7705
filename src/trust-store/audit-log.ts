import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { concat, equal, toHex } from "../bytes.js";
import { type Checkpoint, openCheckpoint, signCheckpoint } from "../trust/checkpoint.js";
import { type EventInput, type EventStamp, formatEvent, type LogEvent, parseEvent } from "../trust/events.js";
import { LogError } from "../trust/log-error.js";
import { HASH_LENGTH, inclusionProof, leafHash, treeRoot } from "../trust/merkle.js";
import { formatVerifierKey, type NoteSigner, type NoteVerifier } from "../trust/signed-note.js";
import { hashesFromTiles, parseEntries, TILE_WIDTH, tileWidth } from "../trust/tiles.js";
import type { TlogProof } from "../trust/tlog-proof.js";
import { type EarlierState, type LogReader, type LogVerdict, verifyLog } from "../trust/verify-log.js";
import { type Disk, realDisk, replaceFile } from "./disk.js";
import { CHECKPOINT, damaged, folderReader, isDiskError, text, tileReader } from "./log-folder.js";
import { generateLogKey, noteSigner, noteVerifier } from "./log-key.js";
import { WritableTree } from "./log-tree.js";
import { type LockOwner, ProcessLock, thisProcess } from "./process-lock.js";

export interface AuditLogOptions {
  /** Where the logs are: one folder each, the signing key beside them. */
  readonly folder: string;
  /** A log is closed and the next begun before it has more entries than this. Default 16384. */
  readonly entriesPerLog?: number;
  /** How many closed logs are kept; older ones are removed whole. Default 64. */
  readonly closedLogsKept?: number;
  /** How long to wait for other processes, milliseconds. Default 30000. */
  readonly waitMs?: number;
  /** For tests: a disk that fails, a process that is killed, a clock. */
  readonly disk?: Disk;
  readonly owner?: LockOwner;
  readonly clock?: () => LogTime;
  readonly signal?: AbortSignal | undefined;
}

/** The time of an event: wall clock, and a clock that is never set. */
export type LogTime = Pick<EventStamp, "time" | "monotonicMs" | "boot">;

/** Where an event went. */
export interface Logged {
  readonly log: number;
  readonly index: number;
}

const KEY_FILE = "key.pem";
const VERIFIER_KEY = "log.vkey";

/**
 * The audit logs of one folder: C2SP tile logs that follow each other. The newest takes the appends; each but the first
 * begins with the checkpoint of the one before. Appending is serialised between processes and survives being killed at
 * any moment: what a checkpoint covers is on the disk before the checkpoint is.
 */
export class AuditLog {
  readonly folder: string;
  readonly #disk: Disk;
  readonly #options: AuditLogOptions;
  readonly #owner: LockOwner;

  constructor(options: AuditLogOptions) {
    this.folder = options.folder;
    this.#disk = options.disk ?? realDisk;
    this.#owner = options.owner ?? thisProcess();
    this.#options = options;
  }

  /**
   * Appends events, all or none, and returns once they are on the disk and signed for.
   *
   * @throws LogError `log-busy`, `log-unwritable`, `log-damaged`, `bad-signature` when the log is signed by another key
   */
  async append(events: readonly EventInput[]): Promise<Logged[]> {
    if (events.length === 0) return [];
    return this.#writing(async () => {
      const signingKey = this.#signingKey();
      const newest = await this.#openNewest(signingKey);
      const { entriesPerLog = 16384 } = this.#options;
      // One place is kept for the entry that closes the log.
      if (newest && !newest.isClosed && newest.size + events.length < entriesPerLog)
        return this.#extend(newest, events, signingKey);
      const last = newest && (await this.#closed(newest, signingKey));
      return this.#begin(last, events, signingKey);
    });
  }

  /** Closes the newest log; the next append begins another. Returns its number, or undefined when there was none open. */
  async close(job: string, tool: string): Promise<number | undefined> {
    return this.#writing(async () => {
      const signingKey = this.#signingKey();
      const newest = await this.#openNewest(signingKey);
      if (!newest || newest.isClosed) return undefined;
      const closed = await this.#closed(newest, signingKey, { job, tool });
      return closed.number;
    });
  }

  /** Numbers of the logs that are there, oldest first. */
  numbers(): number[] {
    return this.#disk
      .list(this.folder)
      .flatMap((name) => (/^log-\d{6,12}$/.test(name) ? [Number(name.slice(4))] : []))
      .sort((a, b) => a - b);
  }

  /** Number of the log that takes the appends. @throws LogError `no-log` */
  newest(): number {
    const number = this.numbers().at(-1);
    if (number === undefined)
      throw new LogError("no-log", `There is no audit log in ${this.folder}.`, {
        hint: "The first verb that changes a board, a key or a policy starts one. --folder names another place.",
      });
    return number;
  }

  /** The folder of a log: a tlog-tiles directory. */
  pathOf(number: number): string {
    return join(this.folder, `log-${`${number}`.padStart(6, "0")}`);
  }

  /** Reads a log's files. */
  reader(number: number): LogReader {
    return folderReader(this.pathOf(number), this.#disk);
  }

  /** The checkpoint of a log, verified with this folder's key, and the signed note. */
  async checkpoint(number: number): Promise<{ checkpoint: Checkpoint; note: string }> {
    const note = this.reader(number).checkpoint();
    if (note === undefined)
      throw new LogError("no-log", `There is no log ${number} in ${this.folder}.`, {
        hint: `There are: ${this.numbers().join(", ") || "none"}.`,
      });
    const { origin } = readOrigin(note);
    return { checkpoint: await openCheckpoint(note, [this.verifier(origin)]), note };
  }

  /** Verifies the notes of the log of this origin with this folder's key. @throws LogError `no-log` when there is no key */
  verifier(origin: string): NoteVerifier {
    const pem = this.#disk.read(join(this.folder, KEY_FILE));
    if (pem === undefined)
      throw new LogError("no-log", `There is no key of an audit log in ${this.folder}.`, {
        hint: "Give the verifier key of the log with --key.",
      });
    return noteVerifier({ name: origin, publicKey: noteSigner(origin, text(pem)).publicKey });
  }

  /** Entries of a log in order, verified against nothing. */
  *entries(number: number, size: number, from = 0): Generator<{ index: number; entry: Uint8Array }> {
    const reader = this.reader(number);
    for (let tile = Math.floor(from / TILE_WIDTH); tile * TILE_WIDTH < size; tile++) {
      const width = Math.min(TILE_WIDTH, size - tile * TILE_WIDTH);
      const bundle = reader.entries(tile, width);
      if (bundle === undefined) throw damaged(tile * TILE_WIDTH, "its file is gone");
      for (const [at, entry] of parseEntries(bundle, width).entries()) {
        const index = tile * TILE_WIDTH + at;
        if (index >= from) yield { index, entry };
      }
    }
  }

  /** Events of a log in order. @throws LogError `log-damaged` naming an entry that is none */
  *events(number: number, size: number, from = 0): Generator<LogEvent> {
    for (const { index, entry } of this.entries(number, size, from)) {
      let event: LogEvent;
      try {
        event = parseEvent(entry);
      } catch (cause) {
        throw damaged(index, (cause as LogError).message, cause);
      }
      yield event;
    }
  }

  /** Proof that an entry is in a log, under its checkpoint of now. The entry travels in it. */
  async prove({ log, index }: Logged): Promise<TlogProof> {
    const { checkpoint, note } = await this.checkpoint(log);
    const { size, root } = checkpoint;
    const hashes = hashesFromTiles(size, tileReader(this.reader(log)));
    if (!equal(treeRoot(size, hashes), root)) throw damaged(undefined, "its tiles do not match its root");
    const path = inclusionProof(index, size, hashes);
    const found = this.entries(log, size, index).next();
    return { index, path, checkpoint: note, extra: found.value!.entry };
  }

  /** Leaf hashes of a log's entries, from its tiles: what an exported checkpoint carries to name a changed entry. */
  async leaves(number: number): Promise<Uint8Array> {
    const { size } = (await this.checkpoint(number)).checkpoint;
    const read = tileReader(this.reader(number));
    const tiles = Array.from({ length: Math.ceil(size / TILE_WIDTH) }, (_, index) => {
      const width = tileWidth(0, index, size);
      return read(0, index, width).subarray(0, width * HASH_LENGTH);
    });
    return concat(...tiles);
  }

  /** Verifies a log, and that it follows the one before it where that is still there. */
  async verify(
    number: number,
    earlier: readonly EarlierState[] = [],
    verifiers?: readonly NoteVerifier[],
  ): Promise<LogVerdict> {
    const reader = this.reader(number);
    const note = reader.checkpoint();
    const keys = verifiers ?? (note === undefined ? [] : [this.verifier(readOrigin(note).origin)]);
    const verdict = await verifyLog(reader, keys, earlier);
    const broken = this.#followProblem(number, verdict);
    return broken === undefined
      ? verdict
      : { ...verdict, witnessedBy: 0, problems: [{ kind: "rewritten", index: 0, message: broken }] };
  }

  /** What is wrong with a log's place in the row; undefined when it follows the one before. */
  #followProblem(number: number, { first, problems }: LogVerdict): string | undefined {
    if (problems.length > 0) return undefined;
    const before = this.reader(number - 1).checkpoint();
    if (number === 1 || before === undefined) return undefined;
    if (first?.type === "log.open" && first.detail?.checkpoint === before) return undefined;
    return `Log ${number} does not begin with the checkpoint of log ${number - 1}: one of the two was changed after it was closed.`;
  }

  async #writing<T>(work: () => Promise<T>): Promise<T> {
    const { waitMs = 30_000, signal } = this.#options;
    const locks = join(this.folder, "lock");
    try {
      this.#disk.makeFolder(locks);
      const done = await new ProcessLock(this.#disk, locks).hold(
        { waitMs, owner: this.#owner, signal },
        work,
      );
      if (done) return done.result;
    } catch (cause) {
      if (!isDiskError(cause)) throw cause;
      throw new LogError("log-unwritable", `The audit log cannot be written: ${cause.message}.`, {
        cause,
        hint: `Make room, or look at the permissions of ${this.folder}. --no-log works without it.`,
      });
    }
    throw new LogError(
      "log-busy",
      `Other processes hold the audit log in ${this.folder} for ${waitMs / 1000} s.`,
      {
        hint: "Wait for them to end, or give this run a folder of its own with BOOTPROOF_LOG_FOLDER.",
      },
    );
  }

  /** Private key in PEM; made when there is none. Only with the lock held. */
  #signingKey(): string {
    const path = join(this.folder, KEY_FILE);
    const there = this.#disk.read(path);
    if (there !== undefined) return text(there);
    if (this.numbers().length > 0)
      throw new LogError("log-damaged", `The signing key of the audit log, ${path}, is gone.`, {
        hint: "Restore it from a backup, or move the folder elsewhere: the next event then begins a new log.",
      });
    const pem = generateLogKey();
    replaceFile(this.#disk, path, encode(pem));
    return pem;
  }

  async #openNewest(signingKey: string): Promise<OpenLog | undefined> {
    const number = this.numbers().at(-1);
    if (number === undefined) return undefined;
    const folder = this.pathOf(number);
    const note = folderReader(folder, this.#disk).checkpoint();
    if (note === undefined) throw damaged(0, `${folder} has no checkpoint`);
    const { origin } = readOrigin(note);
    const { root, size } = await openCheckpoint(note, [noteVerifier(noteSigner(origin, signingKey))]);
    const tree = new WritableTree(this.#disk, folder, size);
    if (size === 0 || !equal(tree.root(), root))
      throw damaged(undefined, "its tiles do not match the signed root");
    const last = tree.lastEntry();
    return { number, origin, size, tree, last, isClosed: parseEvent(last).type === "log.close", note };
  }

  async #extend(log: OpenLog, events: readonly EventInput[], signingKey: string): Promise<Logged[]> {
    const entries = this.#stamp(events, log.size, log.last);
    log.tree.append(entries);
    const note = await this.#sign(log, signingKey);
    const path = join(this.pathOf(log.number), CHECKPOINT);
    this.#disk.write(`${path}.new`, encode(note), { sync: false });
    await log.tree.sync([`${path}.new`]);
    this.#disk.rename(`${path}.new`, path);
    this.#disk.syncFolder(this.pathOf(log.number));
    log.tree.tidy();
    return events.map((_, at) => ({ log: log.number, index: log.size + at }));
  }

  async #closed(
    log: OpenLog,
    signingKey: string,
    by: { job: string; tool: string } = { job: "log", tool: "bootproof" },
  ): Promise<OpenLog> {
    if (log.isClosed) return log;
    await this.#extend(log, [{ type: "log.close", ...by }], signingKey);
    return (await this.#openNewest(signingKey))!;
  }

  /** The next log appears whole, with its first entries, under its name. */
  async #begin(
    closed: OpenLog | undefined,
    events: readonly EventInput[],
    signingKey: string,
  ): Promise<Logged[]> {
    const number = (closed?.number ?? 0) + 1;
    const origin = closed ? nextOrigin(closed.origin, number) : firstOrigin(signingKey);
    const { job, tool } = events[0]!;
    const opening: EventInput[] = closed
      ? [{ type: "log.open", job, tool, detail: { follows: closed.origin, checkpoint: closed.note } }]
      : [];
    const folder = this.pathOf(number);
    const fresh = `${folder}.new`;
    this.#disk.remove(fresh);
    this.#disk.makeFolder(fresh);
    const tree = new WritableTree(this.#disk, fresh, 0);
    tree.append(this.#stamp([...opening, ...events], 0, undefined));
    const note = await this.#sign({ origin, tree }, signingKey);
    const key = formatVerifierKey(noteSigner(origin, signingKey));
    const files = { [VERIFIER_KEY]: `${key}\n`, [CHECKPOINT]: note };
    for (const [name, content] of Object.entries(files))
      this.#disk.write(join(fresh, name), encode(content), { sync: false });
    await tree.sync(Object.keys(files).map((name) => join(fresh, name)));
    this.#disk.syncFolder(fresh);
    this.#disk.rename(fresh, folder);
    this.#disk.syncFolder(this.folder);
    this.#prune();
    return events.map((_, at) => ({ log: number, index: opening.length + at }));
  }

  #sign({ origin, tree }: Pick<OpenLog, "origin" | "tree">, signingKey: string): Promise<string> {
    const signer: NoteSigner = noteSigner(origin, signingKey);
    return signCheckpoint({ origin, size: tree.size, root: tree.root() }, signer);
  }

  #stamp(events: readonly EventInput[], size: number, last: Uint8Array | undefined): Uint8Array[] {
    const { clock = () => timeOf(this.#disk) } = this.#options;
    let prev = last && toHex(leafHash(last));
    return events.map((event, at) => {
      const follows = prev === undefined ? {} : { prev };
      const entry = formatEvent(event, { seq: size + at, ...follows, ...clock() });
      prev = toHex(leafHash(entry));
      return entry;
    });
  }

  #prune(): void {
    const { closedLogsKept = 64 } = this.#options;
    for (const number of this.numbers().slice(0, -1 - closedLogsKept)) this.#disk.remove(this.pathOf(number));
  }
}

interface OpenLog {
  readonly number: number;
  readonly origin: string;
  readonly size: number;
  readonly tree: WritableTree;
  readonly last: Uint8Array;
  readonly isClosed: boolean;
  /** Its signed checkpoint. */
  readonly note: string;
}

/** The origin that a note names, before anything in it is believed. */
function readOrigin(note: string): { origin: string } {
  const origin = note.slice(0, Math.max(note.indexOf("\n"), 0));
  if (origin === "") throw new LogError("bad-checkpoint", "The checkpoint of this log names no origin.");
  return { origin };
}

function firstOrigin(signingKey: string): string {
  const host = hostname().replace(/[^A-Za-z0-9.-]/g, "-") || "host";
  // The key is made once for each folder, so its hash tells this folder's logs from those of any other.
  const id = toHex(leafHash(noteSigner("id", signingKey).publicKey)).slice(0, 12);
  return `${host}/bootproof/${id}/1`;
}

function nextOrigin(origin: string, number: number): string {
  return origin.replace(/\d+$/, `${number}`);
}

/** Linux counts its starts by random ids; elsewhere there are none. */
function timeOf(disk: Disk): LogTime {
  const id = process.platform === "linux" ? disk.read("/proc/sys/kernel/random/boot_id") : undefined;
  return {
    time: new Date().toISOString(),
    monotonicMs: Number(process.hrtime.bigint() / 1_000_000n),
    ...(id === undefined ? {} : { boot: text(id).trim() }),
  };
}

/**
 * Who runs this process.
 *
 * @returns fields that the system does not tell are absent
 */
export function thisActor(): { user?: string; host?: string } {
  try {
    return { user: userInfo().username, host: hostname() };
  } catch {
    // A user number without a name, as containers have.
    return { host: hostname() };
  }
}

const encode = (value: string): Uint8Array => new TextEncoder().encode(value);
