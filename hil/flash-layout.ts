import {
  type BoardVariant,
  type FlashArea,
  GEOMETRIES,
  type Geometry,
  type Machine,
  sectorCount,
} from "bootproof/boards";
import { bootMagic, type MaxAlign, type SlotGeometry, trailerLayout } from "bootproof/mcuboot";
import type { LayoutFacts } from "./board-files/board-entry.js";

/** How a board's flash is divided, and what its bootloader was built with; sizes in bytes. */
export interface FlashLayout {
  readonly flashSize: number;
  /** By image, then slot. */
  readonly slots: readonly (readonly [FlashArea, FlashArea])[];
  readonly writeUnit: number;
  readonly maxAlign: MaxAlign;
  readonly maxSectors: number;
  /** What an erased byte reads as. */
  readonly erased: 0 | 0xff;
  /** Of one content key as the trailer saves it; 0 without encryption. */
  readonly savedKeySize: number;
  /** Where the flash begins for the processor, where that is known. */
  readonly address?: number;
}

/** Where an image is put. */
export interface Place {
  readonly image: number;
  readonly slot: 0 | 1;
}

/** Where the flash of our boards begins. WebAssembly knows no addresses: there offsets stand for them. */
const FLASH_ADDRESS = { wasm: 0, qemu: 0x2100_0000 } as const;

/** Of an emulated board. */
export function layoutOf(variant: BoardVariant, machine: Machine): FlashLayout {
  const { flashSize, slots }: Geometry = GEOMETRIES[variant.geometry ?? "even"];
  const { writeUnit, decryption } = variant;
  return {
    flashSize,
    slots,
    writeUnit,
    maxAlign: alignFor(writeUnit),
    maxSectors: sectorCount(slots[0]![0]),
    erased: variant.erased ?? 0xff,
    savedKeySize: decryption === undefined ? 0 : decryption.aesBits / 8,
    address: FLASH_ADDRESS[machine],
  };
}

/** Of a board whose board file says how its flash is laid out: slots of one size, one after the other. */
export function layoutFrom({ slotSize, sector, writeUnit, maxSectors }: LayoutFacts): FlashLayout {
  const area = (index: number): FlashArea => ({
    offset: index * slotSize,
    size: slotSize,
    first: 0,
    firstCount: 0,
    rest: sector,
  });
  return {
    flashSize: 4 * slotSize,
    slots: [
      [area(0), area(1)],
      [area(2), area(3)],
    ],
    writeUnit,
    maxAlign: alignFor(writeUnit),
    maxSectors,
    erased: 0xff,
    savedKeySize: 0,
  };
}

function alignFor(writeUnit: number): MaxAlign {
  return writeUnit <= 8 ? 8 : writeUnit <= 16 ? 16 : 32;
}

export function areaOf({ slots }: FlashLayout, { image, slot }: Place): FlashArea {
  const area = slots[image]?.[slot];
  if (!area) throw new RangeError(`The board has no slot ${slot} of image ${image}.`);
  return area;
}

/** Size of an area's first sector. */
export function firstSector({ first, firstCount, rest }: FlashArea): number {
  return firstCount > 0 ? first : rest;
}

/** What the bounds of the largest image are computed from. The trailer lies in the last sectors. */
export function geometryOf(layout: FlashLayout, image = 0): SlotGeometry {
  const [primary, secondary] = layout.slots[image]!;
  return {
    primarySize: primary.size,
    secondarySize: secondary.size,
    sectorSize: primary.rest,
    writeSize: layout.writeUnit,
    maxAlign: layout.maxAlign,
    maxSectors: layout.maxSectors,
    encryptionKeySize: layout.savedKeySize,
  };
}

/** A trailer's magic alone asks for a trial boot; with image_ok the image is there to stay. */
export type Request = "none" | "test" | "permanent";

export interface SlotContent {
  /** The image begins here; 0 unless updates begin in the second sector. */
  readonly begins: number;
  readonly request: Request;
}

/** The bytes of a whole slot: an image, nothing behind it, and what is asked for in the trailer. */
export function slotBytes(
  layout: FlashLayout,
  place: Place,
  file: Uint8Array,
  { begins, request }: SlotContent,
): Uint8Array {
  const { size } = areaOf(layout, place);
  const bytes = new Uint8Array(size).fill(layout.erased);
  bytes.set(file.subarray(0, size - begins), begins);
  if (request === "none") return bytes;
  const { magic, imageOk } = trailerLayout(layout.maxAlign);
  bytes.set(bootMagic(layout.maxAlign), size - magic);
  if (request === "permanent") bytes[size - imageOk] = 1;
  return bytes;
}
