import { DfuError } from "./error.js";

/** Pages of equal size, one after the other. */
export interface Region {
  readonly address: number;
  readonly pages: number;
  readonly pageSize: number;
  readonly isReadable: boolean;
  readonly isErasable: boolean;
  readonly isWritable: boolean;
}

/** The memory behind one alternate setting of a DfuSe device, as its name declares it. */
export interface Memory {
  readonly name: string;
  readonly regions: readonly Region[];
}

const UNIT: Readonly<Record<string, number>> = { "": 1, " ": 1, B: 1, K: 1024, M: 1024 * 1024 };
const SECTOR = /^(\d{1,5})\*(\d{1,5})([ BKM]?)([a-g])$/;
const MOST_REGIONS = 64;
const ADDRESSES = 2 ** 32;

/**
 * Reads an alternate setting's name such as `@Internal Flash  /0x08000000/04*016Kg,01*064Kg` (UM0424, 4.3.2): count,
 * size with unit, and a letter whose low three bits say readable, erasable, writable. Undefined when it is not written
 * that way: a plain DFU device, or one that makes no sense.
 */
export function readMemory(text: string): Memory | undefined {
  if (!text.startsWith("@")) return undefined;
  const [name = "", ...parts] = text.slice(1).split("/");
  const regions: Region[] = [];
  for (let index = 0; index + 1 < parts.length; index += 2) {
    const more = readRegions(parts[index]!, parts[index + 1]!);
    if (!more || regions.length + more.length > MOST_REGIONS) return undefined;
    regions.push(...more);
  }
  return regions.length > 0 && parts.length % 2 === 0 ? { name: name.trim(), regions } : undefined;
}

function readRegions(addressText: string, list: string): Region[] | undefined {
  if (!/^\s*0x[0-9a-f]{1,8}\s*$/i.test(addressText)) return undefined;
  let address = Number.parseInt(addressText.trim(), 16);
  const regions: Region[] = [];
  for (const sector of list.split(",")) {
    const match = SECTOR.exec(sector.trim());
    if (!match) return undefined;
    const pages = Number(match[1]);
    const pageSize = Number(match[2]) * UNIT[match[3]!]!;
    const rights = match[4]!.charCodeAt(0) & 7;
    if (pages === 0 || pageSize === 0 || address + pages * pageSize > ADDRESSES) return undefined;
    const can = { isReadable: !!(rights & 1), isErasable: !!(rights & 2), isWritable: !!(rights & 4) };
    regions.push({ address, pages, pageSize, ...can });
    address += pages * pageSize;
  }
  return regions;
}

/**
 * First addresses of the pages that `length` bytes from `address` touch. Throws {@link DfuError} `dfu-memory` when a
 * byte of them lies outside what the device declares as erasable and writable.
 */
export function pagesToErase(memory: Memory, address: number, length: number): number[] {
  const pages: number[] = [];
  for (let at = address; at < address + length; ) {
    const region = regionAt(memory, at);
    if (!region?.isErasable || !region.isWritable) throw outside(memory, at, address, length);
    const page = at - ((at - region.address) % region.pageSize);
    pages.push(page);
    at = page + region.pageSize;
  }
  return pages;
}

/**
 * What is erased for an image in a slot: the pages that it touches, and the page at the slot's end, whose trailer would
 * otherwise tell MCUboot of the image that was there before. Throws {@link DfuError} `dfu-memory` when the image or a page
 * reaches out of the slot.
 */
export function slotPages(memory: Memory, slot: Slot, length: number): number[] {
  const end = slot.address + slot.size;
  if (length > slot.size)
    throw new DfuError("dfu-memory", `${length} bytes do not fit in the slot of ${slot.size} bytes.`);
  const [first] = pagesToErase(memory, slot.address, 1);
  const [last] = pagesToErase(memory, end - 1, 1);
  const { pageSize } = regionAt(memory, last!)!;
  if (first !== slot.address || last! + pageSize !== end) {
    throw new DfuError(
      "dfu-memory",
      `The slot from ${hex(slot.address)} to ${hex(end)} shares a page with its neighbours: erasing it would erase them too.`,
      { hint: "Slots must begin and end with a page of the chip: check the profile's slots." },
    );
  }
  return [...new Set([...pagesToErase(memory, slot.address, length), last!])];
}

/** True when both ends of the slot lie in memory that can be written. Option bytes and OTP are listed beside the flash. */
export function holdsSlot(memory: Memory, { address, size }: Slot): boolean {
  return [address, address + size - 1].every((at) => regionAt(memory, at)?.isWritable === true);
}

/** Where a slot lies in the memory map. */
export interface Slot {
  readonly address: number;
  readonly size: number;
}

/** Bytes that can be read in one piece from `address`, to the end of the memory that lies there. */
export function readableFrom(memory: Memory, address: number): number {
  let at = address;
  for (let region = regionAt(memory, at); region?.isReadable; region = regionAt(memory, at))
    at = region.address + region.pages * region.pageSize;
  return at - address;
}

/**
 * `Internal Flash: 0x08000000 to 0x0807ffff (512 KiB)`.
 *
 * @param memory - as a DfuSe interface names it
 * @returns in one line
 */
export function memoryInWords({ name, regions }: Memory): string {
  const first = regions[0]!;
  const bytes = regions.reduce((sum, { pages, pageSize }) => sum + pages * pageSize, 0);
  const last = regions.at(-1)!;
  const size = bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} bytes`;
  return `${name}: ${hex(first.address)} to ${hex(last.address + last.pages * last.pageSize - 1)} (${size})`;
}

export const hex = (address: number) => `0x${address.toString(16).padStart(8, "0")}`;

function regionAt({ regions }: Memory, address: number): Region | undefined {
  return regions.find(
    (region) => address >= region.address && address < region.address + region.pages * region.pageSize,
  );
}

function outside(memory: Memory, at: number, address: number, length: number): DfuError {
  return new DfuError(
    "dfu-memory",
    `${length} bytes at ${hex(address)} do not fit: ${hex(at)} is not declared as memory that can be erased and written.`,
    { hint: `The device declares ${memoryInWords(memory)}.` },
  );
}
