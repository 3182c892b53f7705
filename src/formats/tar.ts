import { concat, isFilledWith, take, u8 } from "../bytes.js";
import { ARCHIVE_LIMITS, ArchiveError, type ArchiveLimits, checkName, nameText } from "./archive.js";

/** A file in a tar archive. */
export interface TarEntry {
  readonly name: string;
  /** A view of the archive. */
  readonly bytes: Uint8Array;
  /** Where its header begins. */
  readonly offset: number;
}

export interface TarOptions {
  readonly limits?: ArchiveLimits;
  /** Read the pax and GNU extensions for long names; otherwise they are refused. */
  readonly extensions?: boolean;
}

const BLOCK = 512;

/** ustar (POSIX.1-1988) header fields: offset and length. */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 8],
  prefix: [345, 155],
} as const;

const USTAR = "ustar\u000000";
const GNU = "ustar  \0";

/** Entry types. Old tar has NUL for a file. */
const FILES: readonly string[] = ["0", "\0"];
const DIRECTORY = "5";
const PAX = "x";
const GNU_LONG_NAME = "L";

/** Is this the beginning of a tar archive? */
export function isTar(bytes: Uint8Array): boolean {
  return bytes.length >= BLOCK && [USTAR, GNU].includes(text(bytes, 0, FIELD.magic));
}

/**
 * Reads all files of a tar archive, in order. Directories are passed over; links, devices and repeated names are refused,
 * and so are a missing end (two blocks of zeros) and any byte behind it that is not zero. Throws {@link ArchiveError}.
 */
export function readTar(bytes: Uint8Array, options: TarOptions = {}): TarEntry[] {
  const { limits = ARCHIVE_LIMITS, extensions = false } = options;
  const entries: TarEntry[] = [];
  const seen = new Set<string>();
  let longName: string | undefined;
  let offset = 0;
  for (let count = 0; !isZeroBlock(bytes, offset); count++) {
    if (count >= limits.entries)
      throw new ArchiveError(
        "archive-too-large",
        offset,
        `The tar archive has more than ${limits.entries} entries.`,
      );
    const { name, size, type } = header(bytes, offset);
    const content = body(bytes, offset + BLOCK, size);
    const next = offset + BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (type === PAX || type === GNU_LONG_NAME) {
      if (!extensions || longName !== undefined) throw unsupported(type, offset);
      longName = type === PAX ? paxPath(content, offset) : gnuName(content, offset);
    } else {
      const full = checkName(longName ?? name, offset, limits);
      longName = undefined;
      if (type !== DIRECTORY) {
        if (!FILES.includes(type)) throw unsupported(type, offset);
        if (seen.has(full))
          throw new ArchiveError("bad-archive", offset, `The tar archive holds ${full} twice.`);
        seen.add(full);
        entries.push({ name: full, bytes: content, offset });
      }
    }
    offset = next;
  }
  mustEnd(bytes, offset);
  return entries;
}

/** A file to put into a tar archive. */
export interface TarFile {
  /** At most 100 bytes. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Permission bits; 0600 when nothing is said. */
  readonly mode?: number;
}

/**
 * A ustar archive that depends on nothing but its files: owner 0, time 0, no names of owners. Throws
 * {@link ArchiveError} for a name that is too long.
 */
export function writeTar(files: readonly TarFile[]): Uint8Array {
  const parts = files.flatMap(({ name, bytes, mode = 0o600 }) => [
    ustarHeader(name, bytes.length, mode),
    bytes,
    new Uint8Array(-bytes.length & (BLOCK - 1)),
  ]);
  return concat(...parts, new Uint8Array(2 * BLOCK));
}

function header(bytes: Uint8Array, offset: number) {
  if (offset + BLOCK > bytes.length) throw cutShort(bytes.length);
  if (octal(bytes, offset, FIELD.checksum) !== checksum(bytes.subarray(offset, offset + BLOCK)))
    throw new ArchiveError(
      offset === 0 ? "not-an-archive" : "bad-archive",
      offset,
      `At offset ${offset} there is no tar header: its checksum is wrong.`,
    );
  const prefix = text(bytes, offset, FIELD.magic) === USTAR ? string(bytes, offset, FIELD.prefix) : "";
  const name = string(bytes, offset, FIELD.name);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    size: octal(bytes, offset, FIELD.size),
    type: text(bytes, offset, FIELD.type),
  };
}

function body(bytes: Uint8Array, start: number, size: number): Uint8Array {
  if (start + size > bytes.length) throw cutShort(bytes.length);
  return take(bytes, start, size);
}

function isZeroBlock(bytes: Uint8Array, offset: number): boolean {
  return offset + BLOCK <= bytes.length && isFilledWith(bytes.subarray(offset, offset + BLOCK), 0);
}

