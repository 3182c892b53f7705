import type { Descriptor } from "../../avb/descriptors.js";
import { AVB_FLAG, type AvbImage } from "../../avb/vbmeta.js";
import { toHex } from "../../bytes.js";
import { HASHES, sha1 } from "../../crypto/hashes.js";
import { printable, table, tone } from "../output.js";

/** Android boot metadata as JSON. */
export function describeAvb(file: string, bytes: Uint8Array, { vbmeta, footer }: AvbImage) {
  const {
    algorithm,
    requiredVersion,
    rollbackIndex,
    rollbackIndexLocation,
    flags,
    release,
    publicKey,
    sizes,
  } = vbmeta;
  return {
    file,
    fileSize: bytes.length,
    format: "avb",
    ...(footer && { footer }),
    requiredVersion,
    algorithm: algorithm.name,
    sizes: { header: 256, ...sizes },
    ...(publicKey.length > 0 && { embeddedKey: keyOf(publicKey) }),
    rollbackIndex,
    rollbackIndexLocation,
    flags,
    release,
    descriptors: vbmeta.descriptors.map(describeDescriptor),
  };
}

/** As avbtool names a key, and by the hash that everybody else uses. */
function keyOf(blob: Uint8Array) {
  return { size: blob.length, sha1: toHex(sha1(blob)), sha256: toHex(HASHES.sha256.digest(blob)) };
}

function describeDescriptor(descriptor: Descriptor) {
  if (descriptor.kind !== "chain") return descriptor;
  const { publicKey, ...rest } = descriptor;
  return { ...rest, publicKey: keyOf(publicKey) };
}

/** The page of `inspect`: what is in it, and what MCUboot calls the same. */
export function drawAvb(file: string, bytes: Uint8Array, image: AvbImage): string {
  const { vbmeta, footer } = image;
  const rows: [string, string][] = [
    ["file", `${file}, ${bytes.length} bytes`],
    [
      "form",
      footer
        ? `a partition: ${footer.originalSize} bytes of content, metadata at 0x${footer.vbmetaOffset.toString(16)}`
        : "a vbmeta structure alone",
    ],
    ["needs", `libavb ${vbmeta.requiredVersion}`],
    ["algorithm", vbmeta.algorithm.name === "NONE" ? tone("bad", "NONE: not signed") : vbmeta.algorithm.name],
    [
      "embedded key",
      vbmeta.publicKey.length === 0 ? "-" : `sha1 ${keyOf(vbmeta.publicKey).sha1}; proves nothing by itself`,
    ],
    ["rollback", `index ${vbmeta.rollbackIndex} at location ${vbmeta.rollbackIndexLocation}`],
    ["flags", describeFlags(vbmeta.flags)],
    ["made by", vbmeta.release],
    ...vbmeta.descriptors.map((one): [string, string] => [one.kind, drawDescriptor(one)]),
  ];
  const width = Math.max(...rows.map(([what]) => what.length));
  const page = rows.map(([what, value]) => `${tone("dim", what.padEnd(width))}  ${printable(value)}`);
  return [...page, "", table(["ANDROID", "HERE", "MCUBOOT EQUIVALENT"], mapping(image))].join("\n");
}

function describeFlags(flags: number): string {
  const names = [
    ...(flags & AVB_FLAG.hashtreeDisabled ? ["contents unchecked at run time"] : []),
    ...(flags & AVB_FLAG.verificationDisabled ? ["VERIFICATION OFF"] : []),
  ];
  return names.length === 0 ? `${flags}` : `${flags}: ${names.join(", ")}`;
}

function drawDescriptor(descriptor: Descriptor): string {
  switch (descriptor.kind) {
    case "property":
      return `${descriptor.key} = ${new TextDecoder().decode(descriptor.value)}`;
    case "hash":
      return `partition ${descriptor.partition}, ${descriptor.imageSize} bytes, ${descriptor.algorithm} ${toHex(descriptor.digest).slice(0, 16)}…`;
    case "chain":
      return `partition ${descriptor.partition}, own key (sha1 ${keyOf(descriptor.publicKey).sha1}), rollback location ${descriptor.rollbackIndexLocation}`;
    default:
      return `tag ${descriptor.tag}, ${descriptor.size} bytes, not read`;
  }
}

function mapping({ vbmeta }: AvbImage): string[][] {
  const { rollbackIndex, rollbackIndexLocation, descriptors } = vbmeta;
  const rows = [
    ["vbmeta", `${vbmeta.size} bytes`, "header and TLV area of the image"],
    ["rollback index", `${rollbackIndex}`, "security counter (TLV 0x50, protected)"],
    ["rollback location", `${rollbackIndexLocation}`, "image number"],
    [
      "stored rollback index",
      "-",
      "stored security counter; rises after confirmation, as here after success",
    ],
  ];
  if (descriptors.some(({ kind }) => kind === "hash"))
    rows.push(["hash descriptor", "digest of the content", "image hash (TLV 0x10), with the header in it"]);
  if (descriptors.some(({ kind }) => kind === "chain"))
    rows.push(["chain partition", "own key", "a second image with its own key"]);
  return rows;
}
