import { extname } from "node:path";
import { BootproofError } from "../errors.js";
import { elfMachine, isElf, isElfForHost, parseElf } from "../formats/elf.js";
import { fileKindOf, isIntelHex } from "../formats/file-kinds.js";
import { formatIntelHex, joinSegments, readIntelHex, type Segment } from "../formats/intel-hex.js";
import { findImages } from "../mcuboot/find-images.js";
import { endianOf } from "../mcuboot/header.js";
import { naming, type WriteOptions, writeOutput } from "./files.js";
import { readContent } from "./image-input.js";
import { type Output, printable } from "./output.js";

export type FirmwareErrorCode =
  /** A container of firmware that is not read, where the body of an image is asked for. */
  | "not-firmware"
  /** It holds firmware that nobody signed. */
  | "no-image"
  /** It holds more than one image. */
  | "several-images";

/** A file that holds something else than what a command needs. */
export class FirmwareError extends BootproofError {
  declare readonly code: FirmwareErrorCode;
}

/** Firmware as a build makes it, or an image, out of whatever kind of file. */
export interface Firmware {
  readonly bytes: Uint8Array;
  /** Where the bytes belong; a raw binary does not say. */
  readonly address?: number;
  /** What a person should know of the file, as sentences. */
  readonly notes: readonly string[];
}

/** By imgtool's rule: the extension tells Intel HEX from raw binary. */
export function isHexName(path: string): boolean {
  return extname(path).toLowerCase() === ".hex";
}

/** A file's bytes at their addresses: one stretch per memory. A raw binary is one stretch without an address. */
export interface FlashContent {
  readonly kind: "raw" | "intel-hex" | "elf";
  /** Gaps inside are filled with 0xff. In the order of addresses; empty for a HEX file without data. */
  readonly segments: readonly Segment[];
  /** Bytes that the file holds, without what fills the gaps. */
  readonly size: number;
  readonly notes: readonly string[];
}

/** Segments further apart are in different memories, as UICR beside the application: nothing is filled between them. */
const WIDEST_GAP = 8 * 1024 * 1024;

/**
 * Reads raw binary, Intel HEX (by its name or content) or ELF (by its first bytes). Throws `FileError`, `HexError`,
 * `ElfError`.
 */
export function readFlashContent(path: string, bytes = readContent(path)): FlashContent {
  if (isHexName(path) || isIntelHex(bytes)) {
    const { segments, ended, linesBehind } = readIntelHex(new TextDecoder("latin1").decode(bytes));
    const notes = [
      ...(ended ? [] : [`${path} has no end record: it may be truncated.`]),
      ...(linesBehind > 0
        ? [`${path} has ${linesBehind} lines after its end record, which are ignored.`]
        : []),
    ];
    return { kind: "intel-hex", segments: mergeAdjacent(segments), size: sizeOf(segments), notes };
  }
  if (!isElf(bytes)) return { kind: "raw", segments: [{ address: 0, bytes }], size: bytes.length, notes: [] };
  const notes = isElfForHost(bytes)
    ? [`${path} is an ELF file for ${elfMachine(bytes)}, a program for a computer: no board runs it.`]
    : [];
  const segments = parseElf(bytes);
  return { kind: "elf", segments: mergeAdjacent(segments), size: sizeOf(segments), notes };
}

function sizeOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function mergeAdjacent(segments: readonly Segment[]): Segment[] {
  const groups: Segment[][] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const segment of segments) {
    if (segment.address - end > WIDEST_GAP) groups.push([segment]);
    else groups.at(-1)!.push(segment);
    end = segment.address + segment.bytes.length;
  }
  return groups.map((group) => joinSegments(group));
}

/** Settings beside the firmware, as UICR, are smaller; code in a second memory is larger and must not get lost. */
const LARGEST_SETTINGS = 4096;

/**
 * Reads the firmware of a file as one piece: of several memories the one with the most bytes, when the others hold
 * settings at most. Throws `FileError`, `HexError`, `ElfError`.
 */
export function readFirmware(path: string): Firmware {
  const { kind, segments, notes } = readFlashContent(path);
  const [main, ...others] = segments.toSorted((a, b) => b.bytes.length - a.bytes.length);
  if (kind === "raw") return { bytes: main!.bytes, notes };
  if (!main) return { bytes: new Uint8Array(0), address: 0, notes };
  if (others.some(({ bytes }) => bytes.length > LARGEST_SETTINGS))
    return { ...joinSegments(segments), notes };
  return { ...main, notes: [...notes, ...others.map(leftOut)] };
}

