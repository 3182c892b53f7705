import { basename } from "node:path";
import { toHex } from "../../bytes.js";
import { dumpImage } from "../../image/dumpinfo.js";
import { flagNames } from "../../image/header.js";
import type { Image } from "../../image/image.js";
import { publishedKeyName } from "../../image/published-keys.js";
import { type Tlv, tlvKind, tlvName } from "../../image/tlv.js";
import { formatUuid } from "../../image/uuid.js";
import { formatVersion } from "../../image/version.js";
import { printable, table, tone } from "../output.js";

/** An image for `--json`: what imgtool's dumpinfo tells, under its names, and what is known beyond. */
export function describeImage(file: string, bytes: Uint8Array, image: Image) {
  const { header, imageHash, securityCounter, keyHashes, tlvs } = image;
  const dumped = dumpImage(bytes);
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

/** An image as a page for people. */
export function drawImage(image: Image): string {
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
    [
      "counter",
      image.securityCounter === undefined
        ? tone("warn", "no security counter: nothing stops an older build")
        : `security counter ${image.securityCounter}`,
    ],
    ...image.dependencies.map((one): [string, string] => [
      "needs",
      `image ${one.image} of version ${formatVersion(one.version)} or later`,
    ]),
    [
      "hash",
      image.imageHash ? `${image.imageHash.algorithm} ${toHex(image.imageHash.value)}` : tone("bad", "none"),
    ],
    [
      "signature",
      image.signatures.length === 0
        ? tone("bad", "none: the image is not signed")
        : `${image.signatures.map((tlv) => tlvName(tlv.type)).join(", ")} (not checked here: bootproof verify)`,
    ],
    ...image.keyHashes.map((hash): [string, string] => ["key", drawKeyHash(hash)]),
  ];
  return `${drawRows(rows)}\n\n${table(["OFFSET", "TLV", "LENGTH", "AREA", "MEANING", "VALUE"], image.tlvs.map(drawTlv))}`;
}

/** Names on the left, values on the right. */
export function drawRows(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, value]) => tone("dim", name.padEnd(11)) + value).join("\n");
}

function drawKeyHash(hash: Uint8Array): string {
  const published = publishedKeyName(hash);
  return `${toHex(hash)}${published ? tone("bad", ` MCUboot's published development key ${published}: everybody has it`) : ""}`;
}

/** Bytes of a value that fit a line; the rest is in `--json`. */
const SHOWN_BYTES = 16;

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
    drawValue(type, value),
  ];
}

function drawValue(type: number, value: Uint8Array): string {
  const isUuid = tlvName(type).startsWith("UUID_") && value.length === 16;
  if (isUuid) return formatUuid(value);
  const hex = toHex(value.subarray(0, SHOWN_BYTES));
  const text = tlvKind(type) === undefined ? textOf(value.subarray(0, SHOWN_BYTES)) : undefined;
  return `${hex}${value.length > SHOWN_BYTES ? "..." : ""}${text === undefined ? "" : ` "${text}"`}`;
}

/** Text that a vendor put there, when it is plain. */
function textOf(value: Uint8Array): string | undefined {
  const isText = value.length > 0 && value.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isText ? printable(new TextDecoder().decode(value)) : undefined;
}
