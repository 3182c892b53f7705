/** Where everything lives on a board: the same numbers as firmware-fixtures/port/layout.h. */
export const LAYOUT = {
  /** Bytes of flash that are used by the geometry "even"; offsets count from its start. */
  flashSize: 0x100000,
  /** Bytes erased at once, outside the slots of other geometries than "even". */
  sector: 0x1000,
  /** Of the geometry "even". */
  slotSize: 0x20000,
  maxImages: 2,
  settings: { offset: 0x80000, size: 0x4000 },
  files: { offset: 0x90000, size: 0x10000 },
  counters: { offset: 0xa0000, size: 0x2000 },
  provision: { offset: 0xa2000, size: 0x1000 },
  /** RAM load: where images are loaded to, on every machine. */
  ram: { start: 0x20100000, size: 0x20000 },
  /** Header of the fixture images; the bootloader takes any size. */
  imageHeaderSize: 0x200,
  /** What QEMU insists on for the file behind the PSRAM; the flash is its beginning. */
  qemuFileSize: 0x1000000,
} as const;

/** A stretch of flash: `firstCount` sectors of `first` bytes, then sectors of `rest` bytes up to the end. */
export interface FlashArea {
  readonly offset: number;
  readonly size: number;
  readonly first: number;
  readonly firstCount: number;
  readonly rest: number;
}

export interface Geometry {
  /** The row's number in the provisioning sector. */
  readonly number: number;
  readonly flashSize: number;
  /** Of each image, its slots. */
  readonly slots: readonly (readonly [FlashArea, FlashArea])[];
  readonly scratch: FlashArea;
}

const KIB = 1024;
const area = (offset: number, size: number, rest: number, first = 0, firstCount = 0): FlashArea => ({
  offset,
  size,
  first,
  firstCount,
  rest,
});
const small = (offset: number, sectors = 32) => area(offset, sectors * 4 * KIB, 4 * KIB);

/** The slots and their sectors: the same rows as firmware-fixtures/port/geometry.c. */
export const GEOMETRIES = {
  even: {
    number: 0,
    flashSize: LAYOUT.flashSize,
    slots: [
      [small(0), small(0x20000)],
      [small(0x40000), small(0x60000)],
    ],
    scratch: small(0xb0000, 2),
  },
  /** Six sectors of 128 KiB a slot, as on STM32H7. */
  large: {
    number: 1,
    flashSize: 0x2a0000,
    slots: [[area(0x100000, 768 * KIB, 128 * KIB), area(0x1c0000, 768 * KIB, 128 * KIB)]],
    scratch: area(0x280000, 128 * KIB, 128 * KIB),
  },
  /** Small sectors first, and two slots that do not agree, as on STM32F4. */
  uneven: {
    number: 2,
    flashSize: LAYOUT.flashSize,
    slots: [[area(0, 128 * KIB, 64 * KIB, 16 * KIB, 4), area(0x20000, 128 * KIB, 64 * KIB)]],
    scratch: area(0xc0000, 64 * KIB, 64 * KIB),
  },
  /** A secondary of one sector more, for swap using offset. */
  "one-more": {
    number: 3,
    flashSize: LAYOUT.flashSize,
    slots: [[small(0), small(0x20000, 33)]],
    scratch: small(0xb0000, 2),
  },
} as const satisfies Record<string, Geometry>;
export type GeometryName = keyof typeof GEOMETRIES;

/** A slot of an image. Throws RangeError when the geometry has none for that image. */
export function slotArea(image: number, slot: number, geometry: GeometryName = "even"): FlashArea {
  const found = (GEOMETRIES[geometry] as Geometry).slots[image]?.[slot];
  if (!found) throw new RangeError(`The geometry "${geometry}" has no slot ${slot} of image ${image}.`);
  return found;
}

/**
 * How many sectors an area has.
 *
 * @param area - sizes in bytes
 * @returns a whole number
 */
export function sectorCount({ size, first, firstCount, rest }: FlashArea): number {
  return firstCount + (size - first * firstCount) / rest;
}

/** Where a slot begins. */
export function slotOffset(image: number, slot: number, geometry: GeometryName = "even"): number {
  return slotArea(image, slot, geometry).offset;
}

/** The sector that holds the byte at a flash offset: its start and its size. */
export function sectorAt(offset: number, geometry: GeometryName = "even"): { start: number; size: number } {
  const { slots, scratch }: Geometry = GEOMETRIES[geometry];
  const {
    offset: base,
    rest,
    first,
    firstCount,
  } = [...slots.flat(), scratch].find((one) => offset >= one.offset && offset < one.offset + one.size) ?? {
    offset: 0,
    rest: LAYOUT.sector,
    first: 0,
    firstCount: 0,
  };
  const within = offset - base;
  const restAt = first * firstCount;
  if (within < restAt) return { start: offset - (within % first), size: first };
  return { start: offset - ((within - restAt) % rest), size: rest };
}
