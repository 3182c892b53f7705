import type { Client, ServerFacts } from "../client/client.js";
import { identify } from "../client/connect.js";
import { PassedOver } from "../client/loss-probe.js";
import { RequestTimeout } from "../client/request-timeout.js";
import { Transfer, type TransferPlan, type Transferred } from "../client/transfer.js";
import { HASHES } from "../crypto/hashes.js";
import { BootproofError } from "../errors.js";
import { isAway, untilAnswering, type WatchEvent } from "../session/reconnect.js";
import { recoveryNumber } from "../session/recovery-number.js";
import type { Session } from "../session/session.js";
import { uploadNumber } from "../session/upload-number.js";
import { dataRoom } from "../smp/capacity.js";
import { cborLength } from "../smp/cbor.js";
import type { RequestOf, ResponseOf } from "../smp/command.js";
import { imageErase, imageUpload } from "../smp/groups/image.js";

export type UploadErrorCode =
  /** The server buffer cannot even take the first chunk. */
  | "upload-buffer-too-small"
  /** The device keeps asking for the same offset. */
  | "upload-stuck"
  /** The device asks for bytes that the file does not have. */
  | "upload-bad-offset"
  /** The device reports that the slot does not contain what was sent. */
  | "upload-damaged"
  /** The device answers other commands, and not the upload. */
  | "unanswered"
  /** Application and bootloader changed places meanwhile: the rest would go to another slot. */
  | "other-server";

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
  /** Bytes that travelled and were answered, repeats included. */
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
 * @param session - the board
 * @param file - the bytes to send
 * @param options - `image` number; `upgrade` refuses lower versions; `signal`; times in milliseconds
 * @returns bytes that travelled and bytes that the device had before; time in milliseconds
 * @throws UploadError, DeviceError, and AwayError when a lost link does not come back
 */
export async function* upload(
  session: Session,
  file: Uint8Array,
  options: UploadOptions = {},
): AsyncGenerator<UploadEvent, UploadResult, void> {
  const start = performance.now();
  const { mode } = session.client.server;
  // Serial recovery must never be sent a number that it does not have; see recoveryNumber.
  const image =
    mode === "recovery"
      ? await recoveryNumber(session, options.image ?? 0, options.signal)
      : await uploadNumber(session, options.image, options.signal);
  const run = { file, sha: HASHES.sha256.digest(file), offset: 0, repeats: 0, sentBytes: 0, resumedAt: 0 };
  let lostLinks = 0;
  let stalledAt: number | undefined;
  yield { step: "sent", sent: 0, total: file.length };
  while (run.offset < file.length) {
    try {
      if (lostLinks > 0) await mustStillBe(mode, session, run.offset, options.signal);
      const sending = sendChunks(session.client, run, { ...options, image });
      try {
        // No generator between this one and the transfer: each costs every message several turns.
        for (let step = sending.step(); step !== undefined; step = sending.step()) {
          if (step instanceof Promise) {
            await step;
            continue;
          }
          const event = uploadEvent(step, run);
          if (hasMore(step)) yield { step: "resumed", at: step.wanted };
          yield event;
        }
      } finally {
        sending.end();
      }
    } catch (error) {
      if (error instanceof PassedOver) throw unanswered(session.client, run);
      if (!isAway(error)) throw error;
      if (++lostLinks > MOST_LOST_LINKS) throw error;
      yield { step: "link-lost", at: run.offset, why: error.message };
      const wasAway = yield* watched(
        untilAnswering(session, { signal: options.signal, withinMs: options.reconnectWithinMs }),
      );
      // A board that answered all the time and twice not this: it is no link that was lost.
      if (!wasAway && error instanceof RequestTimeout && stalledAt === run.offset)
        throw unanswered(session.client, run);
      stalledAt = wasAway ? undefined : run.offset;
    }
  }
  return { sentBytes: run.sentBytes, resumedAt: run.resumedAt, elapsedMs: performance.now() - start };
}

/** Whether the board was away meanwhile. */
async function* watched(
  events: AsyncGenerator<WatchEvent, void, void>,
): AsyncGenerator<WatchEvent, boolean, void> {
  let wasAway = false;
  for await (const event of events) {
    wasAway = true;
    yield event;
  }
  return wasAway;
}

