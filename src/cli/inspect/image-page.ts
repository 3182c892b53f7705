import { basename } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { toHex } from "../../bytes.js";
import { publishedKeyName } from "../../crypto/published-keys.js";
import { tlvWords } from "../../mcuboot/describe-tlv.js";
import { dumpImage } from "../../mcuboot/dumpinfo.js";
import { flagNames } from "../../mcuboot/header.js";
import type { Image } from "../../mcuboot/image.js";
import { addressText, imageVectors, startWarnings } from "../../mcuboot/start.js";
import { oddLength, TLV, type Tlv, tlvKind, tlvName } from "../../mcuboot/tlv.js";
import type { Verdict } from "../../mcuboot/verify.js";
import { formatVersion } from "../../mcuboot/version.js";
import { printable, table, terminalWidth, tone } from "../output.js";

/** An image for `--json`: what imgtool's dumpinfo tells, under its names, and what is known beyond. */
export function describeImage(file: string, bytes: Uint8Array, image: Image) {
  const { header, imageHash, securityCounter, keyHashes, tlvs } = image;
  const dumped = dumpImage(bytes);
  const vectors = imageVectors(image);
  return {
    file,
    fileSize: bytes.length,
    imageSize: image.size,
    filename: basename(file),
    header: {
      ...header,
      flagNames: flagNames(header.flags).names,
      ...dumped.header,
      // As everywhere here, a build of 0 is left out; imgtool writes it.
      version: formatVersion(image.version),
    },
    tlv_area: dumped.tlv_area,
    trailer: dumped.trailer,
    endian: image.endian,
    ...(imageHash && { imageHash: { algorithm: imageHash.algorithm, value: toHex(imageHash.value) } }),
    ...(securityCounter === undefined ? {} : { securityCounter }),
    keyHashes: keyHashes.map((hash) => toHex(hash)),
    publishedKeys: keyHashes.flatMap((hash) => publishedKeyName(hash) ?? []),
    ...(vectors && { vectors: { stack: vectors.stack, entry: vectors.entry } }),
    startWarnings: startWarnings(image),
    dependencies: image.dependencies.map((one) => ({
      image: one.image,
      version: formatVersion(one.version),
    })),
    tlvs: tlvs.map((tlv) => ({
      offset: tlv.offset,
      type: tlv.type,
      name: tlvName(tlv.type),
      protected: tlv.protected,
      value: toHex(tlv.value),
    })),
  };
}

/** An image as a page for people; with a verdict where it was checked. */
export function drawImage(image: Image, verdict?: Verdict): string {
  const { header } = image;
  const { names, unknown } = flagNames(header.flags);
  const flags = [...names, ...(unknown === 0 ? [] : [`0x${unknown.toString(16)}`])].join(" ") || "none";
  const rows: [string, string][] = [
    ["image", `${image.size} bytes${image.endian === "big" ? ", big-endian" : ""}`],
    ["version", formatVersion(image.version)],
    [
      "header",
      `${header.headerSize} bytes, flags ${flags}${header.loadAddress === 0 ? "" : `, load address 0x${header.loadAddress.toString(16)}`}`,
    ],
    ["body", `${header.bodySize} bytes${image.encrypted ? ", encrypted" : ""}`],
    ...optionalRow("starts", startText(image)),
    ...startWarnings(image).map((sentence): [string, string] => ["", tone("warn", sentence)]),
    [
      "counter",
      oddOf(image, TLV.SEC_CNT) ??
        (image.securityCounter === undefined
          ? tone("warn", "no security counter: nothing keeps out older builds")
          : `security counter ${image.securityCounter}`),
    ],
    ...image.dependencies.map((one): [string, string] => [
      "needs",
      `image ${one.image} of version ${formatVersion(one.version)} or later`,
    ]),
    ...optionalRow("needs", oddOf(image, TLV.DEPENDENCY)),
    [
      "hash",
      image.imageHash ? `${image.imageHash.algorithm} ${toHex(image.imageHash.value)}` : tone("bad", "none"),
    ],
    [
      "signature",
      image.signatures.length === 0
        ? tone("bad", "none: the image is not signed")
        : `${image.signatures.map((tlv) => tlvName(tlv.type)).join(", ")}${signatureChecked(verdict) ? "" : " (not checked here: --key, or bootproof verify)"}`,
    ],
    ...image.keyHashes.map((hash): [string, string] => ["key", drawKeyHash(hash)]),
    ...(verdict ? verdictRows(verdict) : []),
  ];
  return `${drawRows(rows)}\n\n${drawTlvs(image)}`;
}

