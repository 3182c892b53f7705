import { take, u16le, u32le } from "../bytes.js";
import {
  ARCHIVE_LIMITS,
  ArchiveError,
  type ArchiveLimits,
  checkName,
  type Decompress,
  nameText,
} from "./archive.js";
import { crc32 } from "./crc32.js";

/** A file in a zip archive. */
export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface ZipOptions {
  /** Raw deflate (RFC 1951). */
  readonly inflate: Decompress;
  readonly limits?: ArchiveLimits;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const LOCAL_SIZE = 30;
const CENTRAL_SIZE = 46;
const END_SIZE = 22;

const STORED = 0;
const DEFLATED = 8;

/** General purpose flags: encrypted; sizes and CRC behind the data; strong encryption; masked directory. */
const FLAG = { encrypted: 0x1, descriptor: 0x8, strong: 0x40, masked: 0x2000 } as const;

/** Does a zip archive begin here? */
export function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= END_SIZE && (u32le(bytes, 0) === LOCAL || u32le(bytes, 0) === END);
}

/**
 * Reads all files of a zip archive (APPNOTE 6.3), in the directory's order. What the directory and the header in front of
 * a file say must agree: readers that believe one of them see different files. Refused: encryption, ZIP64, several disks,
 * repeated names, bytes in front, overlapping files. Throws {@link ArchiveError}.
 */
export async function readZip(
  bytes: Uint8Array,
  { inflate, limits = ARCHIVE_LIMITS }: ZipOptions,
): Promise<ZipEntry[]> {
  const records = directory(bytes, limits);
  const entries: ZipEntry[] = [];
  let left = limits.totalSize;
  for (const record of records) {
    if (record.name.endsWith("/")) continue;
    if (record.size > left || record.size > Math.max(1024, record.packed) * limits.ratio)
      throw new ArchiveError(
        "archive-too-large",
        record.offset,
        `${record.name} unpacks from ${record.packed} to ${record.size} bytes, more than is allowed.`,
      );
    left -= record.size;
    entries.push({ name: record.name, bytes: await unpack(bytes, record, inflate) });
  }
  return entries;
}

interface ZipRecord {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  /** Where its local header begins. */
  readonly offset: number;
  /** Where its packed bytes begin. */
  readonly start: number;
}

function directory(bytes: Uint8Array, limits: ArchiveLimits): ZipRecord[] {
  const end = findEnd(bytes);
  const count = u16le(bytes, end + 10);
  const size = u32le(bytes, end + 12);
  const start = u32le(bytes, end + 16);
  const disks = [u16le(bytes, end + 4), u16le(bytes, end + 6)];
  if (disks.some((disk) => disk !== 0) || u16le(bytes, end + 8) !== count)
    throw unsupported(end, "is spread over several disks");
  if (count === 0xffff || size === 0xffffffff || start === 0xffffffff)
    throw unsupported(end, "is a ZIP64 archive");
  if (count > limits.entries)
    throw new ArchiveError(
      "archive-too-large",
      end,
      `The zip archive has ${count} entries; ${limits.entries} are allowed.`,
    );
  if (start + size !== end) throw bad(end, "The zip archive's directory is not where its end says.");
  const records: ZipRecord[] = [];
  let at = start;
  for (let index = 0; index < count; index++) {
    const { record, next } = centralRecord(bytes, at, end, limits);
    records.push(record);
    at = next;
  }
  if (at !== end) throw bad(at, "The zip archive's directory holds more than its entries.");
  mustBeApart(records, start);
  return records;
}

/** The end record, which nothing but its own comment may follow. */
function findEnd(bytes: Uint8Array): number {
  const first = Math.max(0, bytes.length - END_SIZE - 0xffff);
  for (let at = bytes.length - END_SIZE; at >= first; at--)
    if (u32le(bytes, at) === END && at + END_SIZE + u16le(bytes, at + 20) === bytes.length) return at;
  throw new ArchiveError(
    isZip(bytes) ? "archive-truncated" : "not-an-archive",
    bytes.length,
    "The zip archive has no directory at its end.",
    { hint: "Was the file copied or downloaded completely?" },
  );
}

