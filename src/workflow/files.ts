import { concat, equal } from "../bytes.js";
import { type Client, RequestTimeout } from "../client/client.js";
import { type TransferPlan, transfer } from "../client/transfer.js";
import { BootproofError } from "../errors.js";
import { dataRoom } from "../smp/capacity.js";
import type { RequestOf, ResponseOf } from "../smp/command.js";
import { fsClose, fsDownload, fsStatus, fsUpload } from "../smp/groups/fs.js";
import { DeviceError } from "../smp/message.js";
import { TransportError } from "../transport/transport.js";
import { beginsWith, type FileProof } from "./file-hash.js";
import { untilAnswering, type WatchEvent } from "./reconnect.js";
import type { Session } from "./session.js";

export type FileTransferErrorCode =
  /** The server buffer cannot take a chunk, the name included. */
  | "buffer-too-small"
  /** The device keeps asking for the same offset, or sends no data. */
  | "stuck"
  /** The device names an offset or sends data that the file does not have. */
  | "bad-offset"
  /** The file is larger than was allowed. */
  | "file-too-big"
  /** What arrived is not what was sent. */
  | "damaged";

/** A file that cannot be carried to or from a device. */
export class FileTransferError extends BootproofError {
  declare readonly code: FileTransferErrorCode;
  readonly file: string;
  /** Offset in the file, bytes. */
  readonly offset: number;

  constructor(code: FileTransferErrorCode, file: string, offset: number, message: string, hint?: string) {
    super(code, message, { hint });
    this.file = file;
    this.offset = offset;
  }
}

export type FileEvent =
  /** The other side has bytes 0 to `done`. The first one says where the transfer begins. */
  | { step: "moved"; done: number; total: number }
  /** The other side had a part of this file already, proven by a hash. */
  | { step: "resumed"; at: number }
  /** The device lost count, and the transfer begins anew. */
  | { step: "restarted"; at: number }
  /** There was no room to go on: what this transfer wrote, or the file of before, is given up, and it begins anew. */
  | { step: "made-room"; by: "own-part" | "other-file" }
  | { step: "link-lost"; at: number; why: string }
  /** All bytes travelled; the two files are being compared. */
  | { step: "checking" }
  | WatchEvent;

/** A download's events: the same, and every new piece of the file in order. */
export type DownloadEvent = FileEvent | { step: "data"; at: number; data: Uint8Array };

export interface FileOptions {
  signal?: AbortSignal | undefined;
  /** Look whether the other side has a part already. Default true. */
  resume?: boolean | undefined;
  /** Compare the two files in the end. Default true. */
  check?: boolean | undefined;
  /** How long to wait for a lost link, each time. Default 60000. */
  reconnectWithinMs?: number | undefined;
}

export interface PutOptions extends FileOptions {
  /**
   * Where the device has no room for the old file and the new at once, give up the old one first. A file system that keeps
   * the old until the new is whole (littlefs) needs both; without the old one a cut upload leaves neither. Default false.
   */
  replace?: boolean | undefined;
}

export interface DownloadOptions extends FileOptions {
  /** What is here already of this file. Used only as far as the device's hash proves it. */
  have?: Uint8Array | undefined;
  /** The largest file to accept, bytes. Default 64 MiB. */
  atMost?: number | undefined;
}

export interface FileResult {
  bytes: number;
  /** Bytes that travelled, repeats included. */
  movedBytes: number;
  /** Bytes that were there before. */
  resumedAt: number;
  /** How the two files were compared; absent when that was not asked for. */
  proof?: FileProof;
  elapsedMs: number;
}

/** The first chunk makes the device empty the file, which a file system on slow flash takes its time for. */
const FIRST_TIMEOUT_MS = 20_000;
/**
 * Few bytes, because the device is given long for the first chunk: one that gets lost, as bursts of lines do on some
 * servers, would cost all that time.
 */