function optionalRow(name: string, value: string | undefined): [string, string][] {
  return value === undefined ? [] : [[name, value]];
}

function startText(image: Image): string | undefined {
  const vectors = imageVectors(image);
  return (
    vectors && `stack ${addressText(vectors.stack)}, entry ${addressText(vectors.entry)}, as on Cortex-M`
  );
}

/** The first TLV of this type whose length no bootloader takes, as a sentence. */
function oddOf({ tlvs }: Image, type: number): string | undefined {
  const odd = tlvs.filter((tlv) => tlv.type === type).flatMap((tlv) => oddLength(tlv) ?? []);
  return odd[0] === undefined ? undefined : tone("bad", odd[0]);
}

function signatureChecked(verdict: Verdict | undefined): boolean {
  return (
    verdict?.checks.some(({ name, result }) => name === "signature" && result !== "not-checked") ?? false
  );
}

/** What a bootloader would say to it: the failures, or that there are none. */
function verdictRows({ result, checks }: Verdict): [string, string][] {
  const failed = checks.filter((check) => check.result === "fail");
  if (failed.length > 0)
    return failed.map(({ sentence }): [string, string] => [
      "REFUSED",
      tone("bad", `a bootloader refuses it: ${printable(sentence)}`),
    ]);
  return result === "good" ? [["verdict", tone("good", "a bootloader with the given key starts it")]] : [];
}

/** Names on the left, values on the right. */
export function drawRows(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, value]) => tone("dim", name.padEnd(11)) + value).join("\n");
}

function drawKeyHash(hash: Uint8Array): string {
  const published = publishedKeyName(hash);
  return `${toHex(hash)}${published ? tone("bad", ` MCUboot's published development key ${published}: everybody has it`) : ""}`;
}

/** Characters of a value where there is room; all of it is in `--json`. */
const SHOWN = 36;
/** Fewer than these say nothing: the column is left out then. */
const LEAST_SHOWN = 8;

function drawTlvs(image: Image): string {
  const left = table(["OFFSET", "TLV", "LENGTH", "AREA", "MEANING"], image.tlvs.map(drawTlv));
  const lines = left.split("\n").map((line) => stripVTControlCharacters(line).length);
  const room = Math.min(SHOWN, (terminalWidth() ?? Number.POSITIVE_INFINITY) - Math.max(...lines) - 2);
  if (room < LEAST_SHOWN) return left;
  const rows = image.tlvs.map((tlv) => [...drawTlv(tlv), cut(valueText(tlv, image), room)]);
  return table(["OFFSET", "TLV", "LENGTH", "AREA", "MEANING", "VALUE"], rows);
}

function drawTlv({ offset, type, value, protected: isProtected }: Tlv): string[] {
  const kind = tlvKind(type);
  const meaning = kind?.meaning ?? "a vendor's own";
  const refused = !isProtected && (kind === undefined || kind.allowList === "no");
  return [
    `0x${offset.toString(16)}`,
    tlvName(type),
    `${value.length}`,
    isProtected ? "protected" : "unprotected",
    refused ? tone("bad", `${meaning}; MCUboot refuses it here`) : meaning,
  ];
}

function valueText({ type, value }: Tlv, { endian }: Image): string {
  const words = tlvWords({ type, value }, endian);
  if (words !== undefined) return words;
  const text = tlvKind(type) === undefined ? textOf(value.subarray(0, SHOWN)) : undefined;
  return text === undefined ? toHex(value.subarray(0, SHOWN)) : `"${text}"`;
}

function cut(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 3)}...`;
}

/** Text that a vendor put there, when it is plain. */
function textOf(value: Uint8Array): string | undefined {
  const isText = value.length > 0 && value.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isText ? printable(new TextDecoder().decode(value)) : undefined;
}