function centralRecord(bytes: Uint8Array, at: number, end: number, limits: ArchiveLimits) {
  if (at + CENTRAL_SIZE > end || u32le(bytes, at) !== CENTRAL)
    throw bad(at, `The zip archive's directory has no entry at offset ${at}.`);
  const [nameLength, extra, comment] = [u16le(bytes, at + 28), u16le(bytes, at + 30), u16le(bytes, at + 32)];
  const next = at + CENTRAL_SIZE + nameLength + extra + comment;
  if (next > end) throw bad(at, `The zip archive's directory entry at offset ${at} is truncated.`);
  const name = checkName(nameText(take(bytes, at + CENTRAL_SIZE, nameLength), at), at, limits);
  const flags = u16le(bytes, at + 8);
  if (flags & (FLAG.encrypted | FLAG.strong | FLAG.masked)) throw unsupported(at, `holds ${name} encrypted`);
  const method = u16le(bytes, at + 10);
  if (method !== STORED && method !== DEFLATED)
    throw unsupported(at, `holds ${name} with compression ${method}; stored and deflated are read`);
  const sizes = { crc: u32le(bytes, at + 16), packed: u32le(bytes, at + 20), size: u32le(bytes, at + 24) };
  if (u16le(bytes, at + 34) !== 0) throw unsupported(at, "is spread over several disks");
  if (method === STORED && sizes.packed !== sizes.size)
    throw bad(at, `${name} is stored, but its two sizes differ: ${sizes.packed} and ${sizes.size}.`);
  const offset = u32le(bytes, at + 42);
  const start = localStart(bytes, offset, { name, method, flags, ...sizes });
  if (start + sizes.packed > bytes.length) throw bad(offset, `${name} reaches beyond the archive.`);
  return { record: { name, method, offset, start, ...sizes }, next };
}

/** The header in front of a file, held against its entry in the directory; where the data begins. */
function localStart(
  bytes: Uint8Array,
  at: number,
  record: Pick<ZipRecord, "name" | "method" | "crc" | "packed" | "size"> & { readonly flags: number },
): number {
  if (at + LOCAL_SIZE > bytes.length || u32le(bytes, at) !== LOCAL)
    throw bad(at, `There is no header of ${record.name} at offset ${at}.`);
  const nameLength = u16le(bytes, at + 26);
  const start = at + LOCAL_SIZE + nameLength + u16le(bytes, at + 28);
  if (start > bytes.length) throw bad(at, `The header of ${record.name} at offset ${at} is truncated.`);
  const name = nameText(take(bytes, at + LOCAL_SIZE, nameLength), at);
  // With a descriptor, the numbers follow the data and stand as zero here.
  const follows = (record.flags & FLAG.descriptor) !== 0;
  const agrees = (value: number, expected: number) => value === expected || (follows && value === 0);
  const same =
    name === record.name &&
    u16le(bytes, at + 6) === record.flags &&
    u16le(bytes, at + 8) === record.method &&
    agrees(u32le(bytes, at + 14), record.crc) &&
    agrees(u32le(bytes, at + 18), record.packed) &&
    agrees(u32le(bytes, at + 22), record.size);
  if (!same)
    throw bad(at, `The header of ${record.name} and the zip archive's directory contradict each other.`);
  return start;
}

/** Files share no bytes, and the first begins where the archive does. */
function mustBeApart(records: readonly ZipRecord[], directoryStart: number): void {
  const inOrder = [...records].sort((a, b) => a.offset - b.offset);
  const names = new Set<string>();
  for (const [index, { name, offset, start, packed }] of inOrder.entries()) {
    const end = inOrder[index + 1]?.offset ?? directoryStart;
    if (start + packed > end) throw bad(offset, `${name} overlaps what follows it in the zip archive.`);
    if (names.has(name)) throw bad(offset, `The zip archive holds ${name} twice.`);
    names.add(name);
  }
  const first = inOrder[0]?.offset ?? directoryStart;
  if (first !== 0) throw bad(0, `${first} bytes precede the zip archive.`);
}

async function unpack(bytes: Uint8Array, record: ZipRecord, inflate: Decompress): Promise<Uint8Array> {
  const { name, method, offset, start, packed, size, crc } = record;
  const raw = take(bytes, start, packed);
  const content = method === STORED ? raw : await inflated(raw, record, inflate);
  if (content.length !== size)
    throw bad(offset, `${name} unpacks to ${content.length} bytes instead of ${size}.`);
  if (crc32(content) !== crc) throw bad(offset, `${name} is damaged: its CRC is wrong.`);
  return content;
}

async function inflated(
  raw: Uint8Array,
  { name, offset, size }: ZipRecord,
  inflate: Decompress,
): Promise<Uint8Array> {
  try {
    // At least one byte of room: decompressors read a limit of none as no limit.
    return await inflate(raw, Math.max(1, size));
  } catch (cause) {
    throw new ArchiveError(
      "bad-archive",
      offset,
      `${name} cannot be unpacked, or unpacks to more than ${size} bytes.`,
      {
        cause,
      },
    );
  }
}

function bad(offset: number, message: string): ArchiveError {
  return new ArchiveError("bad-archive", offset, message);
}

function unsupported(offset: number, what: string): ArchiveError {
  return new ArchiveError("archive-unsupported", offset, `The zip archive ${what}.`);
}
