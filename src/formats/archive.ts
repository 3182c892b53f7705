import { BootproofError } from "../errors.js";

export type ArchiveErrorCode =
  /** Not an archive of that kind. */
  | "not-an-archive"
  /** It breaks the format's rules, or contradicts itself. */
  | "bad-archive"
  /** It ends before all it announces is there. */
  | "archive-truncated"
  /** More entries, longer names or more bytes than the reader allows. */
  | "archive-too-large"
  /** A feature that is not read: encryption, several disks, links, an unknown compression. */
  | "archive-unsupported";

/** An archive or a compressed file that cannot be used. `offset`: where in its bytes. */
export class ArchiveError extends BootproofError {
  declare readonly code: ArchiveErrorCode;
  readonly offset: number;

  constructor(
    code: ArchiveErrorCode,
    offset: number,
    message: string,
    options: { hint?: string; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.offset = offset;
  }
}

/** Bounds that hold whatever an archive announces. */
export interface ArchiveLimits {
  /** Entries, directories included. */
  readonly entries: number;
  /** Bytes of a name in UTF-8. */
  readonly nameLength: number;
  /** Unpacked bytes of all entries together. */
  readonly totalSize: number;
  /** Unpacked bytes for each packed one, counted from 1 KiB up. Deflate itself ends at 1032. */
  readonly ratio: number;
}

/** Enough for every bundle of firmware; far below what hurts. */
export const ARCHIVE_LIMITS: ArchiveLimits = {
  entries: 1024,
  nameLength: 255,
  totalSize: 64 * 1024 * 1024,
  ratio: 1032,
};

/**
 * Unpacks bytes into at most `limit` bytes, or throws {@link ArchiveError}: `archive-too-large` beyond the limit,
 * `bad-archive` for bytes that cannot be unpacked. Handed in: what the platform brings along is not the same in Node and
 * in a browser.
 */
export type Decompress = (bytes: Uint8Array, limit: number) => Uint8Array | Promise<Uint8Array>;

/** The name of a file inside an archive, free of everything that could lead out of the folder it is meant for. */
export function checkName(name: string, offset: number, { nameLength }: ArchiveLimits): string {
  if (name === "" || new TextEncoder().encode(name).length > nameLength)
    throw new ArchiveError(
      "bad-archive",
      offset,
      `An entry's name has ${name.length} characters; 1 to ${nameLength} bytes are allowed.`,
    );
  const parts = name.replace(/\/$/, "").split("/");
  const isHarmful =
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    /[\u0000-\u001f\u007f\\:]/.test(name) ||
    parts.some((part) => part === "" || part === "." || part === "..");
  if (isHarmful)
    throw new ArchiveError(
      "bad-archive",
      offset,
      `The entry ${JSON.stringify(name)} has a name that is not a plain relative path.`,
    );
  return name;
}

/** UTF-8, or {@link ArchiveError}. */
export function nameText(bytes: Uint8Array, offset: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new ArchiveError("bad-archive", offset, `An entry's name at offset ${offset} is not UTF-8.`, {
      cause,
    });
  }
}
