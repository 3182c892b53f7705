import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { flagNames } from "../../image/header.js";
import { type Image, parseImage } from "../../image/image.js";
import { publishedKeyName } from "../../image/published-keys.js";
import { type Tlv, tlvKind, tlvName } from "../../image/tlv.js";
import { formatVersion } from "../../image/version.js";
import { type CommonOptions, commonOptions, inContext } from "../context.js";
import { readInput } from "../files.js";
import { printable, table, tone } from "../output.js";

export function define(command: Command): void {
  commonOptions(command.argument("<image>", "an MCUboot image")).action(
    (file: string, options: CommonOptions) =>
      inContext(options, async ({ out }) => {
        const bytes = readInput(file);
        const image = parseImage(bytes);
        out.result(describe(file, bytes, image), draw(file, bytes, image));
      }),
  );
}

function describe(file: string, bytes: Uint8Array, image: Image) {
  const { header, imageHash, securityCounter, keyHashes, tlvs } = image;
  return {
    file,
    fileSize: bytes.length,
    imageSize: image.size,
    header: { ...header, version: formatVersion(header.version), flagNames: flagNames(header.flags).names },
    ...(imageHash && { imageHash: { algorithm: imageHash.algorithm, value: toHex(imageHash.value) } }),
    ...(securityCounter === undefined ? {} : { securityCounter }),
    keyHashes: keyHashes.map((hash) => toHex(hash)),
    tlvs: tlvs.map((tlv) => ({
      offset: tlv.offset,
      type: tlv.type,
      name: tlvName(tlv.type),
      protected: tlv.protected,
      value: toHex(tlv.value),
    })),
  };
}

function draw(file: string, bytes: Uint8Array, image: Image): string {
  const { header } = image;
  const { names, unknown } = flagNames(header.flags);
  const flags = [...names, ...(unknown === 0 ? [] : [`0x${unknown.toString(16)}`])].join(" ") || "none";
  const behind = bytes.length - image.size;
  const rows: [string, string][] = [
    ["file", `${printable(file)}, ${bytes.length} bytes`],
    [
      "image",
      `${image.size} bytes${behind > 0 ? `; ${behind} bytes follow, which neither hash nor signature covers` : ""}`,
    ],
    ["version", formatVersion(image.version)],
    [
      "header",
      `${header.headerSize} bytes, flags ${flags}${header.loadAddress === 0 ? "" : `, load address 0x${header.loadAddress.toString(16)}`}`,
    ],
    ["body", `${header.bodySize} bytes`],
    [
      "counter",
      image.securityCounter === undefined
        ? tone("warn", "no security counter: nothing stops an older build")
        : `security counter ${image.securityCounter}`,
    ],
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
  ];
  for (const hash of image.keyHashes) {
    const published = publishedKeyName(hash);
    rows.push([
      "key",
      `${toHex(hash)}${published ? tone("bad", ` MCUboot's published development key ${published}: everybody has it`) : ""}`,
    ]);
  }
  const summary = rows.map(([name, value]) => tone("dim", name.padEnd(11)) + value).join("\n");
  return `${summary}\n\n${table(["OFFSET", "TLV", "LENGTH", "AREA", "MEANING", "VALUE"], image.tlvs.map(drawTlv))}`;
}

/** Bytes of a value that fit a line; the rest is in `--json`. */
const SHOWN_BYTES = 16;

function drawTlv({ offset, type, value, protected: isProtected }: Tlv): string[] {
  const hex = toHex(value.subarray(0, SHOWN_BYTES));
  return [
    `0x${offset.toString(16)}`,
    tlvName(type),
    `${value.length}`,
    isProtected ? "protected" : "unprotected",
    tlvKind(type)?.meaning ?? "a vendor's own",
    value.length > SHOWN_BYTES ? `${hex}...` : hex,
  ];
}
