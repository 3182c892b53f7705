import type { TransferPlan } from "../client/transfer.js";
import type { Session } from "../session/session.js";
import { dataRoom } from "../smp/capacity.js";
import type { RequestOf, ResponseOf } from "../smp/command.js";
import { fsDownload, fsUpload } from "../smp/groups/fs.js";
import { DeviceError } from "../smp/message.js";
import { FileTransferError } from "./error.js";

/**
 * Few bytes, because the device is given long for the first chunk: one that gets lost, as bursts of lines do on some
 * servers, would cost all that time.
 */
const FIRST_CHUNK = 64;
/** Group 8, FILE_OFFSET_NOT_VALID: `len` beside it says where the device wants to go on. */
const OFFSET_NOT_VALID = { group: 8, rc: 11 } as const;

/** What comes of a chunk; `taken` is false in a refusal. */
export type ChunkAnswer = ResponseOf<typeof fsUpload> & { taken?: boolean };
type DownloadRequest = RequestOf<typeof fsDownload>;
type DownloadAnswer = ResponseOf<typeof fsDownload>;

/** Chunks one behind the other; a refusal that names an offset is an answer. `sent` keeps how far any of them reached. */
export function uploadPlan(
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
export function downloadPlan(
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
export function isOrdinary(
  { off, taken }: ChunkAnswer,
  { at, begin, furthest }: { at: number; begin: number; furthest: number },
): boolean {
  if (off > furthest) return false;
  return taken === false ? off >= at && off !== begin : off > begin;
}

export type UploadChunk = RequestOf<typeof fsUpload>;

/** Where a device wants to go on, and whether it took the chunk that it answers to. */
export interface Wanted {
  off: number;
  taken: boolean;
}

/** As much from `offset` as one message can carry, with the size in a first chunk. */
export function uploadChunk(
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
      "transfer-buffer-too-small",
      name,
      offset,
      `The server's buffer of ${client.server.bufSize} bytes is too small for a chunk of ${name}.`,
      "Choose a shorter name, or raise CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE in the board's firmware.",
    );
  return { ...rest, data: file.subarray(offset, offset + room) };
}

/** The offset in a refusal that names one; any other failure is thrown on. */
export function offsetInRefusal(error: unknown): Wanted {
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
