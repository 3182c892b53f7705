import { isFilledWith, ORDER } from "../bytes.js";
import { elfMachine, isElf } from "./elf.js";

/** What a file is that is no image, as far as its first and last bytes tell. */
export interface FileKind {
  /** With its article: "a UF2 file". */
  readonly name: string;
  /** It holds firmware at addresses, in a form that is not read: signing its bytes as they are makes no sense. */
  readonly container: boolean;
  /** What to do with it on the way to a board, one or two sentences. */
  readonly hint: string;
}

const SIGN = "Sign the firmware in it with bootproof sign; the resulting image is for the board.";
const UNPACK = "Unpack it, and name the image in it; its name often ends in .signed.bin.";
const DOWNLOAD_AGAIN = "Download or copy the image itself, in binary mode, and try again.";

/**
 * Names a file by its content, whatever it is called; undefined for what is not known, raw firmware too. Only rules
 * that do not take one kind for another: a wrong name would be worse than none.
 *
 * @param bytes - the whole file
 * @returns its kind, whether images are inside, and what to do with it
 */
export function fileKindOf(bytes: Uint8Array): FileKind | undefined {
  const row = KINDS.find(({ is }) => is(bytes));
  if (!row) return undefined;
  const { name, hint, container = false } = row;
  return { name: typeof name === "function" ? name(bytes) : name, container, hint };
}

/**
 * Does a text of Intel HEX records begin here?
 *
 * @param bytes - the first 600 are looked at
 * @returns true for a first line that is a record
 */
export function isIntelHex(bytes: Uint8Array): boolean {
  return /^\s*:(?:[0-9a-fA-F]{2}){5,}\s/.test(textOf(bytes, 600));
}

interface Row {
  readonly name: string | ((bytes: Uint8Array) => string);
  readonly is: (bytes: Uint8Array) => boolean;
  readonly container?: boolean;
  readonly hint: string;
}