function leftOut({ address, bytes }: Segment): string {
  return `${bytes.length} bytes at 0x${address.toString(16)} are outside the firmware and were omitted.`;
}

/**
 * Reads what is to be signed. As {@link readFirmware}, but refuses with {@link FirmwareError} a container of another
 * kind (S-record, UF2, DfuSe), and notes what else is no firmware: MCUboot carries data too.
 */
export function readBody(path: string): Firmware {
  const firmware = readFirmware(path);
  const kind = firmware.address === undefined ? fileKindOf(firmware.bytes) : undefined;
  if (!kind) return firmware;
  if (!kind.container)
    return {
      ...firmware,
      notes: [...firmware.notes, `${path} is ${kind.name}; its bytes are signed as they are.`],
    };
  throw new FirmwareError("not-firmware", `${path} is ${kind.name}, not firmware to sign.`, {
    hint: kind.hint,
  });
}

/** An image with what follows it, out of whatever kind of file. */
export interface ImageFile extends Firmware {
  /** From the image's header on; of a raw file all of it, image or not. */
  readonly bytes: Uint8Array;
}

/**
 * Reads the image of a file: raw, or inside of Intel HEX or ELF wherever it is, as in the merged file of a build. Throws
 * {@link FirmwareError} when there is none or more than one; of a raw file the parser says what it is.
 *
 * @param content of the file, where it was read already
 */
export function readImageFile(path: string, content?: Uint8Array): ImageFile {
  const { kind, segments, size, notes } = readFlashContent(path, content);
  if (kind === "raw") return { bytes: segments[0]!.bytes, notes };
  const found = segments.flatMap((stretch) => imagesIn(stretch));
  const [first, ...more] = found;
  if (!first) {
    // One that is broken is told by the parser, with the reason.
    const broken = segments.flatMap(brokenImage)[0];
    if (broken) return { ...broken, notes };
    const name = kind === "elf" ? "an ELF file" : "an Intel HEX file";
    throw new FirmwareError("no-image", `${path} is ${name} with firmware that is not signed.`, {
      hint: `Sign it: bootproof sign ${path} app.signed.bin --key FILE ...`,
    });
  }
  if (more.length > 0) {
    const places = found.map(({ address }) => `0x${address.toString(16)}`).join(", ");
    throw new FirmwareError("several-images", `${path} holds ${found.length} images, at ${places}.`, {
      hint: "See them with bootproof inspect. Give a file that contains only the one you mean.",
    });
  }
  const others = size - first.held;
  const at = `The image is at 0x${first.address.toString(16)} of ${path}`;
  const beside = others > 0 ? [`${at}; ${others} bytes elsewhere in the file are not part of it.`] : [];
  const { address, bytes } = first;
  return { address, bytes, notes: [...notes, ...beside] };
}

/** What `read` makes of the image of a file; an error says which file it was. Notes go to stderr. */
export async function readImageAs<T>(
  path: string,
  { note }: Pick<Output, "note">,
  read: (image: Uint8Array) => T | Promise<T>,
  content?: Uint8Array,
): Promise<T> {
  return naming(path, async () => {
    const { bytes, notes } = readImageFile(path, content);
    for (const sentence of notes) note(printable(sentence));
    return read(bytes);
  });
}

/** A trailer's magic and flags: what of it a HEX file holds at most. */
const TRAILER_HELD = 48;

/** Each image with its slot's trailer where one follows it. `held`: how many of its bytes a HEX file holds, at most. */
function imagesIn({ address, bytes }: Segment): (Segment & { readonly held: number })[] {
  const { images, slots } = findImages(bytes);
  return images.map(({ offset, image }) => {
    const slot = slots.find((one) => one.offset === offset);
    return {
      address: address + offset,
      bytes: bytes.subarray(offset, offset + (slot?.size ?? image.size)),
      held: image.size + (slot ? TRAILER_HELD : 0),
    };
  });
}

/** No flash has smaller sectors that a slot could begin with. */
const STEP = 256;

/** What follows a header's magic where a sector can begin. */
function brokenImage({ address, bytes }: Segment): Segment[] {
  for (let at = 0; at < bytes.length; at += STEP)
    if (endianOf(bytes.subarray(at, at + 4)) !== undefined)
      return [{ address: address + at, bytes: bytes.subarray(at) }];
  return [];
}

/** Writes segments as Intel HEX. Throws `FileError`, `HexError`. */
export function writeHex(path: string, segments: readonly Segment[], options: WriteOptions = {}): void {
  writeOutput(path, formatIntelHex(segments), options);
}
