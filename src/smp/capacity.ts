import type { Command } from "./command.js";
import { requestLength } from "./message.js";

/** A request that carries data, and how large its message may be. */
export interface DataSpace {
  /** Longest message the server takes, header included: the framing's `largestMessage` of the server buffer. */
  maxMessage: number;
  /**
   * Round down to a multiple of this many bytes. MCUboot's serial recovery loses the tail of a chunk that is no multiple of
   * the flash write size, and asks for it again. Default 1.
   */
  align?: number;
}

/**
 * How many bytes fit the field `data` of a request, exactly: one more would not. Found by the length of the request with
 * an empty `data`, which is reckoned by the rules that it is written by. 0 when not even the other fields fit.
 *
 *     dataRoom(imageUpload, { off: 65536 }, { maxMessage: 380 })   // 354
 */
export function dataRoom<Req extends { readonly data: Uint8Array }>(
  command: Command<Req, unknown>,
  rest: Omit<Req, "data">,
  space: DataSpace,
): number {
  const empty = { ...rest, data: new Uint8Array(0) } as unknown as Req;
  const length = requestLength(command, empty);
  const room = fitting(space.maxMessage - (length - headSize(0)));
  return room - (room % (space.align ?? 1));
}

/** The most bytes a CBOR byte string can hold when it has `room` bytes, its own head included. */
function fitting(room: number): number {
  let most = 0;
  // A longer head leaves less room, so each head is tried with the length it allows.
  for (const head of [1, 2, 3, 5]) {
    const length = Math.min(room - head, LONGEST[head]!);
    if (length >= 0 && headSize(length) <= head) most = Math.max(most, length);
  }
  return most;
}

/** Longest byte string behind a head of so many bytes. RFC 8949, section 3. */
const LONGEST: Readonly<Record<number, number>> = { 1: 23, 2: 0xff, 3: 0xffff, 5: 0xffff_ffff };

function headSize(length: number): number {
  return [1, 2, 3].find((head) => length <= LONGEST[head]!) ?? 5;
}