/** Most telling first. */
const KINDS: readonly Row[] = [
  {
    name: "an empty file",
    is: ({ length }) => length === 0,
    hint: "Was it written completely? Build it again.",
  },
  {
    name: (bytes) => `an ELF file for ${elfMachine(bytes) ?? "an unknown machine"}`,
    is: isElf,
    hint: SIGN,
  },
  { name: "an Intel HEX file", is: isIntelHex, hint: SIGN },
  {
    name: "a Motorola S-record file",
    is: (bytes) => /^\s*S[0-9](?:[0-9a-fA-F]{2}){3,}\s/.test(textOf(bytes, 600)),
    container: true,
    hint: "Convert it: objcopy -I srec -O ihex FILE firmware.hex. Then sign that with bootproof sign, if it is not signed yet.",
  },
  {
    name: "a UF2 file",
    is: (bytes) => startsWith(bytes, "5546320a") && at(bytes, 4, "57515d9e"),
    container: true,
    hint: "UF2 is for bootloaders that show a USB drive. Take the .bin or .hex of the same build.",
  },
  {
    name: "a DfuSe file (STM32's .dfu)",
    is: (bytes) => startsWith(bytes, "4466755365"),
    container: true,
    hint: "For a board in its USB bootloader: bootproof dfu download. For MCUboot take the .bin or .hex of the same build.",
  },
  {
    name: "an update bundle (zip with a manifest)",
    is: (bytes) => isZip(bytes) && textOf(bytes.subarray(-65_536), 65_536).includes("manifest.json"),
    hint: UNPACK,
  },
  { name: "a zip archive", is: isZip, hint: UNPACK },
  { name: "a gzip archive", is: (bytes) => startsWith(bytes, "1f8b08"), hint: UNPACK },
  { name: "an xz archive", is: (bytes) => startsWith(bytes, "fd377a585a00"), hint: UNPACK },
  { name: "a zstd archive", is: (bytes) => startsWith(bytes, "28b52ffd"), hint: UNPACK },
  { name: "a 7z archive", is: (bytes) => startsWith(bytes, "377abcaf271c"), hint: UNPACK },
  {
    name: "a bzip2 archive",
    is: (bytes) => startsWith(bytes, "425a68") && at(bytes, 4, "314159265359"),
    hint: UNPACK,
  },
  { name: "a tar archive", is: (bytes) => at(bytes, 257, "7573746172"), hint: UNPACK },
  {
    name: "an ESP32 image",
    is: isEspImage,
    hint: "It is for Espressif's own bootloader (esptool). For MCUboot build the application with CONFIG_BOOTLOADER_MCUBOOT.",
  },
  {
    name: "an image of MCUboot's format before 2017",
    is: (bytes) => startsWith(bytes, "3cb8f396"),
    hint: "No current bootloader accepts it: sign the firmware again with bootproof sign.",
  },
  {
    name: "a Git LFS pointer, not the file itself",
    is: (bytes) => textOf(bytes, 100).startsWith("version https://git-lfs.github.com/spec/"),
    hint: "Fetch the file: git lfs pull.",
  },
  {
    name: "a web page",
    is: (bytes) => /^\s*(?:<!doctype html|<html)/i.test(withoutMark(textOf(bytes, 400))),
    hint: "A login or error page was saved under the image's name. Download the image itself.",
  },
  {
    name: "a script",
    is: (bytes) => /^#! ?\/[\x20-\x7e]+/.test(textOf(bytes, 100)),
    hint: DOWNLOAD_AGAIN,
  },
  {
    name: "a PEM file (a key or a certificate)",
    is: (bytes) => /^\s*-----BEGIN /.test(withoutMark(textOf(bytes, 200))),
    hint: "Name the image's file here; a key goes with --key.",
  },
  {
    name: "a Windows program",
    is: (bytes) => startsWith(bytes, "4d5a") && isPe(bytes),
    hint: DOWNLOAD_AGAIN,
  },
  { name: "a PDF", is: (bytes) => startsWith(bytes, "255044462d"), hint: DOWNLOAD_AGAIN },
  {
    name: "a picture",
    is: (bytes) => startsWith(bytes, "89504e470d0a1a0a"),
    hint: DOWNLOAD_AGAIN,
  },
  // MCUboot's magic after programs that took the image for text.
  {
    name: "an image that was read as UTF-8 text: its bytes are lost",
    is: (bytes) => startsWith(bytes, "3defbfbd"),
    hint: DOWNLOAD_AGAIN,
  },
  {
    name: "an image that was converted to UTF-8",
    is: (bytes) => startsWith(bytes, "3dc2b8c3b3") || startsWith(bytes, "efbbbf3d"),
    hint: DOWNLOAD_AGAIN,
  },
  {
    name: "an image that was converted to UTF-16",
    is: (bytes) => startsWith(bytes, "fffe3d00") || startsWith(bytes, "feff003d"),
    hint: "PowerShell's > does that. Copy the image in binary mode.",
  },
  {
    name: "an image whose bytes lost their top bit",
    is: (bytes) => startsWith(bytes, "3d387316"),
    hint: DOWNLOAD_AGAIN,
  },
  { name: "a JSON file", is: isJson, hint: DOWNLOAD_AGAIN },
  {
    name: "erased flash",
    is: (bytes) => bytes.length >= 32 && isFilledWith(bytes, 0xff),
    hint: "Nothing was written there, or the wrong range was read.",
  },
  {
    name: "nothing but zeros",
    is: (bytes) => bytes.length >= 32 && isFilledWith(bytes, 0),
    hint: "On chips whose flash erases to 0 this is empty flash; otherwise the wrong range was read.",
  },
];

function startsWith(bytes: Uint8Array, hex: string): boolean {
  return at(bytes, 0, hex);
}

function at(bytes: Uint8Array, offset: number, hex: string): boolean {
  for (let index = 0; 2 * index < hex.length; index++)
    if (bytes[offset + index] !== Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16)) return false;
  return true;
}

function textOf(bytes: Uint8Array, length: number): string {
  return new TextDecoder("latin1").decode(bytes.subarray(0, length));
}

/** Without a byte order mark of UTF-8, as latin1 shows it. */
function withoutMark(text: string): string {
  return text.startsWith("\u00ef\u00bb\u00bf") ? text.slice(3) : text;
}

function isZip(bytes: Uint8Array): boolean {
  return startsWith(bytes, "504b0304") || startsWith(bytes, "504b0506");
}

/** Its first byte alone is too common: the entry must be in an address range where ESP32 chips have code too. */
function isEspImage(bytes: Uint8Array): boolean {
  if (bytes.length < 24 || bytes[0] !== 0xe9) return false;
  const [, segments, mode] = bytes as unknown as [number, number, number];
  const entry = ORDER.little.u32(bytes, 4) >>> 24;
  return (
    segments >= 1 && segments <= 16 && (mode <= 5 || mode === 0xff) && [0x40, 0x42, 0x4f].includes(entry)
  );
}

function isPe(bytes: Uint8Array): boolean {
  if (bytes.length < 64) return false;
  return at(bytes, ORDER.little.u32(bytes, 60), "50450000");
}

function isJson(bytes: Uint8Array): boolean {
  return /^\s*[{[]\s*["{[]/.test(withoutMark(textOf(bytes, 400)));
}
