import { concat, equal, isFilledWith, take, u8, u16be, u32le } from "../bytes.js";
import { ArchiveError } from "./archive.js";
import { crc32 } from "./crc32.js";
import { crc64 } from "./crc64.js";
import { decodeLzma2 } from "./lzma2.js";

const MAGIC = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00);
const FOOTER_MAGIC = 0x595a;
const FRAME = 12;
const FILTER_LZMA2 = 0x21;

/** Kinds of check, and their lengths. */
const CHECKS: Readonly<Record<number, number>> = { 0: 0, 1: 4, 4: 8 };

/** Is this the beginning of an xz file? */
export function isXz(bytes: Uint8Array): boolean {
  return bytes.length >= MAGIC.length && equal(bytes.subarray(0, MAGIC.length), MAGIC);
}

/**
 * Unpacks an .xz file (The .xz File Format 1.2) of one stream with the LZMA2 filter and a CRC check, into at most `limit`
 * bytes. All sums and sizes in it must be right, and nothing may follow. Throws {@link ArchiveError}, or `LzmaError` for
 * what is packed.
 */
export function decodeXz(bytes: Uint8Array, limit: number): Uint8Array {
  const check = streamFlags(bytes);
  const parts: Uint8Array[] = [];
  const records: IndexRecord[] = [];
  let at = FRAME;
  let left = limit;
  while (at < bytes.length && u8(bytes, at) !== 0) {
    const block = readBlock(bytes, at, check, left);
    parts.push(block.content);
    records.push({ unpadded: block.unpadded, size: block.content.length });
    left -= block.content.length;
    at = block.end;
  }
  const end = checkIndex(bytes, at, records);
  checkFooter(bytes, end, end - at);
  return concat(...parts);
}

function streamFlags(bytes: Uint8Array): number {
  if (!isXz(bytes)) throw new ArchiveError("not-an-archive", 0, "This is not an xz file.");
  if (bytes.length < 2 * FRAME) throw cutShort(bytes);
  const check = u8(bytes, 7);
  if (u32le(bytes, 8) !== crc32(bytes.subarray(6, 8))) throw damaged(8, "the stream header's CRC is wrong");
  if (u8(bytes, 6) !== 0 || CHECKS[check] === undefined)
    throw new ArchiveError(
      "archive-unsupported",
      6,
      `The xz file has a check of kind ${check}; CRC32 and CRC64 are read.`,
    );
  return check;
}

interface IndexRecord {
  /** Bytes of a block without its padding. */
  readonly unpadded: number;
  readonly size: number;
}

function readBlock(bytes: Uint8Array, at: number, check: number, limit: number) {
  const headerSize = (u8(bytes, at) + 1) * 4;
  if (at + headerSize > bytes.length) throw cutShort(bytes);
  const header = bytes.subarray(at, at + headerSize - 4);
  if (crc32(header) !== u32le(bytes, at + headerSize - 4)) throw damaged(at, "a block header's CRC is wrong");
  const stated = blockHeader(header, at);
  const start = at + headerSize;
  const packed = lzma2Length(bytes, start);
  const content = decodeLzma2(take(bytes, start, packed), limit);
  const padding = -packed & 3;
  const checkAt = start + packed + padding;
  const end = checkAt + CHECKS[check]!;
  if (end > bytes.length) throw cutShort(bytes);
  if (!isFilledWith(bytes.subarray(start + packed, checkAt), 0))
    throw damaged(checkAt, "a block's padding is not zero");
  if ((stated.packed ?? packed) !== packed || (stated.size ?? content.length) !== content.length)
    throw damaged(at, "a block is not as long as its header says");
  if (!checkHolds(check, content, bytes, checkAt)) throw damaged(checkAt, "a block's check is wrong");
  return { content, end, unpadded: headerSize + packed + CHECKS[check]! };
}

function checkHolds(check: number, content: Uint8Array, bytes: Uint8Array, at: number): boolean {
  if (check === 1) return crc32(content) === u32le(bytes, at);
  if (check !== 4) return true;
  const { high, low } = crc64(content);
  return u32le(bytes, at) === low && u32le(bytes, at + 4) === high;
}

