import { join } from "node:path";
import { LogError } from "../trust/log-error.js";
import { HASH_LENGTH } from "../trust/merkle.js";
import { TILE_WIDTH, tilePath } from "../trust/tiles.js";
import type { LogReader } from "../trust/verify-log.js";
import { type Disk, realDisk } from "./disk.js";

export const CHECKPOINT = "checkpoint";

/** Reads the files of a log's folder. A partial tile that is gone was replaced by a wider one. */
export function folderReader(folder: string, disk: Disk = realDisk): LogReader {
  const find = (level: number | "entries", index: number, width: number): Uint8Array | undefined => {
    const exact = disk.read(join(folder, tilePath(level, index, width)));
    if (exact !== undefined || width === TILE_WIDTH) return exact;
    const full = join(folder, tilePath(level, index));
    const wider = disk
      .list(`${full}.p`)
      .map(Number)
      .filter((candidate) => candidate > width)
      .sort((a, b) => a - b);
    for (const candidate of wider) {
      const bytes = disk.read(join(`${full}.p`, `${candidate}`));
      if (bytes !== undefined) return bytes;
    }
    return disk.read(full);
  };
  return {
    checkpoint() {
      const note = disk.read(join(folder, CHECKPOINT));
      return note && text(note);
    },
    entries: (index, width) => find("entries", index, width),
    tile: (level, index, width) => find(level, index, width),
  };
}

export function tileReader(reader: LogReader) {
  return (level: number, index: number, width: number): Uint8Array => {
    const tile = reader.tile(level, index, width);
    if (tile === undefined || tile.length < width * HASH_LENGTH)
      throw damaged(index * TILE_WIDTH ** (level + 1), `the tile of level ${level} over it is gone`);
    return tile;
  };
}

export function damaged(index: number | undefined, why: string, cause?: unknown): LogError {
  const which = index === undefined ? "" : ` at entry ${index}`;
  return new LogError("log-damaged", `The audit log is damaged${which}: ${why}.`, {
    index,
    cause,
    hint: "bootproof log verify names the first bad entry. Move the folder elsewhere to begin a new log.",
  });
}

export function isDiskError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "code" in error;
}
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
