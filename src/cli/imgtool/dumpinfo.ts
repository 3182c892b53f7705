import { basename } from "node:path";
import { toHex } from "../../bytes.js";
import {
  type DumpedImage,
  type DumpedTlv,
  type DumpedTrailer,
  dumpImage,
  imgtoolFlagNames,
} from "../../mcuboot/dumpinfo.js";
import { endianOf, ImageError, parseHeader } from "../../mcuboot/header.js";
import { FileError, writeOutput } from "../files.js";
import { readFirmware } from "../firmware-file.js";
import { UsageError } from "../usage-error.js";
import type { Arguments, CommandSpec } from "./arguments.js";
import type { ImgtoolIo } from "./io.js";
import { yamlOf } from "./yaml.js";

export const DUMPINFO: CommandSpec = {
  name: "dumpinfo",
  summary: "Print header, TLVs and trailer of an image.",
  operands: ["IMGFILE"],
  options: [
    { name: "outfile", short: "o", value: "FILE", help: "instead of stdout" },
    {
      name: "format",
      short: "f",
      value: "FORM",
      choices: ["human", "yaml", "json"],
      help: "default: human on stdout, yaml in a file",
    },
    { name: "silent", short: "s", help: "for old scripts; changes nothing" },
  ],
};

const FORMATS: Readonly<Record<string, (file: string, image: DumpedImage) => string>> = {
  human,
  yaml: (file, image) => yamlOf({ filename: file, ...image }),
  // A file ends without a line end, as imgtool leaves it.
  json: (file, image) => JSON.stringify({ filename: file, ...image }, hexBytes, 2),
};

/** imgtool's `dumpinfo`. */
export function dumpinfo(given: Arguments, io: ImgtoolIo): void {
  const path = given.operand(0);
  const image = dump(readImage(path));
  const target = given.text("outfile");
  const format = given.text("format") ?? (target === undefined ? "human" : "yaml");
  warn(image, format === "human" || target !== undefined, io);
  const text = FORMATS[format]!(basename(path), image);
  if (target !== undefined) writeOutput(target, text);
  else io.out(format === "json" ? `${text}\n` : text);
}

/** What is no image at all mostly announces more bytes than it has; that is not what is wrong with it. */
function dump(bytes: Uint8Array): DumpedImage {
  try {
    return dumpImage(bytes);
  } catch (error) {
    if (error instanceof ImageError && endianOf(bytes) === undefined) parseHeader(bytes);
    throw error;
  }
}

function readImage(file: string): Uint8Array {
  try {
    return readFirmware(file).bytes;
  } catch (error) {
    if (error instanceof FileError && error.code === "file-missing")
      throw new UsageError(error.message, error.hint);
    throw error;
  }
}

/** imgtool says it on stdout, where it would spoil YAML and JSON. */
function warn({ trailer }: DumpedImage, onStdout: boolean, io: ImgtoolIo): void {
  if (trailer.magic === undefined || trailer.image_ok !== undefined) return;
  const warning = "Warning: the trailer magic value is invalid!";
  if (onStdout) io.out(`${warning}\n`);
  else io.err(warning);
}

function hexBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? toHex(value) : value;
}

const WIDTH = 60;
const hex = (value: number) => `0x${value.toString(16)}`;
const hexByte = (byte: number) => `0x${byte.toString(16).padStart(2, "0")}`;
const LINE = "#".repeat(WIDTH);

function human(file: string, { header, tlv_area, trailer }: DumpedImage): string {
  const bodyEnd = header.hdr_size + header.img_size;
  const lines = [`Printing content of signed image: ${file} `, "", row("Image header (offset: 0x0)")];
  for (const [name, value] of Object.entries(header))
    lines.push(`${`${name}:`.padEnd(20)}${headerValue(name, value)}`);
  lines.push(
    LINE,
    ...frame(`Payload (offset: ${hex(header.hdr_size)})`, `FW image (size: ${hex(header.img_size)} Bytes)`),
  );
  const { tlv_hdr_prot, tlvs_prot, tlv_hdr, tlvs } = tlv_area;
  if (tlv_hdr_prot.magic !== undefined)
    lines.push(...area("Protected TLV area", bodyEnd, tlv_hdr_prot, tlvs_prot));
  lines.push(...area("TLV area", bodyEnd + header.protected_tlv_size, tlv_hdr, tlvs));
  if (trailer.magic !== undefined) lines.push(...trailerLines(trailer));
  return `${[...lines, row("End of Image ")].join("\n")}\n`;
}

