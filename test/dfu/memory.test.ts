import { describe, expect, it } from "vitest";
import { memoryInWords, pagesToErase, readableFrom, readMemory } from "../../src/dfu/memory.js";

/** As the ROM of an STM32F407 names its memories (UM0424, and what dfu-util prints for it). */
const F4 = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg";
const OPTION_BYTES = "@Option Bytes  /0x1FFFC000/01*016 e";

describe("memories of ST's ROM", () => {
  it("reads sizes, units and rights", () => {
    const all = { isReadable: true, isErasable: true, isWritable: true };
    expect(readMemory(F4)).toEqual({
      name: "Internal Flash",
      regions: [
        { address: 0x08000000, pages: 4, pageSize: 0x4000, ...all },
        { address: 0x08010000, pages: 1, pageSize: 0x10000, ...all },
        { address: 0x08020000, pages: 7, pageSize: 0x20000, ...all },
      ],
    });
    expect(readMemory(OPTION_BYTES)!.regions).toEqual([
      { address: 0x1fffc000, pages: 1, pageSize: 16, isReadable: true, isErasable: false, isWritable: true },
    ]);
    expect(memoryInWords(readMemory(F4)!)).toBe("Internal Flash: 0x08000000 to 0x080fffff (1024 KiB)");
  });

  it.each([
    "Internal Flash",
    "@",
    "@Flash",
    "@Flash/0x08000000",
    "@Flash/0x08000000/",
    "@Flash/08000000/04*016Kg",
    "@Flash/0x08000000/04*016Kz",
    "@Flash/0x08000000/00*016Kg",
    "@Flash/0x08000000/04*000Kg",
    "@Flash/0xffffff00/99*999Mg",
    `@Flash/0x08000000/${"1*1Kg,".repeat(200)}1*1Kg`,
    "@Flash/0x08000000/04*016Kg/0x09000000",
  ])("does not believe %s", (name) => {
    expect(readMemory(name)).toBeUndefined();
  });

  it("finds the pages that are touched, over regions of different sizes", () => {
    const memory = readMemory(F4)!;
    expect(pagesToErase(memory, 0x08003fff, 2)).toEqual([0x08000000, 0x08004000]);
    expect(pagesToErase(memory, 0x0800c000, 0x4000)).toEqual([0x0800c000]);
    expect(pagesToErase(memory, 0x0800ffff, 0x10002)).toEqual([0x0800c000, 0x08010000, 0x08020000]);
  });

  it("refuses what is not declared as erasable and writable, to the byte", () => {
    const memory = readMemory(F4)!;
    expect(pagesToErase(memory, 0x080fffff, 1)).toEqual([0x080e0000]);
    expect(() => pagesToErase(memory, 0x080fffff, 2)).toThrow(/0x08100000 is not declared/);
    expect(() => pagesToErase(memory, 0x07ffffff, 2)).toThrow(/0x07ffffff is not declared/);
    expect(() => pagesToErase(readMemory(OPTION_BYTES)!, 0x1fffc000, 1)).toThrow(/not declared/);
  });

  it("knows how far can be read", () => {
    expect(readableFrom(readMemory(F4)!, 0x08000000)).toBe(0x100000);
    expect(readableFrom(readMemory(F4)!, 0x08100000)).toBe(0);
  });
});