const FIRST_CHUNK = 64;
/** Disagreements about the offset that are survived; more are no accident. */
const MOST_DETOURS = 8;
const MOST_LOST_LINKS = 10;
/** How often a file is begun anew for want of room. */
const MOST_NEW_BEGINNINGS = 3;
/** Nothing a microcontroller stores is larger, and the file is held in memory. */
const LARGEST_FILE = 64 * 1024 * 1024;
/** Group 8, FILE_OFFSET_NOT_VALID: `len` beside it says where the device wants to go on. */
const OFFSET_NOT_VALID = { group: 8, rc: 11 } as const;
/** Group 8, FILE_WRITE_FAILED. */
const WRITE_FAILED = { group: 8, rc: 10 } as const;
/** Zephyr empties a file when bytes for it arrive, and not before. */
const SMALLEST_FILE = Uint8Array.of(0);

/**
 * Writes a file on the device. A part that is there already is kept when the device can prove it by a hash, and a file
 * that is there whole is not sent. A lost link is waited for.
 *
 * @throws FileTransferError, DeviceError, and AwayError when a lost link does not come back
 */
export async function* putFile(
  session: Session,
  name: string,
  file: Uint8Array,
  options: PutOptions = {},
): AsyncGenerator<FileEvent, FileResult, void> {
  let movedBefore = 0;
  for (let attempts = 1; ; attempts++) {
    const resume = attempts === 1 && options.resume !== false;
    const carrier = new Carrier(session, name, { ...options, resume });
    try {
      const result = yield* writeFile(carrier, file, options);
      return { ...result, movedBytes: movedBefore + result.movedBytes };
    } catch (error) {
      if (!isNoRoom(error) || attempts > MOST_NEW_BEGINNINGS) throw error;
      const by = (yield* carrier.leftItsOwnPart(file)) ? "own-part" : "other-file";
      // Given up once, it is in nobody's way any more.
      if (by === "other-file" && !(options.replace && attempts === 1)) throw error;
      yield { step: "made-room", by };
      yield* carrier.giveUp();
      movedBefore += carrier.movedBytes;
    }
  }
}

async function* writeFile(
  carrier: Carrier,
  file: Uint8Array,
  options: { check?: boolean | undefined },
): AsyncGenerator<FileEvent, FileResult, void> {
  const start = performance.now();
  // Before anything is asked about it: a name that leaves no room for data is refused as such.
  carrier.chunk(file, 0);
  let resumedAt: number | undefined;
  /** Undefined: to be found out from the device. */
  let offset: number | undefined;
  let accepted = false;
  for (;;) {
    if (offset === undefined) {
      const held = carrier.whereToBegin(file, { known: resumedAt !== undefined });
      offset = yield* carrier.attempt(0, held);
      if (offset === undefined) continue;
      resumedAt ??= offset;
      accepted = offset > 0;
      if (offset > 0) yield { step: "resumed", at: offset };
      yield { step: "moved", done: offset, total: file.length };
    }
    // An empty file is one chunk without data.
    if (offset === file.length && accepted) break;
    const chunk = carrier.chunk(file, offset);
    const wanted = yield* carrier.attempt(offset, () => carrier.send(chunk));
    // After a lost link the same chunk is sent again: if the device had taken it, it says so.
    if (wanted === undefined) continue;
    const next = carrier.goOn(chunk, wanted);
    if (next === "anew") {
      yield* carrier.attempt(offset, () => carrier.letGo());
      yield { step: "restarted", at: offset };
      [offset, accepted] = [0, false];
    } else {
      [offset, accepted] = [next, true];
      if (next === undefined) continue;
      yield { step: "moved", done: next, total: file.length };
      if (next < file.length) offset = yield* carrier.stream(file, next);
    }
  }
  // Some file systems show a file's new size only when it is closed.
  await carrier.letGo();
  const result = { bytes: file.length, movedBytes: carrier.movedBytes, resumedAt: resumedAt ?? 0 };
  if (options.check === false) return { ...result, elapsedMs: performance.now() - start };
  yield { step: "checking" };
  const proof = await carrier.mustHold(file);
  return { ...result, proof, elapsedMs: performance.now() - start };
}

/**
 * Reads a file from the device; `data` of the result is the whole of it. Pieces come as events, so that a caller can keep
 * them for a later {@link DownloadOptions.have}.
 *
 * @throws FileTransferError, DeviceError, and AwayError when a lost link does not come back
 */
