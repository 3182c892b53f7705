import { gunzipSync, inflateRawSync } from "node:zlib";
import { concat, u8, u32le } from "../bytes.js";
import { ArchiveError, type Decompress } from "../formats/archive.js";
import { decodeXz } from "../formats/xz.js";
import type { Decompressors } from "../mender/artifact.js";

/** What unpacks here: zlib of Node, xz by the LZMA2 decoder for images, zstd by a package that is loaded when needed. */

/** Raw deflate, for zip archives. */
export const inflate: Decompress = (bytes, limit) => byZlib("deflate", inflateRawSync, bytes, limit);

export const decompressors: Decompressors = {
  gzip: (bytes, limit) => byZlib("gzip", gunzipSync, bytes, limit),
  xz: decodeXz,
  zstd: unzstd,
};

function byZlib(
  name: string,
  unpack: (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer,
  bytes: Uint8Array,
  limit: number,
): Uint8Array {
  try {
    return new Uint8Array(unpack(bytes, { maxOutputLength: Math.max(1, limit) }));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(limit, cause);
    throw damaged(name, (cause as Error).message, cause);
  }
}

async function unzstd(bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  checkZstdFrames(bytes, limit);
  const { Decompress: Zstd } = await import("fzstd");
  const parts: Uint8Array[] = [];
  let size = 0;
  const stream = new Zstd((part) => {
    size += part.length;
    if (size > limit) throw tooLarge(limit);
    parts.push(part.slice());
  });
  try {
    stream.push(bytes, true);
  } catch (cause) {
    if (cause instanceof ArchiveError) throw cause;
    throw damaged("zstd", (cause as Error).message, cause);
  }
  return concat(...parts);
}

const ZSTD_MAGIC = 0xfd2fb528;
/** Decoders must manage this window (RFC 8878, 3.1.1.1.2); the highest levels of packing ask for more. */
const SMALL_WINDOW = 8 * 1024 * 1024;

/** Walks the frames by their headers before the package allocates what these ask for. */
function checkZstdFrames(bytes: Uint8Array, limit: number): void {
  let at = 0;
  do {
    const { window, start, hasChecksum } = zstdFrame(bytes, at);
    if (window > Math.max(limit, SMALL_WINDOW)) throw tooLarge(limit);
    at = start;
    for (let isLast = false; !isLast; ) {
      if (at + 3 > bytes.length) throw damaged("zstd", "it is cut short");
      const block = u8(bytes, at) | (u8(bytes, at + 1) << 8) | (u8(bytes, at + 2) << 16);
      isLast = (block & 1) === 1;
      // Type 1 repeats one byte; all others carry as many bytes as they say.
      at += 3 + ((block >> 1) % 4 === 1 ? 1 : block >> 3);
    }
    at += hasChecksum ? 4 : 0;
  } while (at < bytes.length);
  if (at !== bytes.length) throw damaged("zstd", "it is cut short");
}

function zstdFrame(bytes: Uint8Array, at: number) {
  if (at + 6 > bytes.length || u32le(bytes, at) !== ZSTD_MAGIC)
    throw damaged("zstd", "a frame's magic number is missing");
  const descriptor = u8(bytes, at + 4);
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeLength = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const dictionaryLength = [0, 1, 2, 4][descriptor & 3]!;
  const sizeAt = at + 5 + (isSingle ? 0 : 1) + dictionaryLength;
  if (dictionaryLength > 0 || sizeAt + sizeLength > bytes.length)
    throw damaged("zstd", "a frame's header asks for a dictionary or is cut short");
  let contentSize = sizeLength === 2 ? 256 : 0;
  for (let index = 0; index < sizeLength; index++) contentSize += u8(bytes, sizeAt + index) * 256 ** index;
  const exponent = u8(bytes, at + 5);
  const base = 2 ** (10 + (exponent >> 3));
  const window = isSingle ? contentSize : base + (base / 8) * (exponent & 7);
  return { window, start: sizeAt + sizeLength, hasChecksum: (descriptor & 4) !== 0 };
}

function tooLarge(limit: number, cause?: unknown): ArchiveError {
  return new ArchiveError("archive-too-large", 0, `It decompresses to more than ${limit} bytes.`, { cause });
}

function damaged(what: string, why: string, cause?: unknown): ArchiveError {
  return new ArchiveError("bad-archive", 0, `The ${what} data cannot be decompressed: ${why}.`, { cause });
}
