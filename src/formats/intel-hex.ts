import { concat, fromHex, toHex } from "../bytes.js";
import { BootproofError } from "../errors.js";

export type HexErrorCode =
  /** A line that is no record: no colon, odd or strange characters, or a wrong length. */
  | "bad-record"
  /** A record's sum is not zero: the line was damaged. */
  | "bad-checksum"
  /** A record type that does not exist. */
  | "bad-type"
  /** An address beyond 32 bits. */
  | "hex-bad-address"
  /** Two records write one address. */
  | "overlap"
  /** Segments too far apart to be joined into one. */
  | "hex-too-large";

/** An Intel HEX file that cannot be read. `line` counts from 1. */
export class HexError extends BootproofError {
  declare readonly code: HexErrorCode;
  readonly line: number;

  constructor(code: HexErrorCode, line: number, message: string) {
    super(code, `Line ${line}: ${message}`);
    this.line = line;
  }
}

/** Bytes at an address. */
export interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
}

const DATA = 0;
const END = 1;
const EXTENDED_SEGMENT = 2;
const START_SEGMENT = 3;
const EXTENDED_LINEAR = 4;
const START_LINEAR = 5;

/**
 * Reads Intel HEX: contiguous bytes become one segment, in the order of addresses.
 *
 * @param text - of the whole file
 * @returns addresses in bytes
 * @throws HexError naming the line
 *
 * @example
 * ```ts
 * import { formatIntelHex, joinSegments, parseIntelHex } from "bootproof/mcuboot";
 * const text = formatIntelHex([{ address: 0x0800_0000, bytes: Uint8Array.of(1, 2, 3) }]);
 * const { address, bytes } = joinSegments(parseIntelHex(text));
 * if (address !== 0x0800_0000 || bytes.length !== 3) throw new Error("not what was written");
 * ```
 */
export function parseIntelHex(text: string): Segment[] {
  return readIntelHex(text).segments;
}

/** A file of Intel HEX, and where it is not what the format says. */
export interface IntelHexFile {
  readonly segments: Segment[];
  /** It ends with an end record. Without one it may have been cut between two lines. */
  readonly ended: boolean;
  /** Lines behind the end record, which count for nothing. */
  readonly linesBehind: number;
}

/**
 * As {@link parseIntelHex}. As imgtool (Python's intelhex) does, reads a file without an end record, and looks at
 * nothing behind one; both is told.
 *
 * @param text - of the whole file
 * @returns segments, and what is odd about the file
 * @throws {@link HexError}
 */
export function readIntelHex(text: string): IntelHexFile {
  const pieces: Piece[] = [];
  let base = 0;
  let endedAt: number | undefined;
  const lines = text.split(/\r\n|\n|\r/);
  for (const [index, raw] of lines.entries()) {
    const line = index + 1;
    const record = raw.trim();
    if (record === "") continue;
    const { type, offset, data } = parseRecord(record, line);
    if (type === DATA) {
      const address = base + offset;
      if (address + data.length > 2 ** 32)
        throw new HexError("hex-bad-address", line, "bytes beyond the 32-bit address space.");
      if (data.length > 0) pieces.push({ address, bytes: data, line });
    } else if (type === END) {
      endedAt = line;
      break;
    } else if (type === EXTENDED_SEGMENT) base = number(data, 2, line) * 16;
    else if (type === EXTENDED_LINEAR) base = number(data, 2, line) * 0x1_0000;
    else if (type === START_SEGMENT || type === START_LINEAR) number(data, 4, line);
    else throw new HexError("bad-type", line, `record type ${type} does not exist.`);
  }
  const linesBehind =
    endedAt === undefined ? 0 : lines.slice(endedAt).filter((line) => line.trim() !== "").length;
  return { segments: join(pieces), ended: endedAt !== undefined, linesBehind };
}

/**
 * Writes segments as Intel HEX with 16 bytes a line, byte for byte as imgtool (Python's intelhex) does. Segments
 * that touch become one.
 *
 * @param segments - addresses in bytes
 * @returns records with line feeds, end record included
 * @throws {@link HexError} for bytes beyond 32 bits and for segments that overlap
 */