export async function* getFile(
  session: Session,
  name: string,
  options: DownloadOptions = {},
): AsyncGenerator<DownloadEvent, FileResult & { data: Uint8Array }, void> {
  const start = performance.now();
  const carrier = new Carrier(session, name, options);
  await carrier.letGo();
  const pieces: Uint8Array[] = [];
  let offset = 0;
  let total: number | undefined;
  let resumedAt = 0;
  while (total === undefined || offset < total) {
    const answer = yield* carrier.attempt(offset, () => carrier.receive(offset));
    if (answer === undefined) continue;
    if (total === undefined) {
      total = carrier.acceptedSize(answer.len, options.atMost ?? LARGEST_FILE);
      const have = yield* carrier.attempt(0, carrier.provenPart(options, total));
      if (have !== undefined) {
        resumedAt = offset = have.length;
        pieces.push(have);
        yield { step: "resumed", at: offset };
        yield { step: "moved", done: offset, total };
        continue;
      }
    }
    carrier.mustFit(answer, offset, total);
    pieces.push(answer.data);
    if (answer.data.length > 0) yield { step: "data", at: offset, data: answer.data };
    offset += answer.data.length;
    yield { step: "moved", done: offset, total };
    if (answer.data.length > 0 && offset < total)
      offset = yield* carrier.fetch({ offset, total, chunk: answer.data.length }, pieces);
  }
  await carrier.letGo();
  const data = concat(...pieces);
  const result = { bytes: data.length, movedBytes: carrier.movedBytes, resumedAt, data };
  if (options.check === false) return { ...result, elapsedMs: performance.now() - start };
  yield { step: "checking" };
  const proof = await carrier.mustHold(data);
  return { ...result, proof, elapsedMs: performance.now() - start };
}

/** One transfer's questions to the device, and what it may cost. */
class Carrier {
  movedBytes = 0;
  /** A chunk was refused for its offset. Zephyr's server then closes the file, with what it has. */
  #refused = false;
  readonly #session: Session;
  readonly #name: string;
  readonly #options: FileOptions;
  #detours = 0;
  #lostLinks = 0;

  constructor(session: Session, name: string, options: FileOptions) {
    this.#session = session;
    this.#name = name;
    this.#options = options;
  }

