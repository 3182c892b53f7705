import { BootproofError } from "../errors.js";
import { HASHES } from "../image/algorithms.js";
import { dataRoom } from "../smp/capacity.js";
import { imageUpload } from "../smp/groups/image.js";
import { isAway, untilAnswering, type WatchEvent } from "./reconnect.js";
import type { Session } from "./session.js";

export type UploadErrorCode =
  /** The server buffer cannot even take the first chunk. */
  | "buffer-too-small"
  /** The device keeps asking for the same offset. */
  | "stuck"
  /** The device asks for bytes that the file does not have. */
  | "bad-offset"
  /** The device says that the slot does not hold what was sent. */
  | "damaged";

/** An upload that cannot be finished. */
export class UploadError extends BootproofError {
  declare readonly code: UploadErrorCode;
  /** Offset in the file, bytes. */
  readonly offset: number;

  constructor(code: UploadErrorCode, offset: number, message: string, hint?: string) {
    super(code, message, { hint });
    this.offset = offset;
  }
}

export type UploadEvent =
  /** The device has bytes 0 to `sent`. The first one says where the device wants to begin. */
  | { step: "sent"; sent: number; total: number }
  /** The device had a part of this file already. */
  | { step: "resumed"; at: number }
  | { step: "link-lost"; at: number; why: string }
  | WatchEvent;

export interface UploadOptions {
  signal?: AbortSignal | undefined;
  /** Image number. Default: not sent, which means 0. */
  image?: number | undefined;
  /** Ask the device to refuse anything but a higher version. */
  upgrade?: boolean | undefined;
  /** How long to wait for a lost link, each time. Default 60000. */
  reconnectWithinMs?: number | undefined;
}

export interface UploadResult {
  /** Bytes that travelled, repeats included. */
  sentBytes: number;
  /** Bytes that the device had before. */
  resumedAt: number;
  elapsedMs: number;
}

/** The first chunk makes the device erase, which may take tens of seconds. Facts: every other client waits 40 s. */
const FIRST_TIMEOUT_MS = 40_000;
/** The device may repeat an offset after a lost line; this often is no accident. */
const MOST_REPEATS = 8;
const MOST_LOST_LINKS = 10;
/** Times the file's length that may travel: a board that forgets everything with each lost link needs eleven. */
const MOST_TIMES_SENT = 20;
/** The first chunk must hold the image header, MCUboot's `struct image_header`. */
const FIRST_CHUNK_MIN = 32;

/**
 * Writes a file to the slot where the device puts uploads, offset by offset; the offset the device answers is the
 * truth. A lost link is waited for and the upload goes on where the device says.
 *
 * @throws UploadError, DeviceError, and AwayError when a lost link does not come back
 */
export async function* upload(
  session: Session,
  file: Uint8Array,
  options: UploadOptions = {},
): AsyncGenerator<UploadEvent, UploadResult, void> {
  const start = performance.now();
  const sha = HASHES.sha256.digest(file);
  let offset = 0;
  let repeats = 0;
  let lostLinks = 0;
  let sentBytes = 0;
  let resumedAt = 0;
  yield { step: "sent", sent: 0, total: file.length };
  while (offset < file.length) {
    const chunk = nextChunk(session, file, { ...options, offset, sha });
    try {
      const timeoutMs = offset === 0 ? FIRST_TIMEOUT_MS : undefined;
      const answer = await session.client.send(imageUpload, chunk, { signal: options.signal, timeoutMs });
      const end = offset + chunk.data.length;
      if (offset === 0 && answer.off > end) {
        resumedAt = answer.off;
        yield { step: "resumed", at: answer.off };
      }
      sentBytes += chunk.data.length;
      repeats = answer.off > offset ? 0 : repeats + 1;
      offset = acceptedOffset(file, answer.off, { offset, repeats });
      if (sentBytes > MOST_TIMES_SENT * file.length) throw inCircles(offset, sentBytes);
      if (offset === file.length && answer.match === false) throw damaged(offset);
      yield { step: "sent", sent: offset, total: file.length };
    } catch (error) {
      if (!isAway(error)) throw error;
      if (++lostLinks > MOST_LOST_LINKS) throw error;
      yield { step: "link-lost", at: offset, why: error.message };
      yield* untilAnswering(session, { signal: options.signal, withinMs: options.reconnectWithinMs });
    }
  }
  return { sentBytes, resumedAt, elapsedMs: performance.now() - start };
}

interface ChunkOptions extends UploadOptions {
  offset: number;
  sha: Uint8Array;
}

/** As much from `offset` as one message can carry, with the fields that belong to a first chunk. */
function nextChunk(session: Session, file: Uint8Array, options: ChunkOptions) {
  const { client } = session;
  const recovery = client.server.mode === "recovery";
  // Recovery knows no sha, and loses the tail of a chunk that is no multiple of the flash write size (32 at most).
  const space = { maxMessage: client.largestMessage, align: recovery ? 32 : 1 };
  const { offset, image, upgrade, sha } = options;
  const start = {
    off: 0,
    len: file.length,
    ...(image === undefined ? {} : { image }),
    ...(recovery ? {} : { sha }),
    ...(upgrade === undefined || recovery ? {} : { upgrade }),
  };
  const rest = offset === 0 ? start : { off: offset };
  const room = dataRoom(imageUpload, rest, space);
  if (room >= (offset === 0 ? FIRST_CHUNK_MIN : 1)) {
    return { ...rest, data: file.subarray(offset, offset + room) };
  }
  // A tiny buffer may still have room for a first chunk without the file's sha, which only serves to resume.
  const { sha: _left, ...bare } = start as typeof start & { sha?: Uint8Array };
  const bareRoom = dataRoom(imageUpload, bare, space);
  if (offset === 0 && bareRoom >= FIRST_CHUNK_MIN) return { ...bare, data: file.subarray(0, bareRoom) };
  throw new UploadError(
    "buffer-too-small",
    offset,
    `The server's buffer of ${client.server.bufSize} bytes cannot take an upload.`,
    "Raise CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE in the board's firmware.",
  );
}

/** Checks the offset a device wants next against the file and against going round in circles. */
function acceptedOffset(file: Uint8Array, wanted: number, at: { offset: number; repeats: number }): number {
  if (wanted > file.length) {
    throw new UploadError(
      "bad-offset",
      wanted,
      `The device asks for offset ${wanted} of a file of ${file.length} bytes.`,
      "It may hold the rest of an upload of another file: erase the slot with bootproof image erase, then try again.",
    );
  }
  if (at.repeats > MOST_REPEATS) {
    throw new UploadError(
      "stuck",
      at.offset,
      `The device asked ${at.repeats} times for offset ${wanted} and takes no data.`,
      "Its flash may refuse to be written: erase the slot with bootproof image erase, and look at the device's log.",
    );
  }
  return wanted;
}

function inCircles(offset: number, sentBytes: number): UploadError {
  return new UploadError(
    "stuck",
    offset,
    `The device keeps asking for bytes that it has had: ${sentBytes} have been sent so far.`,
    "Another program may be uploading too; close it, erase the slot with bootproof image erase, and try again.",
  );
}

function damaged(offset: number): UploadError {
  return new UploadError(
    "damaged",
    offset,
    "The device says that the slot does not hold what was sent.",
    "Erase the slot with bootproof image erase and send it again; if it happens again, suspect the flash.",
  );
}