/**
 * A board that falls into serial recovery half-way would take the rest for its primary slot, and erase what runs there
 * first: whoever answers now must be who answered before.
 */
async function mustStillBe(
  mode: ServerFacts["mode"],
  session: Session,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (mode === "unknown") return;
  await identify(session.client, { signal });
  const now = session.client.server.mode;
  if (now === mode || now === "unknown") return;
  throw new UploadError(
    "other-server",
    offset,
    mode === "recovery"
      ? "The board left serial recovery during the upload."
      : "The board entered serial recovery during the upload; continuing would write over the running slot.",
    "Check what it runs with bootproof info, then start again.",
  );
}

interface UploadRun {
  readonly file: Uint8Array;
  readonly sha: Uint8Array;
  /** What the device wants next. */
  offset: number;
  /** Answers since the device last took data. */
  repeats: number;
  sentBytes: number;
  resumedAt: number;
}

/** Goes on from `run.offset` to the end, over one connection. */
function sendChunks(client: Client, run: UploadRun, options: UploadOptions) {
  const { signal } = options;
  return new Transfer(client, planFor(client, run, options), { signal, offset: run.offset });
}

type UploadRequest = RequestOf<typeof imageUpload>;
type UploadAnswer = ResponseOf<typeof imageUpload>;

/** Whether an answer said that the device had more of the file than was sent. */
function hasMore({ asked, wanted }: Transferred<UploadRequest, UploadAnswer>): boolean {
  return asked.offset === 0 && wanted > asked.next;
}

/** What an answer means for the run. */
function uploadEvent(chunk: Transferred<UploadRequest, UploadAnswer>, run: UploadRun): UploadEvent {
  const { asked, answer, wanted } = chunk;
  const { file } = run;
  const carried = asked.request.data.length;
  if (hasMore(chunk)) {
    run.resumedAt = wanted;
    run.sentBytes += carried;
  } else {
    // An answer that is passed over by a later one is made up for by that one's offset.
    run.sentBytes += Math.max(carried, wanted - run.offset);
  }
  run.repeats = wanted > run.offset ? 0 : run.repeats + 1;
  if (run.repeats > MOST_REPEATS) throw stuck(run.offset, run.repeats, wanted);
  run.offset = wanted;
  if (run.sentBytes > MOST_TIMES_SENT * file.length) throw inCircles(wanted, run.sentBytes);
  if (wanted === file.length && answer.match === false) throw damaged(wanted);
  return { step: "sent", sent: wanted, total: file.length };
}

function planFor(
  client: Client,
  run: UploadRun,
  options: UploadOptions,
): TransferPlan<UploadRequest, ResponseOf<typeof imageUpload>> {
  const { file, sha } = run;
  /** How much data goes with an offset of so many bytes: nearly always as much as before. */
  let known:
    | { readonly maxMessage: number; readonly offsetLength: number; readonly room: number }
    | undefined;
  const roomAt = (offset: number, maxMessage: number): number => {
    const offsetLength = cborLength(offset);
    if (known?.maxMessage !== maxMessage || known.offsetLength !== offsetLength)
      known = {
        maxMessage,
        offsetLength,
        room: dataRoom(imageUpload, { off: offset }, spaceOf(client, maxMessage)),
      };
    return known.room;
  };
  return {
    command: imageUpload,
    ask: (offset, maxMessage) => {
      if (offset >= file.length) return undefined;
      if (offset === 0) {
        const request = firstChunk(client, file, { ...options, sha, maxMessage });
        return { request, next: request.data.length, patienceMs: FIRST_TIMEOUT_MS };
      }
      const room = roomAt(offset, maxMessage);
      if (room < 1) throw bufferTooSmall(client, offset);
      const data = file.subarray(offset, offset + room);
      return { request: { off: offset, data }, next: offset + data.length };
    },
    wanted: (answer) => {
      if (answer.off > file.length) throw badOffset(file, answer.off);
      return answer.off;
    },
  };
}

