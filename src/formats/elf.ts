import { ORDER, take } from "../bytes.js";
import { BootproofError } from "../errors.js";
import type { Segment } from "./intel-hex.js";

export type ElfErrorCode =
  /** Does not begin with ELF's magic. */
  | "not-elf"
  /** An ELF file of a kind that is not read: a class, byte order or version that does not exist. */
  | "unsupported-elf"
  /** A table or segment lies outside the file. */
  | "broken-elf"
  /** Nothing in it is to be loaded. */
  | "nothing-to-load";

/** An ELF file that cannot be read. `offset` is where in the file. */
export class ElfError extends BootproofError {
  declare readonly code: ElfErrorCode;
  readonly offset: number;

  constructor(code: ElfErrorCode, offset: number, message: string) {
    super(code, message);
    this.offset = offset;
  }
}

const PT_LOAD = 1;
const SHT_NOBITS = 8;
const SHF_ALLOC = 2;

/**
 * Does a file begin as ELF does?
 *
 * @param bytes - the beginning of a file is enough
 * @returns true for ELF's magic
 */
export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && ORDER.big.u32(bytes, 0) === 0x7f45_4c46;
}

/** Machines of ELF (e_machine) that firmware and its host builds are made for, by their names in the gABI. */
const MACHINES: Readonly<Record<number, string>> = {
  3: "x86 (32 bits)",
  8: "MIPS",
  40: "Arm (32 bits)",
  62: "x86-64",
  83: "AVR",
  93: "ARC",
  94: "Xtensa",
  105: "MSP430",
  113: "Nios II",
  183: "AArch64",
  195: "ARCv2",
  243: "RISC-V",
};

/**
 * What machine an ELF file is for; undefined when it is no ELF file, or a number instead of a name when none is
 * known.
 *
 * @param bytes - at least the first 20 of the file
 * @returns like `Arm (32 bits)`, `RISC-V` or `machine 247`
 */
export function elfMachine(bytes: Uint8Array): string | undefined {
  if (!isElf(bytes) || bytes.length < 20) return undefined;
  const machine = ORDER[bytes[5] === 2 ? "big" : "little"].u16(bytes, 18);
  return MACHINES[machine] ?? `machine ${machine}`;
}

/**
 * Is it for a processor that MCUboot runs on? A build for the host (native_sim) is for x86.
 *
 * @param bytes - at least the first 20 of the file
 * @returns true for x86 of 32 and of 64 bits
 */
export function isElfForHost(bytes: Uint8Array): boolean {
  const machine = elfMachine(bytes);
  return machine === MACHINES[3] || machine === MACHINES[62];
}

/**
 * What a programmer would write to flash: the loadable segments at their physical addresses, in the order of
 * addresses. Of a segment only the part with sections counts, as in `objcopy -O binary`: linkers let the first one
 * begin with the ELF header itself.
 *
 * @param bytes - the whole file
 * @returns physical addresses in bytes; at least one
 * @throws {@link ElfError}
 */
export function parseElf(bytes: Uint8Array): Segment[] {
  const file = openElf(bytes);
  const sections = readSections(file);
  const segments = readTable(file, file.programs, (at) => programAt(file, at))
    .filter(({ type, fileSize }) => type === PT_LOAD && fileSize > 0)
    .flatMap((program) => loaded(file, program, sections) ?? []);
  if (segments.length === 0)
    throw new ElfError("nothing-to-load", 0, "This ELF file has no loadable segments.");
  const sorted = segments.toSorted((a, b) => a.address - b.address);
  sorted.forEach(({ address }, index) => {
    const before = sorted[index - 1];
    if (before && before.address + before.bytes.length > address)
      throw new ElfError(
        "broken-elf",
        0,
        `Two segments of this ELF file cover address 0x${address.toString(16)}.`,
      );
  });
  return sorted;
}

interface Table {
  readonly offset: number;
  readonly entrySize: number;
  readonly count: number;
}

interface ElfFile {
  readonly bytes: Uint8Array;
  readonly wide: boolean;
  readonly u16: (offset: number) => number;
  readonly u32: (offset: number) => number;
  /** An address, offset or size: four or eight bytes. */
  readonly word: (offset: number) => number;
  readonly programs: Table;
  readonly sections: Table;
}

