import { concat } from "../bytes.js";
import type { Session } from "../session/session.js";
import { DeviceError } from "../smp/message.js";
import type { DownloadEvent, DownloadOptions, FileEvent, FileResult, PutOptions } from "./events.js";
import { FileTransfer } from "./file-transfer.js";
import { explainMissingFolder, isMissingFolder } from "./missing-folder.js";

export { FileTransferError, type FileTransferErrorCode } from "./error.js";
export type {
  DownloadEvent,
  DownloadOptions,
  FileEvent,
  FileOptions,
  FileResult,
  PutOptions,
} from "./events.js";

/** How often a file is begun anew for want of room. */
const MOST_NEW_BEGINNINGS = 3;
/** Nothing a microcontroller stores is larger, and the file is held in memory. */
const LARGEST_FILE = 64 * 1024 * 1024;
/** Group 8, FILE_WRITE_FAILED. */
const WRITE_FAILED = { group: 8, rc: 10 } as const;

/**
 * Writes a file on the device. A part that is there already is kept when the device can prove it by a hash, and a file
 * that is there whole is not sent. A lost link is waited for.
 *
 * @param session - the board
 * @param name - absolute path on the device
 * @param file - content
 * @param options - `resume: false` sends all of it; `check` compares hashes afterwards; `signal`
 * @returns bytes of the file, sent and kept, time in milliseconds, and how the two files were compared
 * @throws FileTransferError, DeviceError, and AwayError when a lost link does not come back
 */
export async function* putFile(
  session: Session,
  name: string,
  file: Uint8Array,
  options: PutOptions = {},
): AsyncGenerator<FileEvent, FileResult, void> {
  let movedBefore = 0;
  let oneByOne = false;
  for (let attempts = 1; ; attempts++) {
    const resume = attempts === 1 && options.resume !== false;
    const transfer = new FileTransfer(session, name, { ...options, resume });
    try {
      const result = yield* writeFile(transfer, file, { check: options.check, oneByOne });
      return { ...result, movedBytes: movedBefore + result.movedBytes };
    } catch (error) {
      if (isMissingFolder(error))
        throw await explainMissingFolder(session.client, name, error, options.signal);
      if (!isNoRoom(error) || attempts > MOST_NEW_BEGINNINGS) throw error;
      const by = (yield* transfer.leftItsOwnPart(file)) ? "own-part" : "other-file";
      // Given up once, it is in nobody's way any more.
      if (by === "other-file" && !(options.replace && attempts === 1)) throw error;
      // A chunk that overtakes a lost one is what closes the file too early.
      oneByOne ||= by === "own-part";
      yield { step: "made-room", by };
      yield* transfer.giveUp();
      movedBefore += transfer.movedBytes;
    }
  }
}

async function* writeFile(
  transfer: FileTransfer,
  file: Uint8Array,
  options: { check?: boolean | undefined; oneByOne: boolean },
): AsyncGenerator<FileEvent, FileResult, void> {
  const start = performance.now();
  // Before anything is asked about it: a name that leaves no room for data is refused as such.
  transfer.chunk(file, 0);
  let resumedAt: number | undefined;
  /** Undefined: to be found out from the device. */
  let offset: number | undefined;
  let accepted = false;
  for (;;) {
    if (offset === undefined) {
      const held = transfer.whereToBegin(file, { known: resumedAt !== undefined });
      offset = yield* transfer.attempt(0, held);
      if (offset === undefined) continue;
      resumedAt ??= offset;
      accepted = offset > 0;
      if (offset > 0) yield { step: "resumed", at: offset };
      yield { step: "moved", done: offset, total: file.length };
    }
    // An empty file is one chunk without data.
    if (offset === file.length && accepted) break;
    const chunk = transfer.chunk(file, offset);
    const wanted = yield* transfer.attempt(offset, () => transfer.send(chunk));
    // After a lost link the same chunk is sent again: if the device had taken it, it says so.
    if (wanted === undefined) continue;
    const next = transfer.goOn(chunk, wanted);
    if (next === "anew") {
      yield* transfer.attempt(offset, () => transfer.letGo());
      yield { step: "restarted", at: offset };
      [offset, accepted] = [0, false];
    } else {
      [offset, accepted] = [next, true];
      if (next === undefined) continue;
      yield { step: "moved", done: next, total: file.length };
      if (next < file.length && !options.oneByOne) offset = yield* transfer.stream(file, next);
    }
  }
  // Some file systems show a file's new size only when it is closed.
  await transfer.letGo();
  const result = { bytes: file.length, movedBytes: transfer.movedBytes, resumedAt: resumedAt ?? 0 };
  if (options.check === false) return { ...result, elapsedMs: performance.now() - start };
  yield { step: "checking" };
  const proof = await transfer.mustHold(file);
  return { ...result, proof, elapsedMs: performance.now() - start };
}

/**
 * Reads a file from the device; `data` of the result is the whole of it. Pieces come as events, so that a caller can keep
 * them for a later {@link DownloadOptions.have}.
 *
 * @param session - the board
 * @param name - absolute path on the device
 * @param options - `have`: bytes that are here already; `signal`
 * @returns the whole file as `data`, and the time in milliseconds
 * @throws FileTransferError, DeviceError, and AwayError when a lost link does not come back
 */
export async function* getFile(
  session: Session,
  name: string,
  options: DownloadOptions = {},
): AsyncGenerator<DownloadEvent, FileResult & { data: Uint8Array }, void> {
  const start = performance.now();
  const transfer = new FileTransfer(session, name, options);
  await transfer.letGo();
  const pieces: Uint8Array[] = [];
  let offset = 0;
  let total: number | undefined;
  let resumedAt = 0;
  while (total === undefined || offset < total) {
    const answer = yield* transfer.attempt(offset, () => transfer.receive(offset));
    if (answer === undefined) continue;
    if (total === undefined) {
      total = transfer.acceptedSize(answer.len, options.atMost ?? LARGEST_FILE);
      const have = yield* transfer.attempt(0, transfer.provenPart(options, total));
      if (have !== undefined) {
        resumedAt = offset = have.length;
        pieces.push(have);
        yield { step: "resumed", at: offset };
        yield { step: "moved", done: offset, total };
        continue;
      }
    }
    transfer.mustFit(answer, offset, total);
    pieces.push(answer.data);
    if (answer.data.length > 0) yield { step: "data", at: offset, data: answer.data };
    offset += answer.data.length;
    yield { step: "moved", done: offset, total };
    if (answer.data.length > 0 && offset < total)
      offset = yield* transfer.fetch({ offset, total, chunk: answer.data.length }, pieces);
  }
  await transfer.letGo();
  const data = concat(...pieces);
  const result = { bytes: data.length, movedBytes: transfer.movedBytes, resumedAt, data };
  if (options.check === false) return { ...result, elapsedMs: performance.now() - start };
  yield { step: "checking" };
  const proof = await transfer.mustHold(data);
  return { ...result, proof, elapsedMs: performance.now() - start };
}

const isNoRoom = (error: unknown): boolean =>
  error instanceof DeviceError && error.group === WRITE_FAILED.group && error.rc === WRITE_FAILED.rc;