/** Two blocks of zeros, then nothing but zeros up to whole blocks: writers fill up to their record size. */
function mustEnd(bytes: Uint8Array, offset: number): void {
  if (offset + 2 * BLOCK > bytes.length) throw cutShort(bytes.length);
  const rest = bytes.subarray(offset);
  const stray = rest.findIndex((byte) => byte !== 0);
  if (stray >= 0)
    throw new ArchiveError(
      "bad-archive",
      offset + stray,
      `The tar archive ends at offset ${offset}, but other bytes follow at offset ${offset + stray}.`,
    );
  if (rest.length % BLOCK !== 0)
    throw new ArchiveError("bad-archive", offset, "The tar archive does not end at a whole block.");
}

/** The sum of all bytes of the header, with its own field taken as spaces. */
function checksum(block: Uint8Array): number {
  const [from, length] = FIELD.checksum;
  let sum = length * 0x20;
  for (let index = 0; index < BLOCK; index++)
    if (index < from || index >= from + length) sum += u8(block, index);
  return sum;
}

type Field = readonly [offset: number, length: number];

function text(bytes: Uint8Array, at: number, [offset, length]: Field): string {
  return String.fromCharCode(...take(bytes, at + offset, length));
}

/** Up to the first NUL. */
function string(bytes: Uint8Array, at: number, [offset, length]: Field): string {
  const field = take(bytes, at + offset, length);
  const end = field.indexOf(0);
  return nameText(end < 0 ? field : field.subarray(0, end), at + offset);
}

function octal(bytes: Uint8Array, at: number, field: Field): number {
  const digits = /^ *([0-7]+)[ \0]*$/.exec(text(bytes, at, field))?.[1];
  const value = digits === undefined ? Number.NaN : Number.parseInt(digits, 8);
  if (Number.isSafeInteger(value)) return value;
  throw new ArchiveError(
    at === 0 ? "not-an-archive" : "bad-archive",
    at + field[0],
    `The tar header at offset ${at} holds no octal number at ${at + field[0]}.`,
  );
}

/** The path of a pax header (POSIX.1-2001): records of "LENGTH KEY=VALUE\n". A size there would move what follows. */
function paxPath(content: Uint8Array, offset: number): string | undefined {
  let path: string | undefined;
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(0x20, at);
    const length = Number(nameText(content.subarray(at, space < 0 ? at : space), offset));
    const record = Number.isInteger(length) && length > 4 ? content.subarray(at, at + length) : undefined;
    if (space < 0 || space - at > 5 || record?.length !== length || record.at(-1) !== 0x0a)
      throw new ArchiveError("bad-archive", offset, `The pax header at offset ${offset} is damaged.`);
    const [key, ...value] = nameText(record.subarray(space - at + 1, -1), offset).split("=");
    if (key === "size" || key?.startsWith("GNU.sparse")) throw unsupported(PAX, offset);
    if (key === "path") path = value.join("=");
    at += length;
  }
  return path;
}

function gnuName(content: Uint8Array, offset: number): string {
  const end = content.indexOf(0);
  return nameText(end < 0 ? content : content.subarray(0, end), offset);
}

function ustarHeader(name: string, size: number, mode: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const encoded = new TextEncoder().encode(name);
  if (encoded.length === 0 || encoded.length > FIELD.name[1])
    throw new ArchiveError(
      "archive-too-large",
      0,
      `A name in a tar archive has 1 to 100 bytes, not ${encoded.length}.`,
    );
  const put = ([offset, length]: Field, value: string) =>
    block.set(new TextEncoder().encode(value).subarray(0, length), offset);
  const number = ([offset, length]: Field, value: number) =>
    put([offset, length], `${value.toString(8).padStart(length - 1, "0")}\0`);
  block.set(encoded, 0);
  number(FIELD.mode, mode);
  number(FIELD.uid, 0);
  number(FIELD.gid, 0);
  number(FIELD.size, size);
  number(FIELD.mtime, 0);
  put(FIELD.type, "0");
  put(FIELD.magic, USTAR);
  put(FIELD.checksum, `${checksum(block).toString(8).padStart(6, "0")}\0 `);
  return block;
}

function cutShort(length: number): ArchiveError {
  return new ArchiveError(
    "archive-truncated",
    length,
    `The tar archive is truncated after ${length} bytes.`,
    {
      hint: "Was the file copied or downloaded completely?",
    },
  );
}

function unsupported(type: string, offset: number): ArchiveError {
  return new ArchiveError(
    "archive-unsupported",
    offset,
    `The tar entry at offset ${offset} is of type ${JSON.stringify(type)}; only plain files are read.`,
  );
}
