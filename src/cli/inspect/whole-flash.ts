import type { Segment } from "../../formats/intel-hex.js";
import { type DumpFindings, findImages } from "../../mcuboot/find-images.js";
import { erasedValueOfDump } from "../../mcuboot/slot.js";
import { maxAlignOfMagic } from "../../mcuboot/trailer.js";
import type { Context } from "../verb-context.js";
import { dumpRegions } from "./draw-map.js";
import { describeFindings, drawFlash } from "./flash-page.js";
import type { InspectOptions } from "./options.js";

/** Images that do not begin where the file does, or several: then the file is more than an image or a slot. */
export function isWholeFlash(
  bytes: Uint8Array,
  { images, slotEnds }: DumpFindings,
  { slots, slot, secondary, sectorSize }: InspectOptions,
): boolean {
  const [first, ...more] = images;
  if (slots !== undefined || slot || secondary !== undefined || !first) return false;
  if (first.offset === 0) return more.length > 0 && (!isFilledUp(bytes) || slotEnds.length > 1);
  return more.length > 0 || first.offset !== sectorSize;
}

/** A dump whose slots nobody named: what there is, and how to name them. */
export function inspectFlash(
  file: string,
  segments: readonly Segment[],
  { erased }: InspectOptions,
  { out }: Context,
): void {
  const parts = segments.map(({ address, bytes }) => {
    const findings = findImages(bytes);
    const map = dumpRegions(bytes, findings, erased ?? erasedValueOfDump(bytes));
    return { findings: shifted(findings, address), map: map.map((region) => moved(region, address)) };
  });
  const findings: DumpFindings = {
    images: parts.flatMap((part) => part.findings.images),
    slotEnds: parts.flatMap((part) => part.findings.slotEnds),
    slots: parts.flatMap((part) => part.findings.slots),
  };
  const maps = parts.map(({ map }) => map);
  const size = segments.reduce((sum, { bytes }) => sum + bytes.length, 0);
  out.result(
    { file, fileSize: size, ...describeFindings(findings), map: maps.flat() },
    drawFlash(file, size, findings, maps),
  );
}

/** Offsets become addresses. */
function shifted({ images, slotEnds, slots }: DumpFindings, address: number): DumpFindings {
  return {
    images: images.map((one) => moved(one, address)),
    slotEnds: slotEnds.map((one) => moved(one, address)),
    slots: slots.map((one) => moved(one, address)),
  };
}

function moved<T extends { readonly offset: number }>(thing: T, by: number): T {
  return { ...thing, offset: thing.offset + by };
}

/** A trailer's magic at the end, behind an image: a slot, or a file made with --pad, which is one too. */
export function isFilledUp(bytes: Uint8Array): boolean {
  return maxAlignOfMagic(bytes) !== undefined;
}
