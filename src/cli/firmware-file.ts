import { extname } from "node:path";
import { isElf, parseElf } from "../image/elf.js";
import { formatIntelHex, joinSegments, parseIntelHex, type Segment } from "../image/intel-hex.js";
import { readInput, type WriteOptions, writeOutput } from "./files.js";

/** Firmware as a build makes it, or an image, out of whatever kind of file. */
export interface Firmware {
  readonly bytes: Uint8Array;
  /** Where the bytes belong; a raw binary does not say. */
  readonly address?: number;
}

/** By imgtool's rule: the extension tells Intel HEX from raw binary. */
export function isHexName(path: string): boolean {
  return extname(path).toLowerCase() === ".hex";
}

/**
 * Reads raw binary, Intel HEX (by its name) or ELF (by its first bytes). Gaps are filled with 0xff.
 * Throws `FileError`, `HexError`, `ElfError`.
 */
export function readFirmware(path: string): Firmware {
  const bytes = readInput(path);
  if (isHexName(path)) return joinSegments(parseIntelHex(new TextDecoder("latin1").decode(bytes)));
  return isElf(bytes) ? joinSegments(parseElf(bytes)) : { bytes };
}

/** Writes segments as Intel HEX. Throws `FileError`, `HexError`. */
export function writeHex(path: string, segments: readonly Segment[], options: WriteOptions = {}): void {
  writeOutput(path, formatIntelHex(segments), options);
}
