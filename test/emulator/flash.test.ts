import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equal, isFilledWith } from "../../src/bytes.js";
import {
  FLASH_ERR_NOT_ERASED,
  FLASH_ERR_PROTECTED,
  FLASH_ERR_RANGE,
  FLASH_OK,
  Flash,
  PowerCut,
} from "../../src/emulator/flash.js";

const SHAPE = { size: 0x8000, sector: 0x1000, writeUnit: 4 };
const WORD = Uint8Array.of(1, 2, 3, 4);

function erased(length: number): Uint8Array {
  return new Uint8Array(length).fill(0xff);
}

describe("NOR flash", () => {
  it("is erased when new, and reads back what was written", () => {
    const flash = new Flash(SHAPE);
    expect(flash.write(8, WORD)).toBe(FLASH_OK);
    const read = new Uint8Array(12);
    expect(flash.read(4, read)).toBe(FLASH_OK);
    expect([...read]).toEqual([255, 255, 255, 255, 1, 2, 3, 4, 255, 255, 255, 255]);
  });

  it.each([
    ["an offset that is not a multiple of the write unit", 2, 4],
    ["a length that is not", 4, 6],
    ["an end outside", 0x7ffc, 8],
    ["an offset outside", 0x9000, 4],
  ])("refuses to write at %s", (_, offset, length) => {
    const flash = new Flash(SHAPE);
    expect(flash.write(offset, new Uint8Array(length))).toBe(FLASH_ERR_RANGE);
    expect(flash.operations).toBe(0);
    expect(isFilledWith(flash.bytes, 0xff)).toBe(true);
  });

  it.each([
    [0x800, 0x1000],
    [0, 0x800],
    [0x7000, 0x2000],
  ])("refuses to erase at %i, length %i", (offset, length) => {
    expect(new Flash(SHAPE).erase(offset, length)).toBe(FLASH_ERR_RANGE);
  });

  it("refuses a read that leaves it", () => {
    expect(new Flash(SHAPE).read(0x7fff, new Uint8Array(2))).toBe(FLASH_ERR_RANGE);
    expect(new Flash(SHAPE).read(0xffffffff, new Uint8Array(2))).toBe(FLASH_ERR_RANGE);
  });

  it("refuses a write over bytes that are not erased, and counts it", () => {
    const flash = new Flash(SHAPE);
    flash.write(0, WORD);
    expect(flash.write(0, erased(4))).toBe(FLASH_ERR_NOT_ERASED);
    expect(flash.bytes.subarray(0, 4)).toEqual(WORD);
    expect([flash.operations, flash.writesOverUnerased]).toEqual([1, 1]);
  });

  it("clears bits instead when it is bare NOR", () => {
    const flash = new Flash({ ...SHAPE, overwrite: "clear-bits" });
    flash.write(0, Uint8Array.of(0xf0, 0x0f, 0xff, 0xff));
    expect(flash.write(0, Uint8Array.of(0x3c, 0x3c, 0xff, 0x00))).toBe(FLASH_OK);
    expect([...flash.bytes.subarray(0, 4)]).toEqual([0x30, 0x0c, 0xff, 0x00]);
    expect([flash.operations, flash.writesOverUnerased]).toEqual([2, 1]);
  });

  it("locks a range for writes and erases until a reset", () => {
    const flash = new Flash(SHAPE);
    flash.write(0x1000, WORD);
    flash.protect(0x1000, 0x1000);
    expect(flash.write(0x1ffc, WORD)).toBe(FLASH_ERR_PROTECTED);
    expect(flash.write(0x0ffc, concatWords(2))).toBe(FLASH_ERR_PROTECTED);
    expect(flash.erase(0, 0x3000)).toBe(FLASH_ERR_PROTECTED);
    expect([flash.write(0x0ffc, WORD), flash.write(0x2000, WORD)]).toEqual([FLASH_OK, FLASH_OK]);
    flash.unprotect();
    expect(flash.erase(0x1000, 0x1000)).toBe(FLASH_OK);
  });

  it("counts one operation per write and one per erased sector", () => {
    const flash = new Flash(SHAPE);
    flash.write(0, concatWords(16));
    flash.erase(0, 0x3000);
    flash.write(0, new Uint8Array(0));
    expect(flash.operations).toBe(4);
  });
});

describe("power that fails", () => {
  it("before a write leaves nothing of it, in the middle its first half", () => {
    for (const [kind, left] of [
      ["before", []],
      ["half-done", [1, 2]],
    ] as const) {
      const flash = new Flash(SHAPE);
      flash.write(0x100, WORD);
      flash.cutAt(2, kind);
      flash.write(0x104, WORD);
      expect(() => flash.write(0x200, WORD)).toThrow(PowerCut);
      expect([...flash.bytes.subarray(0x200, 0x204)]).toEqual([...left, ...erased(4 - left.length)]);
      expect(flash.write(0x200 + 4, WORD)).toBe(FLASH_OK);
    }
  });

  it("in the middle of an erase leaves the second half of that sector, and the sectors behind it", () => {
    const flash = new Flash(SHAPE);
    flash.program(0, new Uint8Array(0x3000));
    flash.cutAt(2, "half-done");
    expect(() => flash.erase(0, 0x3000)).toThrow(PowerCut);
    expect(flash.bytes.indexOf(0)).toBe(0x1800);
    expect(flash.bytes.subarray(0x1800, 0x3000)).toEqual(new Uint8Array(0x1800));
  });

  it("can be called off", () => {
    const flash = new Flash(SHAPE);
    flash.cutAt(1);
    flash.cutNever();
    expect(flash.write(0, WORD)).toBe(FLASH_OK);
  });
});

it("tells a sink everything that changes, so that a copy stays equal", () => {
  const word = fc.integer({ min: 0, max: SHAPE.size / 4 - 1 }).map((index) => index * 4);
  const sector = fc.integer({ min: 0, max: 7 }).map((index) => index * 0x1000);
  const act = fc.oneof(
    fc.record({ do: fc.constant("write" as const), at: word }),
    fc.record({ do: fc.constant("erase" as const), at: sector }),
    fc.record({ do: fc.constant("program" as const), at: word }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), fc.integer({ min: 1, max: 60 }), (acts, cut) => {
      const copy = erased(SHAPE.size);
      const flash = new Flash(SHAPE, { sink: (offset, bytes) => copy.set(bytes, offset) });
      flash.cutAt(cut, "half-done");
      for (const { do: what, at } of acts) {
        try {
          if (what === "erase") flash.erase(at, 0x1000);
          else flash[what](at, WORD);
        } catch (error) {
          expect(error).toBeInstanceOf(PowerCut);
        }
      }
      expect(equal(copy, flash.bytes)).toBe(true);
    }),
  );
});

function concatWords(count: number): Uint8Array {
  return new Uint8Array(count * 4).fill(0x5a);
}