  get #client(): Client {
    return this.#session.client;
  }

  chunk(file: Uint8Array, offset: number): UploadChunk {
    return uploadChunk(this.#session, this.#name, file, offset);
  }

  get #how(): { signal: AbortSignal | undefined } {
    return { signal: this.#options.signal };
  }

  /** Has the device close the file it may still hold open, from this transfer or from another program's. */
  async letGo(): Promise<void> {
    try {
      await this.#client.send(fsClose, {}, this.#how);
    } catch (error) {
      // Servers before Zephyr 3.3 cannot be asked; they close it after a while by themselves.
      if (!(error instanceof DeviceError)) throw error;
    }
  }

  /** Runs one step; undefined when the link was lost meanwhile and is there again. */
  async *attempt<T>(offset: number, step: () => Promise<T>): AsyncGenerator<FileEvent, T | undefined, void> {
    try {
      return await step();
    } catch (error) {
      const isAway = error instanceof RequestTimeout || error instanceof TransportError;
      if (!isAway || ++this.#lostLinks > MOST_LOST_LINKS) throw error;
      yield { step: "link-lost", at: offset, why: error.message };
      const { signal, reconnectWithinMs: withinMs } = this.#options;
      yield* untilAnswering(this.#session, { signal, withinMs });
      return undefined;
    }
  }

  /**
   * Sends the rest with as many chunks under way as serve the link, until all is there or something comes in between that
   * has to be looked at; up to where it got.
   */
  async *stream(file: Uint8Array, from: number): AsyncGenerator<FileEvent, number, void> {
    let at = from;
    let refusals = 0;
    const sent = { furthest: from };
    const carrying = transfer(this.#client, uploadPlan(this.#session, this.#name, file, sent), {
      ...this.#how,
      offset: from,
    });
    try {
      for await (const { asked, answer, wanted } of carrying) {
        this.movedBytes += asked.request.data.length;
        refusals = wanted > at ? 0 : refusals + 1;
        this.#refused ||= answer.taken === false;
        if (!isOrdinary(answer, { at, begin: asked.offset, ...sent }) || refusals > MOST_DETOURS) return at;
        at = wanted;
        yield { step: "moved", done: at, total: file.length };
      }
    } catch (error) {
      yield* this.#away(error, at);
    }
    return at;
  }

  /** Reads the rest in the same way; pieces go to `pieces` as well. */
  async *fetch(
    from: { offset: number; total: number; chunk: number },
    pieces: Uint8Array[],
  ): AsyncGenerator<DownloadEvent, number, void> {
    const { total } = from;
    const place = { at: from.offset, chunk: from.chunk };
    const carrying = transfer(this.#client, downloadPlan(this.#name, total, place), {
      ...this.#how,
      offset: from.offset,
    });
    try {
      for await (const { asked, answer } of carrying) {
        const { data } = answer;
        this.movedBytes += data.length;
        if (asked.offset !== place.at) continue;
        if (answer.off !== place.at || data.length === 0 || place.at + data.length > total) return place.at;
        pieces.push(data);
        yield { step: "data", at: place.at, data };
        place.at += data.length;
        if (place.at < total) place.chunk = data.length;
        yield { step: "moved", done: place.at, total };
      }
    } catch (error) {
      yield* this.#away(error, place.at);
    }
    return place.at;
  }

  /** Waits for a lost link; any other failure is thrown on. */
  async *#away(error: unknown, at: number): AsyncGenerator<FileEvent, void, void> {
    yield* this.attempt(at, () => Promise.reject(error));
  }

  /**
   * Whether a file that has no room to go on is in its own way: it was closed too early, and a file system that copies on
   * writing (littlefs) needs the room of the part that is stored once more.
   */
  async *leftItsOwnPart(file: Uint8Array): AsyncGenerator<FileEvent, boolean, void> {
    await this.letGo();
    if (!this.#refused) return false;
    return ((yield* this.attempt(0, () => this.#provenSize(file))) ?? 0) > 0;
  }

  /** Leaves nothing of the device's file but one byte. */
  async *giveUp(): AsyncGenerator<FileEvent, void, void> {
    const chunk = this.chunk(SMALLEST_FILE, 0);
    while ((yield* this.attempt(0, () => this.send(chunk))) === undefined);
    await this.letGo();
  }

  /** Sends one chunk; the offset where the device wants to go on, and whether it took the chunk. */
  async send(chunk: UploadChunk): Promise<Wanted> {
    this.movedBytes += chunk.data.length;
    const timeoutMs = chunk.off === 0 ? FIRST_TIMEOUT_MS : undefined;
    const wanted = await this.#client
      .send(fsUpload, chunk, { ...this.#how, timeoutMs })
      .then(({ off }) => ({ off, taken: true }), offsetInRefusal);
    this.#refused ||= !wanted.taken;
    return wanted;
  }

  /**
   * Where to go on after a chunk: an offset; undefined when the device holds something that has to be looked at; `anew`
   * when it cannot go on at all.
   */
  goOn(chunk: UploadChunk, wanted: Wanted): number | undefined | "anew" {
    const end = chunk.off + chunk.data.length;
    if (wanted.off === end || (wanted.taken && wanted.off > chunk.off && wanted.off < end)) return wanted.off;
    if (++this.#detours > MOST_DETOURS) throw this.#stuck(chunk.off, wanted.off);
    // Zephyr counts a first chunk twice when its answer was lost and it was sent again.
    if (wanted.taken && wanted.off > end) return "anew";
    // It refuses the offset that it asks for: it cannot append to a file that was closed once.
    return wanted.off === chunk.off ? "anew" : undefined;
  }

  async receive(off: number): Promise<{ off: number; data: Uint8Array; len?: number | undefined }> {
    const answer = await this.#client.send(fsDownload, { off, name: this.#name }, this.#how);
    this.movedBytes += answer.data.length;
    return answer;
  }

  acceptedSize(len: number | undefined, atMost: number): number {
    if (len === undefined)
      throw new FileTransferError(
        "bad-offset",
        this.#name,
        0,
        `The device does not tell the size of ${this.#name}.`,
      );
    if (len > atMost)
      throw new FileTransferError(
        "file-too-big",
        this.#name,
        0,
        `${this.#name} has ${len} bytes, more than the ${atMost} that are accepted.`,
      );
    return len;
  }

  mustFit(answer: { off: number; data: Uint8Array }, offset: number, total: number): void {
    if (answer.off !== offset || offset + answer.data.length > total)
      throw new FileTransferError(
        "bad-offset",
        this.#name,
        offset,
        `The device sent ${answer.data.length} bytes at ${answer.off} of ${this.#name}; asked for were those at ${offset}, of ${total}.`,
        "The file may be changing: try again.",
      );
    if (answer.data.length === 0 && offset < total) throw this.#stuck(offset);
  }

  /**
   * How many bytes of the device's file are a proven beginning of `file`. A file that this transfer did not begin
   * (`known`) counts only when resuming is wanted.
   */
  whereToBegin(file: Uint8Array, { known }: { known: boolean }): () => Promise<number> {
    return async () => {
      const held = this.#options.resume === false && !known ? 0 : await this.#provenSize(file);
      // Not before: some devices cannot append to a file any more once it is closed.
      if (held === 0) await this.letGo();
      return held;
    };
  }

  async #provenSize(file: Uint8Array): Promise<number> {
    const size = await this.#size();
    if (size === undefined || size === 0 || size > file.length) return 0;
    const proof = await beginsWith(this.#client, this.#name, file.subarray(0, size), this.#options.signal);
    return proof?.same ? size : 0;
  }

  /** What is here of the file, when the device's hash proves it to be its beginning. */
  provenPart(options: DownloadOptions, total: number): () => Promise<Uint8Array | undefined> {
    return async () => {
      const { have, resume = true } = options;
      if (!resume || have === undefined || have.length === 0 || have.length > total) return undefined;
      const proof = await beginsWith(this.#client, this.#name, have, options.signal);
      return proof?.same ? have : undefined;
    };
  }

  /** Compares the device's file with `file`. Throws FileTransferError `damaged`. */
  async mustHold(file: Uint8Array): Promise<FileProof> {
    const status = await this.#client.send(fsStatus, { name: this.#name }, this.#how).catch(notBuiltIn);
    if (status !== undefined && status.len !== file.length)
      throw file.length === 0 ? this.#notEmptied(status.len) : this.#damaged(status.len);
    if (file.length > 0) {
      const proof = await beginsWith(this.#client, this.#name, file, this.#options.signal);
      if (proof !== undefined) {
        if (!proof.same) throw this.#damaged(file.length);
        return proof.by;
      }
    }
    return this.#readBack(file);
  }

  async #readBack(file: Uint8Array): Promise<FileProof> {
    for (let offset = 0; offset < file.length || offset === 0; ) {
      const answer = await this.receive(offset).catch(notBuiltIn);
      if (answer === undefined) return "nothing";
      if (offset === 0 && answer.len !== file.length) throw this.#damaged(answer.len ?? 0);
      this.mustFit(answer, offset, file.length);
      if (!equal(answer.data, file.subarray(offset, offset + answer.data.length)))
        throw this.#damaged(file.length);
      offset += answer.data.length;
      if (file.length === 0) break;
    }
    await this.letGo();
    return "read-back";
  }

  /** Undefined when the device has no such file, or cannot tell. */
  async #size(): Promise<number | undefined> {
    const status = await this.#client.send(fsStatus, { name: this.#name }, this.#how).catch(refused);
    return status?.len;
  }

  #stuck(offset: number, wanted = offset): FileTransferError {
    return new FileTransferError(
      "stuck",
      this.#name,
      offset,
      `The device does not get beyond byte ${offset} of ${this.#name}; it asks for byte ${wanted}.`,
      "Its file system may be full or damaged: look at the device's log.",
    );
  }

  #notEmptied(size: number): FileTransferError {
    return new FileTransferError(
      "damaged",
      this.#name,
      0,
      `${this.#name} on the device still has its ${size} bytes: it does not empty a file when nothing follows.`,
      "Zephyr's server does not; a file of one byte can be written.",
    );
  }

  #damaged(size: number): FileTransferError {
    return new FileTransferError(
      "damaged",
      this.#name,
      0,
      `${this.#name} on the device (${size} bytes) is not the same as the file here.`,
      "Try again without resuming; a file that the device itself writes to may be read with --no-check.",
    );
  }
}

/** What comes of a chunk; `taken` is false in a refusal. */
type ChunkAnswer = ResponseOf<typeof fsUpload> & { taken?: boolean };
type DownloadRequest = RequestOf<typeof fsDownload>;
type DownloadAnswer = ResponseOf<typeof fsDownload>;

/** Chunks one behind the other; a refusal that names an offset is an answer. `sent` keeps how far any of them reached. */
function uploadPlan(
  session: Session,
  name: string,
  file: Uint8Array,
  sent: { furthest: number },
): TransferPlan<UploadChunk, ChunkAnswer> {
  return {
    command: fsUpload,
    ask: (offset, maxMessage) => {
      if (offset >= file.length) return undefined;
      const request = uploadChunk(session, name, file, offset, maxMessage);
      const next = offset + request.data.length;
      sent.furthest = Math.max(sent.furthest, next);
      return { request, next };
    },
    wanted: ({ off }) => off,
    answerIn: wantedInRefusal,
  };
}

/** `place` moves with what has come: an answer to a later question is of no use before that to an earlier one. */
function downloadPlan(
  name: string,
  total: number,
  place: { readonly at: number; readonly chunk: number },
): TransferPlan<DownloadRequest, DownloadAnswer> {
  return {
    command: fsDownload,
    isReading: true,
    ask: (off) =>
      off >= total ? undefined : { request: { off, name }, next: Math.min(off + place.chunk, total) },
    wanted: ({ data }, asked) => (asked.offset === place.at ? asked.offset + data.length : place.at),
  };
}

/** What comes of chunks that are sent one behind the other: taken, or refused because one before got lost. */
function isOrdinary(
  { off, taken }: ChunkAnswer,
  { at, begin, furthest }: { at: number; begin: number; furthest: number },
): boolean {
  if (off > furthest) return false;
  return taken === false ? off >= at && off !== begin : off > begin;
}

type UploadChunk = RequestOf<typeof fsUpload>;

/** Where a device wants to go on, and whether it took the chunk that it answers to. */
interface Wanted {
  off: number;
  taken: boolean;
}

/** As much from `offset` as one message can carry, with the size in a first chunk. */
function uploadChunk(
  session: Session,
  name: string,
  file: Uint8Array,
  offset: number,
  maxMessage = session.client.largestMessage,
): UploadChunk {
  const { client } = session;
  const rest = offset === 0 ? { off: 0, name, len: file.length } : { off: offset, name };
  const space = dataRoom(fsUpload, rest, { maxMessage });
  const room = offset === 0 ? Math.min(space, FIRST_CHUNK) : space;
  if (room < 1)
    throw new FileTransferError(
      "buffer-too-small",
      name,
      offset,
      `The server's buffer of ${client.server.bufSize} bytes cannot take a chunk of ${name}.`,
      "Choose a shorter name, or raise CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE in the board's firmware.",
    );
  return { ...rest, data: file.subarray(offset, offset + room) };
}

/** The offset in a refusal that names one; any other failure is thrown on. */
function offsetInRefusal(error: unknown): Wanted {
  const wanted = wantedInRefusal(error);
  if (wanted === undefined) throw error;
  return wanted;
}

function wantedInRefusal(error: unknown): Wanted | undefined {
  const { group, rc } = OFFSET_NOT_VALID;
  if (!(error instanceof DeviceError && error.group === group && error.rc === rc)) return undefined;
  const { len } = error.fields;
  return Number.isSafeInteger(len) && (len as number) >= 0 ? { off: len as number, taken: false } : undefined;
}

const isNoRoom = (error: unknown): boolean =>
  error instanceof DeviceError && error.group === WRITE_FAILED.group && error.rc === WRITE_FAILED.rc;

/** For commands that a device need not have. */
function notBuiltIn(error: unknown): undefined {
  if (error instanceof DeviceError && error.rcName === "ENOTSUP") return undefined;
  throw error;
}

/** For questions whose refusal is an answer. */
function refused(error: unknown): undefined {
  if (error instanceof DeviceError) return undefined;
  throw error;
}