export function formatIntelHex(segments: readonly Segment[]): string {
  const lines: string[] = [];
  for (const { address, bytes } of segments)
    if (address < 0 || address + bytes.length > 2 ** 32)
      throw new HexError("hex-bad-address", 1, "bytes beyond the 32-bit address space.");
  const joined = join(segments.map((segment) => ({ ...segment, line: 1 })));
  const end = joined.at(-1);
  // In a file that needs the upper half of an address anywhere, it is stated from the start.
  let high = end && end.address + end.bytes.length > 0x1_0000 ? -1 : 0;
  for (const { address, bytes } of joined) {
    let at = 0;
    while (at < bytes.length) {
      const here = address + at;
      if (Math.floor(here / 0x1_0000) !== high) {
        high = Math.floor(here / 0x1_0000);
        lines.push(record(EXTENDED_LINEAR, 0, Uint8Array.of(high >> 8, high & 0xff)));
      }
      // A line ends where its 64 KiB end: the offset is 16 bits.
      const length = Math.min(16, bytes.length - at, 0x1_0000 - (here % 0x1_0000));
      lines.push(record(DATA, here % 0x1_0000, bytes.subarray(at, at + length)));
      at += length;
    }
  }
  return [...lines, record(END, 0, new Uint8Array(0)), ""].join("\n");
}

/**
 * One segment from the lowest to the highest address, gaps filled.
 *
 * @param segments - in the order of addresses
 * @param options - `fill` for gaps, default 0xff; `limit` in bytes, default 64 MiB
 * @returns of no segments an empty one at address 0
 * @throws {@link HexError} `too-large` when that is more than `limit` bytes: two far addresses would make gigabytes
 *   of a small file
 */
export function joinSegments(
  segments: readonly Segment[],
  options: { fill?: number; limit?: number } = {},
): Segment {
  const { fill = 0xff, limit = 64 * 1024 * 1024 } = options;
  if (segments.length === 0) return { address: 0, bytes: new Uint8Array(0) };
  const first = segments[0]!.address;
  const end = segments.reduce(
    (highest, { address, bytes }) => Math.max(highest, address + bytes.length),
    first,
  );
  if (end - first > limit)
    throw new HexError(
      "hex-too-large",
      1,
      `the bytes are spread over ${end - first} addresses; at most ${limit} are joined.`,
    );
  const bytes = new Uint8Array(end - first).fill(fill);
  for (const segment of segments) bytes.set(segment.bytes, segment.address - first);
  return { address: first, bytes };
}

interface Piece extends Segment {
  readonly line: number;
}

function parseRecord(text: string, line: number) {
  if (!/^:(?:[0-9a-fA-F]{2}){5,260}$/.test(text))
    throw new HexError("bad-record", line, "not a record of Intel HEX (a colon and pairs of hex digits).");
  const bytes = fromHex(text.slice(1));
  const [count, high, low, type] = bytes as unknown as [number, number, number, number];
  if (bytes.length !== count + 5)
    throw new HexError("bad-record", line, `the record says ${count} bytes and has ${bytes.length - 5}.`);
  if (bytes.reduce((sum, byte) => sum + byte, 0) % 256 !== 0)
    throw new HexError("bad-checksum", line, "the checksum is wrong: the line was damaged.");
  return { type, offset: high * 256 + low, data: bytes.subarray(4, 4 + count) };
}

function number(data: Uint8Array, length: number, line: number): number {
  if (data.length !== length)
    throw new HexError("bad-record", line, `an address record has ${length} bytes, this one ${data.length}.`);
  return data.reduce((sum, byte) => sum * 256 + byte, 0);
}

function join(pieces: readonly Piece[]): Segment[] {
  const sorted = pieces.toSorted((a, b) => a.address - b.address);
  const runs: Piece[][] = [];
  let end = -1;
  for (const piece of sorted) {
    if (piece.address < end)
      throw new HexError("overlap", piece.line, `address 0x${piece.address.toString(16)} is written twice.`);
    if (piece.address === end) runs.at(-1)!.push(piece);
    else runs.push([piece]);
    end = piece.address + piece.bytes.length;
  }
  return runs.map(joinRun);
}

/** Copied piece by piece: a file has more records than a call may have arguments. */
function joinRun(run: readonly Piece[]): Segment {
  const { address } = run[0]!;
  const last = run.at(-1)!;
  const bytes = new Uint8Array(last.address + last.bytes.length - address);
  for (const piece of run) bytes.set(piece.bytes, piece.address - address);
  return { address, bytes };
}

function record(type: number, offset: number, data: Uint8Array): string {
  const head = Uint8Array.of(data.length, offset >> 8, offset & 0xff, type);
  const sum = [...head, ...data].reduce((total, byte) => total + byte, 0);
  return `:${toHex(concat(head, data, Uint8Array.of(-sum & 0xff))).toUpperCase()}`;
}
