import { toHex } from "../../bytes.js";
import type { DumpFindings } from "../../mcuboot/find-images.js";
import type { Region } from "../../mcuboot/slot.js";
import { formatVersion } from "../../mcuboot/version.js";
import { printable, table, tone } from "../output.js";
import { drawMap } from "./draw-map.js";

/** What a flash dump holds, for `--json`. */
export function describeFindings({ images, slotEnds, slots }: DumpFindings) {
  return {
    images: images.map(({ offset, image }) => ({
      offset,
      version: formatVersion(image.version),
      imageSize: image.size,
      ...(image.imageHash && {
        imageHash: { algorithm: image.imageHash.algorithm, value: toHex(image.imageHash.value) },
      }),
      ...(image.securityCounter !== undefined && { securityCounter: image.securityCounter }),
    })),
    slotEnds,
    slots,
  };
}

/** A flash dump as a page for people: what was found where, and the command that shows its slots. */
export function drawFlash(
  file: string,
  length: number,
  { images, slotEnds, slots }: DumpFindings,
  maps: readonly (readonly Region[])[],
): string {
  const rows = [
    ...images.map(({ offset, image: { version, size, imageHash } }) => ({
      offset,
      what: `image ${formatVersion(version)}, ${size} bytes`,
      hash: imageHash ? toHex(imageHash.value.subarray(0, 8)) : "none",
    })),
    ...slotEnds.map(({ offset, maxAlign }) => ({
      offset,
      what: `end of a slot (trailer, BOOT_MAX_ALIGN ${maxAlign})`,
      hash: "",
    })),
  ].toSorted((a, b) => a.offset - b.offset);
  const cells = rows.map(({ offset, what, hash }) => [hex(offset), what, hash]);
  return [
    `${tone("dim", "file".padEnd(11))}${printable(file)}, ${length} bytes: a whole flash, or a part of one`,
    "",
    ...maps.map((map) => drawMap(map)),
    "",
    table(["OFFSET", "WHAT", "IMAGE HASH"], cells),
    "",
    advice(file, slots),
  ].join("\n");
}

function advice(file: string, slots: DumpFindings["slots"]): string {
  const words = slots.slice(0, 2).map(({ offset, size }) => `--slots ${hex(offset)}:${hex(size)}`);
  const shown = words.length > 0 ? words.join(" ") : "--slots OFFSET:SIZE";
  return `For the state of its slots: bootproof inspect ${printable(file)} ${shown}${words.length < 2 ? " (and --slots for the other one)" : ""}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
