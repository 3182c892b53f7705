import type { Client, ServerFacts } from "../client/client.js";
import { identify } from "../client/connect.js";
import { type TransferPlan, transfer } from "../client/transfer.js";
import { BootproofError } from "../errors.js";
import { HASHES } from "../image/hashes.js";
import { dataRoom } from "../smp/capacity.js";
import type { RequestOf, ResponseOf } from "../smp/command.js";
import { imageErase, imageUpload } from "../smp/groups/image.js";
import { isAway, untilAnswering, type WatchEvent } from "./reconnect.js";
import { recoveryNumber } from "./recovery-number.js";
import type { Session } from "./session.js";

export type UploadErrorCode =
  /** The server buffer cannot even take the first chunk. */
  | "buffer-too-small"
  /** The device keeps asking for the same offset. */
  | "stuck"
  /** The device asks for bytes that the file does not have. */
  | "bad-offset"
  /** The device says that the slot does not hold what was sent. */
  | "damaged"
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
    mode === "recovery" ? await recoveryNumber(session, options.image ?? 0, options.signal) : options.image;
  const run = { file, sha: HASHES.sha256.digest(file), offset: 0, repeats: 0, sentBytes: 0, resumedAt: 0 };
  let lostLinks = 0;
  yield { step: "sent", sent: 0, total: file.length };
  while (run.offset < file.length) {
    try {
      if (lostLinks > 0) await mustStillBe(mode, session, run.offset, options.signal);
      yield* sendChunks(session.client, run, { ...options, image });
    } catch (error) {
      if (!isAway(error)) throw error;
      if (++lostLinks > MOST_LOST_LINKS) throw error;
      yield { step: "link-lost", at: run.offset, why: error.message };
      yield* untilAnswering(session, { signal: options.signal, withinMs: options.reconnectWithinMs });
    }
  }
  return { sentBytes: run.sentBytes, resumedAt: run.resumedAt, elapsedMs: performance.now() - start };
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
      ? "The board left serial recovery in the middle of the upload."
      : "The board fell into serial recovery in the middle of the upload; going on would write over the running slot.",
    "Look with bootproof info what it runs, then begin again.",
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
async function* sendChunks(
  client: Client,
  run: UploadRun,
  options: UploadOptions,
): AsyncGenerator<UploadEvent, void, void> {
  const { file } = run;
  for await (const { asked, answer, wanted } of transfer(client, planFor(client, run, options), {
    signal: options.signal,
    offset: run.offset,
  })) {
    const carried = asked.request.data.length;
    if (asked.offset === 0 && wanted > asked.next) {
      run.resumedAt = wanted;
      run.sentBytes += carried;
      yield { step: "resumed", at: wanted };
    } else {
      // An answer that is passed over by a later one is made up for by that one's offset.
      run.sentBytes += Math.max(carried, wanted - run.offset);
    }
    run.repeats = wanted > run.offset ? 0 : run.repeats + 1;
    if (run.repeats > MOST_REPEATS) throw stuck(run.offset, run.repeats, wanted);
    run.offset = wanted;
    if (run.sentBytes > MOST_TIMES_SENT * file.length) throw inCircles(wanted, run.sentBytes);
    if (wanted === file.length && answer.match === false) throw damaged(wanted);
    yield { step: "sent", sent: wanted, total: file.length };
  }
}

type UploadRequest = RequestOf<typeof imageUpload>;

function planFor(
  client: Client,
  run: UploadRun,
  options: UploadOptions,
): TransferPlan<UploadRequest, ResponseOf<typeof imageUpload>> {
  const { file, sha } = run;
  return {
    command: imageUpload,
    ask: (offset, maxMessage) => {
      if (offset >= file.length) return undefined;
      const request = nextChunk(client, file, { ...options, offset, sha, maxMessage });
      const patienceMs = offset === 0 ? FIRST_TIMEOUT_MS : undefined;
      return { request, next: offset + request.data.length, patienceMs };
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

interface ChunkOptions extends UploadOptions {
  offset: number;
  sha: Uint8Array;
  /** Longest message, header included. */
  maxMessage: number;
}

/** As much from `offset` as one message can carry, with the fields that belong to a first chunk. */
function nextChunk(client: Client, file: Uint8Array, options: ChunkOptions): UploadRequest {
  const recovery = client.server.mode === "recovery";
  // Recovery knows no sha, and loses the tail of a chunk that is no multiple of the flash write size (32 at most).
  const space = { maxMessage: options.maxMessage, align: recovery ? 32 : 1 };
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

function badOffset(file: Uint8Array, wanted: number): UploadError {
  return new UploadError(
    "bad-offset",
    wanted,
    `The device asks for offset ${wanted} of a file of ${file.length} bytes.`,
    "It may hold the rest of an upload of another file: erase the slot with bootproof image erase, then try again.",
  );
}

function stuck(offset: number, repeats: number, wanted: number): UploadError {
  return new UploadError(
    "stuck",
    offset,
    `The device asked ${repeats} times for offset ${wanted} and takes no data.`,
    "Its flash may refuse to be written: erase the slot with bootproof image erase, and look at the device's log.",
  );
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
