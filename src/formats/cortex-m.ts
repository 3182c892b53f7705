import { ORDER } from "../bytes.js";

/** The first two words of a vector table of Arm's M profile (Armv7-M, section B1.5.2): where a core starts. */
export interface Vectors {
  /** Initial stack pointer. */
  readonly stack: number;
  /** Reset vector, with its Thumb bit. */
  readonly entry: number;
  /** Where in the bytes the table begins. */
  readonly offset: number;
}

/**
 * The stack and entry at `offset`, when they can be those of a vector table: a stack in RAM, aligned to a word, and an
 * entry with the Thumb bit. Undefined for anything else, other architectures too.
 */
export function vectorsAt(bytes: Uint8Array, offset = 0): Vectors | undefined {
  if (offset + 8 > bytes.length) return undefined;
  const [stack, entry] = [ORDER.little.u32(bytes, offset), ORDER.little.u32(bytes, offset + 4)];
  return isStack(stack) && isCode(entry) ? { stack, entry, offset } : undefined;
}

/** The most zeros that are looked over: a header's room, and a table's alignment. */
const MOST_ZEROS = 0x1_0000;

/**
 * The vector table at the start of the bytes, or behind nothing but zeros, where a build leaves room for a header. More
 * than two words must look like one, since nothing says that these bytes are firmware at all.
 */
export function findVectors(bytes: Uint8Array): Vectors | undefined {
  const first = bytes.subarray(0, MOST_ZEROS).findIndex((byte) => byte !== 0);
  const offset = first - (first % 4);
  if (first < 0 || offset + 64 > bytes.length) return undefined;
  const handler = (index: number) => ORDER.little.u32(bytes, offset + 4 * index);
  // NMI and HardFault exist on every core; what a core does not have is 0.
  const areHandlers =
    [2, 3].map(handler).every(isCode) &&
    [4, 5, 6, 11, 12, 14, 15].map(handler).every((address) => address === 0 || isCode(address));
  return areHandlers ? vectorsAt(bytes, offset) : undefined;
}

/** Where chips have RAM that a stack starts in: tightly coupled, internal, on the code bus. */
function isStack(address: number): boolean {
  return address >= 0x0400_0000 && address < 0x4000_0000 && address % 4 === 0;
}

/** Flash, external flash or RAM, with the Thumb bit. */
function isCode(address: number): boolean {
  return address % 2 === 1 && address >= 0x40 && address < 0xe000_0000;
}

/** Address ranges that only one core of a chip sees: firmware for it starts on no other. Sizes in bytes. */
const OTHER_CORES = [
  {
    core: "nRF5340's network core",
    flash: { start: 0x0100_0000, size: 0x4_0000 },
    ram: { start: 0x2100_0000, size: 0x1_0000 },
  },
  {
    core: "nRF54H20's radio core",
    flash: { start: 0x0e00_0000, size: 0x20_0000 },
    ram: { start: 0x2300_0000, size: 0x3_0000 },
  },
] as const;

/** The core that these vectors are meant for, when their addresses belong to one core of a chip alone. */
export function otherCoreOf({ stack, entry }: Vectors): string | undefined {
  const isIn = (address: number, { start, size }: { start: number; size: number }) =>
    address >= start && address <= start + size;
  return OTHER_CORES.find(({ flash, ram }) => isIn(entry, flash) && isIn(stack, ram))?.core;
}
