"""Makes test/vectors/image/lzma2.json and elf-files.json (see the README there).

Usage: python3 image-make-file-vectors.py VECTOR_FOLDER
Needs Python's lzma (liblzma), arm-none-eabi-gcc and gcc with their binutils.
"""
import base64
import gzip
import hashlib
import json
import lzma
import os
import subprocess
import sys
import tempfile

OUT = sys.argv[1]


def payload(name):
    if "+" in name:
        zeros, rest = name.split("+")
        return bytes(int(zeros[1:])) + payload(rest)
    size = int(name[1:])
    if name[0] == "t":
        return b"".join(bytes([i * 13 & 255, 0xF0 | i >> 8 & 7, i * 7 & 255, 0xF8 | i >> 5 & 7])
                        for i in range(size // 4))
    if name[0] == "s":
        return b"".join(hashlib.sha256(f"s:{i}".encode()).digest() for i in range(size // 32 + 1))[:size]
    return bytes((i * 7 + (i >> 8)) & 0xFF if size > 256 else i for i in range(size))


def lzma_rows():
    rows = []
    plain = {"p3000": {}, "t6000": {}, "z2200000+p64": {}, "s3000": {}, "p1": {},
             "p3001": {"lc": 0, "lp": 0, "pb": 0}, "t6004": {"lc": 0, "lp": 4, "pb": 4}, "p70000": {"lc": 4, "lp": 0, "pb": 1}}
    for name, other in plain.items():
        for thumb in (False, True):
            settings = {"preset": 9, "dict_size": 131072, "lc": 3, "lp": 1, "pb": 2, **other}
            filters = [{"id": lzma.FILTER_LZMA2, **settings}]
            if thumb:
                filters.insert(0, {"id": lzma.FILTER_ARMTHUMB})
            packed = lzma.compress(payload(name), format=lzma.FORMAT_RAW, filters=filters)
            rows.append({"of": name, "thumb": thumb, "packed": base64.b64encode(packed).decode()})
    # Stored and packed chunks by turns, as no encoder of one piece gives them.
    mixed = payload("s200000")[:3000] + payload("p70000") + payload("s3000")
    rows.append({"of": "mixed", "thumb": False, "sha256": hashlib.sha256(mixed).hexdigest(), "length": len(mixed),
                 "packed": base64.b64encode(lzma.compress(mixed, format=lzma.FORMAT_RAW, filters=[
                     {"id": lzma.FILTER_LZMA2, "preset": 0}])).decode()})
    return rows


SOURCE = """
__attribute__((section(".vectors"))) const unsigned vectors[4] = {0x20002000, 0x8201, 0x11, 0x22};
volatile int counter = 0x1234; volatile int zeros[8];
__attribute__((section(".text"))) int main(void) { return counter + zeros[2]; }
__attribute__((section(".far"))) const char far[] = "behind a gap";
"""
TWO_MEMORIES = """
MEMORY { FLASH (rx): ORIGIN = 0x8000, LENGTH = 0x8000  RAM (rw): ORIGIN = 0x20000000, LENGTH = 0x2000 }
SECTIONS {
  .rom : { . = . + 0x40; KEEP(*(.vectors)) *(.text*) } > FLASH
  .data : { *(.data*) } > RAM AT> FLASH
  .bss (NOLOAD): { *(.bss*) } > RAM
  .far 0x8200 : { KEEP(*(.far)) } > FLASH
  /DISCARD/ : { *(.ARM.*) *(.comment) *(.note*) *(.eh_frame) }
}
"""
HEADERS_LOADED = """
SECTIONS {
  . = 0x8000 + SIZEOF_HEADERS; .text : { *(.vectors) *(.text*) *(.far) *(.data*) } .bss : { *(.bss*) }
  /DISCARD/ : { *(.ARM.*) *(.comment) *(.note*) *(.eh_frame) }
}
"""


def elf_rows():
    arm = ["arm-none-eabi-", "-mcpu=cortex-m3", "-mthumb"]
    kinds = [
        ("Cortex-M, data loaded behind the code, a gap", arm, TWO_MEMORIES, 0x8000),
        ("the same, big-endian", [*arm, "-mbig-endian"], TWO_MEMORIES, 0x8000),
        ("the first segment begins with the ELF header", arm, HEADERS_LOADED, None),
        ("64-bit", ["", "-fno-pic", "-no-pie", "-fno-asynchronous-unwind-tables"], TWO_MEMORIES.replace("0x20002000", "0"), 0x8000),
    ]
    rows = []
    for name, (prefix, *flags), script, address in kinds:
        folder = tempfile.mkdtemp()
        at = lambda file: os.path.join(folder, file)
        for file, text in (("a.c", SOURCE), ("a.ld", script)):
            with open(at(file), "w") as f:
                f.write(text)
        subprocess.run([prefix + "gcc", *flags, "-nostdlib", "-Os", "-T", at("a.ld"), "-Wl,--build-id=none",
                        "-Wl,-z,max-page-size=64", "-e", "main", at("a.c"), "-o", at("a.elf")], check=True)
        subprocess.run([prefix + "strip", at("a.elf")], check=True)
        subprocess.run([prefix + "objcopy", "--gap-fill", "0xff", "-O", "binary", at("a.elf"), at("a.bin")], check=True)
        subprocess.run([prefix + "objcopy", "-O", "ihex", at("a.elf"), at("a.hex")], check=True)
        read = lambda file: open(at(file), "rb").read()
        pack = lambda content: base64.b64encode(gzip.compress(content, mtime=0)).decode()
        rows.append({"name": name, "elf": pack(read("a.elf")), "binary": pack(read("a.bin")), "hex": pack(read("a.hex"))})
    return rows


def version(command):
    return subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def dump(name, value):
    with open(os.path.join(OUT, name), "w") as f:
        rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in value["rows"])
        f.write(f'{{\n"made_by": {json.dumps(value["made_by"])},\n"rows": [\n{rows}\n]\n}}\n')


xz = subprocess.run(["xz", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
dump("lzma2.json", {"made_by": f"liblzma {xz} by Python", "rows": lzma_rows()})
dump("elf-files.json", {"made_by": version("arm-none-eabi-objcopy"), "rows": elf_rows()})
