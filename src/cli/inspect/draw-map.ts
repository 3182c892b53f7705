import type { Image } from "../../image/image.js";
import type { Region } from "../../image/slot.js";
import { tone } from "../output.js";

/** Characters of a map from its left edge to its right. */
const WIDTH = 64;

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
 * character get one all the same: that they are there matters more than half a percent.
 */
export function drawMap(regions: readonly Region[]): string {
  const shown = regions.filter(({ length }) => length > 0);
  const total = shown.reduce((sum, { length }) => sum + length, 0);
  if (total === 0) return "";
  const widths = widthsOf(shown, total);
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

/** Rounded so that together they fill the bar: the widest region gives or takes what is over. */
function widthsOf(regions: readonly Region[], total: number): number[] {
  const widths = regions.map(({ length }) => Math.max(1, Math.round((WIDTH * length) / total)));
  const over = widths.reduce((sum, width) => sum + width, 0) - WIDTH;
  const widest = widths.indexOf(Math.max(...widths));
  widths[widest] = Math.max(1, widths[widest]! - over);
  return widths;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(6, "0")}`;
}