function headerValue(name: string, value: number | string): string {
  if (typeof value === "string") return value;
  if (name !== "flags" || value === 0) return hex(value);
  return imgtoolFlagNames(value)
    .map(({ name: flag, bit }) => `${flag} (${hex(bit)})`)
    .join(`\n${" ".repeat(20)}`);
}

function row(text: string): string {
  return `#### ${text} `.padEnd(WIDTH, "#");
}

function frame(title: string, content: string): string[] {
  const empty = `|${" ".repeat(WIDTH - 2)}|`;
  const before = `|${" ".repeat(Math.max(0, Math.floor((WIDTH - content.length) / 2) - 1))}`;
  return [row(title), empty, `${`${before}${content}`.padEnd(WIDTH - 1)}|`, empty, LINE];
}

function area(
  title: string,
  offset: number,
  { magic, tlv_tot }: { magic: number; tlv_tot: number },
  tlvs: readonly DumpedTlv[],
): string[] {
  const records = tlvs.flatMap(tlvLines);
  return [
    row(`${title} (offset: ${hex(offset)})`),
    `magic:     ${hex(magic)}`,
    `area size: ${hex(tlv_tot)}`,
    ...(records.length > 0 ? records : [""]),
    LINE,
  ];
}

function tlvLines({ type, type_name, len, data }: DumpedTlv): string[] {
  const indent = " ".repeat(7);
  const rows: string[] = [];
  for (let at = 0; at < data.length; at += 8)
    rows.push([...data.subarray(at, at + 8)].map((byte) => `${hexByte(byte)} `).join(""));
  if (rows.length === 0) rows.push("");
  return [
    `${indent} ${"-".repeat(45)}`,
    `${indent} type: ${type_name} (${hex(type)})`,
    `${indent} len:  ${hex(len)}`,
    ...rows.map((bytes, index) => (index === 0 ? `${indent} data: ${bytes}` : `${" ".repeat(14)}${bytes}`)),
  ];
}

const STATUS: Readonly<Record<number, string>> = { 1: "SET", 2: "BAD", 3: "UNSET", 4: "ANY" };

function trailerLines(trailer: DumpedTrailer): string[] {
  const { magic } = trailer;
  const notice = "(Note: some fields may not be used, depending on the update strategy)\n";
  const lines = [
    row("Image trailer (offset: unknown)"),
    notice.slice(0, WIDTH),
    `${notice.slice(WIDTH)}`,
    "swap status: (len: unknown)",
    `enc. keys:   ${encryptionKeys(trailer.key_field_len)}`,
  ];
  const { swap_size, swap_info, copy_done, image_ok } = trailer;
  if (swap_size !== undefined) lines.push(`swap size:   ${swapSize(swap_size)}`);
  for (const [name, value] of Object.entries({ swap_info, copy_done, image_ok }))
    if (value !== undefined) lines.push(`${`${name}:`.padEnd(13)}${status(value)}`);
  const bytes = [...magic].map((byte) => `${hexByte(byte)} `);
  lines.push(`boot magic:  ${bytes.slice(0, 8).join("")}`, `${" ".repeat(13)}${bytes.slice(8).join("")}`, "");
  return lines;
}

function encryptionKeys(length: number | undefined): string {
  return length === undefined
    ? "Image not encrypted"
    : `(len: ${hex(length)}, if BOOT_SWAP_SAVE_ENCTLV is unset)`;
}

function swapSize(size: number): string {
  // imgtool's word: it means decimal.
  return size === 0xffff_ffff ? "unknown" : `${hex(size)} octal: ${size}`;
}

function status(value: number): string {
  return `${STATUS[value] ?? "INVALID"} (${hex(value)})`;
}
