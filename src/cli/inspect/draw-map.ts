import { isFilledWith } from "../../bytes.js";
import type { DumpFindings } from "../../mcuboot/find-images.js";
import type { Image } from "../../mcuboot/image.js";
import type { Region } from "../../mcuboot/slot.js";
import { trailerLayout } from "../../mcuboot/trailer.js";
import { terminalWidth, tone } from "../output.js";

/** Characters of a map from its left edge to its right where no terminal says how much room there is. */
const WIDTH = 64;
/** As many as are still a picture, in a narrow terminal and in a wide one. */
const LIMITS = { min: 16, max: 120 };

const SIGNS: Readonly<Record<Region["kind"], string>> = {
  header: "H",
  body: "#",
  "protected TLVs": "P",
  TLVs: "T",
  free: ".",
  leftover: "?",
  trailer: "=",
};

/**
 * A stretch of flash as a bar drawn to scale, with a line for each region. Regions that would be thinner than a
 * character get one all the same: that they are there matters more than half a percent. `fullWidth`: bytes that would
 * take the whole line, so that several bars below each other are drawn to one scale.
 */
export function drawMap(regions: readonly Region[], fullWidth?: number): string {
  const shown = regions.filter(({ length }) => length > 0);
  const total = shown.reduce((sum, { length }) => sum + length, 0);
  if (total === 0) return "";
  const share = fullWidth === undefined ? 1 : total / fullWidth;
  const widths = widthsOf(shown, total, Math.max(shown.length, Math.round(share * lineWidth())));
  const bar = shown.map(({ kind }, index) => SIGNS[kind].repeat(widths[index]!)).join("");
  const lines = shown.map(({ kind, offset, length }) => {
    const end = offset + length;
    const share = ((100 * length) / total).toFixed(1);
    return `  ${SIGNS[kind]} ${kind.padEnd(15)} ${hex(offset)} - ${hex(end)} ${`${length}`.padStart(9)} bytes ${share.padStart(5)} %`;
  });
  return [`[${bar}]`, ...lines.map((line) => tone("dim", line))].join("\n");
}

/** The regions of a file that is an image, as of a slot without a trailer. */
export function imageRegions(image: Image, fileSize: number): Region[] {
  const { headerSize, bodySize } = image.header;
  const bodyEnd = headerSize + bodySize;
  const regions: Region[] = [
    { kind: "header", offset: 0, length: headerSize },
    { kind: "body", offset: headerSize, length: bodySize },
    { kind: "protected TLVs", offset: bodyEnd, length: image.unprotectedArea.offset - bodyEnd },
    { kind: "TLVs", offset: image.unprotectedArea.offset, length: image.unprotectedArea.length },
    { kind: "leftover", offset: image.size, length: fileSize - image.size },
  ];
  return regions.filter(({ length }) => length > 0);
}

/** Between the brackets. */
function lineWidth(): number {
  const columns = terminalWidth();
  return columns === undefined ? WIDTH : Math.min(LIMITS.max, Math.max(LIMITS.min, columns - 2));
}

/** Rounded so that together they fill the bar: the widest region gives or takes what is over. */
function widthsOf(regions: readonly Region[], total: number, room: number): number[] {
  const widths = regions.map(({ length }) => Math.max(1, Math.round((room * length) / total)));
  const over = widths.reduce((sum, width) => sum + width, 0) - room;
  const widest = widths.indexOf(Math.max(...widths));
  widths[widest] = Math.max(1, widths[widest]! - over);
  return widths;
}

/** A whole flash: the regions of its images and trailers, and what is between them. */
export function dumpRegions(bytes: Uint8Array, { images, slotEnds }: DumpFindings, erased: number): Region[] {
  const known = [
    ...images.flatMap(({ offset, image }) =>
      imageRegions(image, image.size).map((region) => ({ ...region, offset: region.offset + offset })),
    ),
    ...slotEnds.map(({ offset: end, maxAlign }) => {
      const image = images.findLast(({ offset }) => offset < end);
      const from = end - trailerLayout(maxAlign).swapSize;
      const offset = Math.max(from, image ? image.offset + image.image.size : 0);
      return { kind: "trailer" as const, offset, length: end - offset };
    }),
  ].toSorted((a, b) => a.offset - b.offset);
  const regions: Region[] = [];
  let at = 0;
  const between = (end: number) => {
    if (end <= at) return;
    const kind = isFilledWith(bytes.subarray(at, end), erased) ? "free" : "leftover";
    regions.push({ kind, offset: at, length: end - at });
  };
  for (const region of known) {
    between(region.offset);
    regions.push(region);
    at = region.offset + region.length;
  }
  between(bytes.length);
  return regions;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(6, "0")}`;
}
