/** Where the one section lies in memory, and how finely sections are cut in the file. */
const SECTION = 0x1000;
const FILE_ALIGNMENT = 0x200;
const HEADER_SIZE = 240;
/** x86-64, an image that is a DLL and may be loaded above 4 GB. */
const MACHINE = 0x8664;
const CHARACTERISTICS = 0x2022;
const PE32_PLUS = 0x20b;

/**
 * A Windows library without a line of code: each of its functions is another library's. Wine 8 lacks one that Windows
 * has had since version 8, and that is all such a function needs (Microsoft's PE format, "The .edata Section": an export whose address lies
 * within the export directory is the name of another library's function).
 *
 * @param name - the library's own, `bcryptprimitives.dll`
 * @param functions - from the function's name to `library.function`
 */
export function forwarderDll(name: string, functions: Readonly<Record<string, string>>): Uint8Array {
  const exported = exportSection(name, functions);
  const size = Math.ceil(exported.length / FILE_ALIGNMENT) * FILE_ALIGNMENT;
  const file = Buffer.alloc(FILE_ALIGNMENT + size);
  file.write("MZ", "latin1");
  const signature = 0x40;
  file.writeUInt32LE(signature, 0x3c);
  file.write("PE\0\0", signature, "latin1");
  const coff = signature + 4;
  file.writeUInt16LE(MACHINE, coff);
  file.writeUInt16LE(1, coff + 2);
  file.writeUInt16LE(HEADER_SIZE, coff + 16);
  file.writeUInt16LE(CHARACTERISTICS, coff + 18);
  const header = coff + 20;
  file.writeUInt16LE(PE32_PLUS, header);
  file.writeBigUInt64LE(0x1_8000_0000n, header + 24);
  file.writeUInt32LE(SECTION, header + 32);
  file.writeUInt32LE(FILE_ALIGNMENT, header + 36);
  // Windows 6.0, as system and as subsystem; the size in memory and of the headers; a program with a console.
  file.writeUInt16LE(6, header + 40);
  file.writeUInt16LE(6, header + 48);
  file.writeUInt32LE(2 * SECTION, header + 56);
  file.writeUInt32LE(FILE_ALIGNMENT, header + 60);
  file.writeUInt16LE(3, header + 68);
  // Sixteen directories, of which the first is the exports.
  file.writeUInt32LE(16, header + 108);
  file.writeUInt32LE(SECTION, header + 112);
  file.writeUInt32LE(exported.length, header + 116);
  const section = header + HEADER_SIZE;
  file.write(".edata", section, "latin1");
  file.writeUInt32LE(exported.length, section + 8);
  file.writeUInt32LE(SECTION, section + 12);
  file.writeUInt32LE(size, section + 16);
  file.writeUInt32LE(FILE_ALIGNMENT, section + 20);
  // Data, which may be read.
  file.writeUInt32LE(0x4000_0040, section + 36);
  exported.copy(file, FILE_ALIGNMENT);
  return new Uint8Array(file);
}

function exportSection(library: string, functions: Readonly<Record<string, string>>): Buffer {
  const rows = Object.entries(functions).sort(([a], [b]) => (a < b ? -1 : 1));
  const addresses = 40;
  const names = addresses + 4 * rows.length;
  const ordinals = names + 4 * rows.length;
  const texts: Buffer[] = [];
  let end = ordinals + 2 * rows.length;
  const place = (text: string) => {
    const bytes = Buffer.from(`${text}\0`, "latin1");
    texts.push(bytes);
    end += bytes.length;
    return SECTION + end - bytes.length;
  };
  const head = Buffer.alloc(end);
  head.writeUInt32LE(place(library), 12);
  head.writeUInt32LE(1, 16);
  head.writeUInt32LE(rows.length, 20);
  head.writeUInt32LE(rows.length, 24);
  head.writeUInt32LE(SECTION + addresses, 28);
  head.writeUInt32LE(SECTION + names, 32);
  head.writeUInt32LE(SECTION + ordinals, 36);
  for (const [index, [name, target]] of rows.entries()) {
    head.writeUInt32LE(place(target), addresses + 4 * index);
    head.writeUInt32LE(place(name), names + 4 * index);
    head.writeUInt16LE(index, ordinals + 2 * index);
  }
  return Buffer.concat([head, ...texts]);
}