/** Erasing waits for the flash: other clients give it this long too. */
const ERASE_TIMEOUT_MS = 60_000;

/** Erases a slot that is not in use. Throws DeviceError when the board finds that it is. */
export async function eraseSlot(
  { client }: Session,
  options: { image: number; slot: number; signal?: AbortSignal | undefined },
): Promise<void> {
  // The command counts slots over all images, and means the other slot of image 0 when none is named.
  const slot = options.image * 2 + options.slot;
  await client.send(imageErase, slot === 1 ? {} : { slot }, {
    signal: options.signal,
    timeoutMs: ERASE_TIMEOUT_MS,
  });
}

interface FirstChunkOptions extends UploadOptions {
  sha: Uint8Array;
  /** Longest message, header included. */
  maxMessage: number;
}

/** Recovery loses the tail of a chunk that is no multiple of the flash write size (32 at most). */
function spaceOf(client: Client, maxMessage: number) {
  return { maxMessage, align: client.server.mode === "recovery" ? 32 : 1 };
}

/** As much as one message can carry beside the fields that belong to a first chunk. */
function firstChunk(client: Client, file: Uint8Array, options: FirstChunkOptions): UploadRequest {
  // Recovery knows no sha.
  const recovery = client.server.mode === "recovery";
  const space = spaceOf(client, options.maxMessage);
  const { image, upgrade, sha } = options;
  const start = { off: 0, len: file.length, ...(image === undefined ? {} : { image }) };
  const end = upgrade === undefined || recovery ? {} : { upgrade };
  // A tiny buffer may still have room for a first chunk without the file's sha, which only serves to resume.
  for (const middle of recovery ? [{}] : [{ sha }, {}]) {
    const fields = { ...start, ...middle, ...end };
    const room = dataRoom(imageUpload, fields, space);
    if (room >= FIRST_CHUNK_MIN) return { ...fields, data: file.subarray(0, room) };
  }
  throw bufferTooSmall(client, 0);
}

function bufferTooSmall(client: Client, offset: number): UploadError {
  return new UploadError(
    "upload-buffer-too-small",
    offset,
    `The server's buffer of ${client.server.bufSize} bytes is too small for an upload.`,
    "Raise CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE in the board's firmware.",
  );
}

/** Decoded bytes of one console line: what arrives in one piece on every server. */
const ONE_LINE = 93;

function unanswered({ largestMessage }: Client, { offset }: UploadRun): UploadError {
  const long =
    largestMessage > ONE_LINE
      ? "frames of several lines get lost (a known fault of Zephyr's serial and shell transports on Cortex-M23, M0 and M0+ before August 2026: bootproof doctor tells); "
      : "";
  return new UploadError(
    "unanswered",
    offset,
    `The board answers other commands, not this upload at byte ${offset}.`,
    `Likely causes: ${long}the board faults when it writes or erases its flash (look at its log); its buffers or stack are too small for an upload.`,
  );
}

function badOffset(file: Uint8Array, wanted: number): UploadError {
  return new UploadError(
    "upload-bad-offset",
    wanted,
    `The device asks for offset ${wanted} of a file of ${file.length} bytes.`,
    "It may contain the rest of an upload of another file: erase the slot with bootproof image erase, then try again.",
  );
}

function stuck(offset: number, repeats: number, wanted: number): UploadError {
  return new UploadError(
    "upload-stuck",
    offset,
    `The device asked ${repeats} times for offset ${wanted} and accepts no data.`,
    "Its flash may refuse to be written: erase the slot with bootproof image erase, and look at the device's log.",
  );
}

function inCircles(offset: number, sentBytes: number): UploadError {
  return new UploadError(
    "upload-stuck",
    offset,
    `The device keeps asking for bytes that it already received: ${sentBytes} have been sent so far.`,
    "Another program may be uploading too; close it, erase the slot with bootproof image erase, and try again.",
  );
}

function damaged(offset: number): UploadError {
  return new UploadError(
    "upload-damaged",
    offset,
    "The device reports that the slot does not contain what was sent.",
    "Erase the slot with bootproof image erase and send it again; if it happens again, suspect the flash.",
  );
}