function openElf(bytes: Uint8Array): ElfFile {
  if (!isElf(bytes)) throw new ElfError("not-elf", 0, "Not an ELF file.");
  if (bytes.length < 52)
    throw new ElfError("broken-elf", bytes.length, "The ELF file is truncated inside its header.");
  const [, , , , elfClass, data] = bytes;
  if ((elfClass !== 1 && elfClass !== 2) || (data !== 1 && data !== 2))
    throw new ElfError("unsupported-elf", 4, `ELF of class ${elfClass} and data ${data}: neither exists.`);
  const wide = elfClass === 2;
  if (wide && bytes.length < 64)
    throw new ElfError("broken-elf", bytes.length, "The ELF file is truncated inside its header.");
  const order = ORDER[data === 1 ? "little" : "big"];
  const u16 = (offset: number) => order.u16(bytes, offset);
  const u32 = (offset: number) => order.u32(bytes, offset);
  const word = (offset: number) => {
    if (!wide) return u32(offset);
    const [low, high] = data === 1 ? [u32(offset), u32(offset + 4)] : [u32(offset + 4), u32(offset)];
    return high * 2 ** 32 + low;
  };
  const [tables, counts] = wide ? [32, 54] : [28, 42];
  return {
    bytes,
    wide,
    u16,
    u32,
    word,
    programs: { offset: word(tables), entrySize: u16(counts), count: u16(counts + 2) },
    sections: { offset: word(tables + (wide ? 8 : 4)), entrySize: u16(counts + 4), count: u16(counts + 6) },
  };
}

function readTable<T>(
  { bytes, wide }: ElfFile,
  table: Table,
  read: (offset: number) => T,
  section = false,
): T[] {
  if (table.count === 0) return [];
  const smallest = section ? (wide ? 64 : 40) : wide ? 56 : 32;
  const end = table.offset + table.entrySize * table.count;
  if (table.entrySize < smallest || end > bytes.length)
    throw new ElfError(
      "broken-elf",
      Math.min(table.offset, bytes.length),
      "A table of this ELF file lies outside it.",
    );
  return Array.from({ length: table.count }, (_, index) => read(table.offset + index * table.entrySize));
}

interface Program {
  readonly at: number;
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
}

function programAt({ u32, word, wide }: ElfFile, at: number): Program {
  // 64-bit ELF has the flags second, so that the wide words stay aligned.
  const [offset, address, fileSize] = wide ? [8, 24, 32] : [4, 12, 16];
  return {
    at,
    type: u32(at),
    offset: word(at + offset),
    address: word(at + address),
    fileSize: word(at + fileSize),
  };
}

interface Stretch {
  readonly offset: number;
  readonly end: number;
}

/** Allocated sections that have bytes in the file. */
function readSections(file: ElfFile): Stretch[] {
  const { u32, word, wide } = file;
  const read = (at: number) => {
    const offset = word(at + (wide ? 24 : 16));
    const size = word(at + (wide ? 32 : 20));
    const there = u32(at + 4) !== SHT_NOBITS && (word(at + 8) & SHF_ALLOC) !== 0 && size > 0;
    return there ? [{ offset, end: offset + size }] : [];
  };
  return readTable(file, file.sections, read, true).flat();
}

function loaded(
  { bytes, sections: table }: ElfFile,
  program: Program,
  sections: readonly Stretch[],
): Segment | undefined {
  const { at, offset, fileSize, address } = program;
  const end = offset + fileSize;
  if (end > bytes.length)
    throw new ElfError(
      "broken-elf",
      at,
      `The segment at 0x${address.toString(16)} lies outside the ELF file.`,
    );
  if (address + fileSize > 2 ** 32)
    throw new ElfError("broken-elf", at, "A segment of this ELF file is beyond the 32-bit address space.");
  const inside = sections.filter((section) => section.offset >= offset && section.end <= end);
  if (table.count > 0 && inside.length === 0) return undefined;
  const first = inside.reduce(
    (lowest, section) => Math.min(lowest, section.offset),
    inside.length > 0 ? end : offset,
  );
  const last = inside.reduce(
    (highest, section) => Math.max(highest, section.end),
    inside.length > 0 ? offset : end,
  );
  return { address: address + first - offset, bytes: take(bytes, first, last - first) };
}