function blockHeader(header: Uint8Array, at: number): { packed?: number; size?: number } {
  const flags = u8(header, 1);
  const reader = new Numbers(header, 2);
  const packed = flags & 0x40 ? reader.next() : undefined;
  const size = flags & 0x80 ? reader.next() : undefined;
  const filter = reader.next();
  const properties = reader.next();
  if ((flags & 0x3f) !== 0 || filter !== FILTER_LZMA2 || properties !== 1)
    throw new ArchiveError("archive-unsupported", at, "The xz file uses another filter than LZMA2.");
  if (!isFilledWith(header.subarray(reader.at + 1), 0))
    throw damaged(at, "a block header's padding is not zero");
  return { ...(packed !== undefined && { packed }), ...(size !== undefined && { size }) };
}

/** Bytes up to the end mark of a raw LZMA2 stream, by the headers of its chunks. */
function lzma2Length(bytes: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    if (at >= bytes.length) throw cutShort(bytes);
    const control = u8(bytes, at);
    if (control === 0) return at + 1 - start;
    const isPacked = control >= 0x80;
    if (at + (isPacked ? 6 : 3) > bytes.length) throw cutShort(bytes);
    at += isPacked ? 6 - (control < 0xc0 ? 1 : 0) + u16be(bytes, at + 3) + 1 : 3 + u16be(bytes, at + 1) + 1;
  }
}

/** The index must list the blocks as they were. Returns where it ends. */
function checkIndex(bytes: Uint8Array, at: number, records: readonly IndexRecord[]): number {
  const reader = new Numbers(bytes, at + 1);
  let same = reader.next() === records.length;
  for (const { unpadded, size } of records)
    same = same && reader.next() === unpadded && reader.next() === size;
  if (!same) throw damaged(at, "its index does not list its blocks");
  const crcAt = reader.at + (-(reader.at - at) & 3);
  if (crcAt + 4 > bytes.length) throw cutShort(bytes);
  if (
    !isFilledWith(bytes.subarray(reader.at, crcAt), 0) ||
    crc32(bytes.subarray(at, crcAt)) !== u32le(bytes, crcAt)
  )
    throw damaged(at, "its index is damaged");
  return crcAt + 4;
}

function checkFooter(bytes: Uint8Array, at: number, indexSize: number): void {
  if (at + FRAME > bytes.length) throw cutShort(bytes);
  const good =
    crc32(bytes.subarray(at + 4, at + 10)) === u32le(bytes, at) &&
    (u32le(bytes, at + 4) + 1) * 4 === indexSize &&
    equal(bytes.subarray(at + 8, at + 10), bytes.subarray(6, 8)) &&
    u16be(bytes, at + 10) === FOOTER_MAGIC;
  if (!good) throw damaged(at, "its footer is damaged");
  if (at + FRAME !== bytes.length) throw damaged(at + FRAME, "bytes follow its end");
}

/** Numbers of seven bits a byte, least significant first. */
class Numbers {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  next(): number {
    let value = 0;
    // Seven bytes hold 49 bits: no size in a file that fits the memory is larger.
    for (let shift = 0; shift < 7; shift++) {
      if (this.at >= this.#bytes.length) throw cutShort(this.#bytes);
      const byte = u8(this.#bytes, this.at++);
      value += (byte & 0x7f) * 2 ** (7 * shift);
      if (byte < 0x80) return value;
    }
    throw damaged(this.at, "a number in it is too long");
  }
}

function damaged(offset: number, what: string): ArchiveError {
  return new ArchiveError("bad-archive", offset, `The xz file cannot be read: ${what} (offset ${offset}).`);
}

function cutShort(bytes: Uint8Array): ArchiveError {
  return new ArchiveError(
    "archive-truncated",
    bytes.length,
    `The xz file is truncated after ${bytes.length} bytes.`,
  );
}
