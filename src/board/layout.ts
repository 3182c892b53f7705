/** Where everything lives on a board: the same numbers as firmware-fixtures/port/layout.h. */
export const LAYOUT = {
  /** Bytes of flash that are used; offsets count from its start. */
  flashSize: 0x100000,
  /** Bytes erased at once. */
  sector: 0x1000,
  slotSize: 0x20000,
  maxImages: 2,
  settings: { offset: 0x80000, size: 0x4000 },
  files: { offset: 0x90000, size: 0x10000 },
  counters: { offset: 0xa0000, size: 0x2000 },
  provision: { offset: 0xa2000, size: 0x1000 },
  /** Header of the fixture images; the bootloader takes any size. */
  imageHeaderSize: 0x200,
  /** What QEMU insists on for the file behind the PSRAM; the flash is its beginning. */
  qemuFileSize: 0x1000000,
} as const;

/** Where a slot begins. */
export function slotOffset(image: number, slot: number): number {
  return (image * 2 + slot) * LAYOUT.slotSize;
}
