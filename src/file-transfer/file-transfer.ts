import { equal } from "../bytes.js";
import { type Client, RequestTimeout } from "../client/client.js";
import { transfer } from "../client/transfer.js";
import { untilAnswering } from "../session/reconnect.js";
import type { Session } from "../session/session.js";
import { fsClose, fsDownload, fsStatus, fsUpload } from "../smp/groups/fs.js";
import { DeviceError } from "../smp/message.js";
import { TransportError } from "../transport/transport.js";
import {
  downloadPlan,
  isOrdinary,
  offsetInRefusal,
  type UploadChunk,
  uploadChunk,
  uploadPlan,
  type Wanted,
} from "./chunks.js";
import { FileTransferError } from "./error.js";
import type { DownloadEvent, DownloadOptions, FileEvent, FileOptions } from "./events.js";
import { beginsWith, type FileProof } from "./file-hash.js";

/** The first chunk makes the device empty the file, which a file system on slow flash takes its time for. */
const FIRST_TIMEOUT_MS = 20_000;
/** Disagreements about the offset that are survived; more are no accident. */
const MOST_DETOURS = 8;
const MOST_LOST_LINKS = 10;
/** Zephyr empties a file when bytes for it arrive, and not before. */
const SMALLEST_FILE = Uint8Array.of(0);

/** One transfer's questions to the device, and what it may cost. */
export class FileTransfer {
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
        "transfer-bad-offset",
        this.#name,
        0,
        `The device does not report the size of ${this.#name}.`,
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
        "transfer-bad-offset",
        this.#name,
        offset,
        `The device sent ${answer.data.length} bytes at ${answer.off} of ${this.#name}; expected bytes at ${offset} of ${total}.`,
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
      "transfer-stuck",
      this.#name,
      offset,
      `The device does not get beyond byte ${offset} of ${this.#name}; it asks for byte ${wanted}.`,
      "Its file system may be full or damaged: look at the device's log.",
    );
  }

  #notEmptied(size: number): FileTransferError {
    return new FileTransferError(
      "transfer-damaged",
      this.#name,
      0,
      `${this.#name} on the device still has its ${size} bytes: the server does not empty a file when the new content is empty.`,
      "Zephyr's server cannot do that; a file of one byte can be written.",
    );
  }

  #damaged(size: number): FileTransferError {
    return new FileTransferError(
      "transfer-damaged",
      this.#name,
      0,
      `${this.#name} on the device (${size} bytes) differs from the local file.`,
      "Try again without resuming; to read a file that the device keeps writing to, add --no-check.",
    );
  }
}

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
