import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import type { BoardProfile } from "../../src/profiles/profile.js";
import { stRomWriter } from "../../src/recovery/st-rom.js";
import {
  erasePages,
  go,
  identify,
  type Operation,
  readMemory,
  StRomError,
  writeMemory,
} from "../../src/st-rom/an3155.js";
import { chipFor, pagesFor, ST_CHIPS } from "../../src/st-rom/chips.js";
import { noPtyReason, openPty } from "../support/pipe-pty.js";
import { type EmulatedRom, emulateRom, pageSizes, type RomShape, romOnWire } from "../support/st-rom.js";

/** What an operation puts on the wire when every turn is answered as given. */
function spoken(operation: Operation<unknown>, answers: readonly string[]): string[] {
  const sent: string[] = [];
  let step = operation.next();
  for (const answer of answers) {
    if (step.done) break;
    if (step.value.send.length > 0) sent.push(toHex(step.value.send));
    expect(fromHex(answer).length).toBe(step.value.expect);
    step = operation.next(fromHex(answer));
  }
  expect(step.done).toBe(true);
  return sent;
}

const INFO = { version: 0x31, commands: [0x44], productId: 0x413 };

describe("the bytes are those of AN3155", () => {
  test("Read Memory: command, address and sum, count and its inverse", () => {
    expect(spoken(readMemory(0x08000000, 4), ["79", "79", "7901020304"])).toEqual([
      "11ee",
      "0800000008",
      "03fc",
    ]);
  });
  test("Write Memory: count, data, and the sum of both", () => {
    expect(spoken(writeMemory(0x08000100, fromHex("01020304")), ["79", "79", "79"])).toEqual([
      "31ce",
      "0800010009",
      "030102030407",
    ]);
  });
  test("Extended Erase of pages 2 and 258", () => {
    expect(spoken(erasePages([2, 258], INFO), ["79", "79"])).toEqual(["44bb", "00010002010200"]);
  });
  test("Erase, of ROMs that have only that", () => {
    expect(spoken(erasePages([4, 5], { ...INFO, commands: [0x43] }), ["79", "79"])).toEqual([
      "43bc",
      "01040500",
    ]);
  });
  test("Go", () => {
    expect(spoken(go(0x08000000), ["79", "79"])).toEqual(["21de", "0800000008"]);
  });
  test("Get and Get ID", () => {
    expect(spoken(identify(), ["79", "02", "31004479", "79", "01", "041379"])).toEqual(["00ff", "02fd"]);
  });
});

describe("what would do harm cannot be said", () => {
  test.each([[[]], [[0xffff]], [[0xfffe]], [[-1]]])("an erase of %j", (pages) => {
    expect(() => erasePages(pages, INFO).next()).toThrow(/cannot do this at once/);
  });
  test("an erase by one byte of page 255, which would mean all", () => {
    expect(() => erasePages([255], { ...INFO, commands: [0x43] }).next()).toThrow(/cannot do this at once/);
  });
  test("a chip whose pages are not known", () => {
    expect(() => chipFor(0x999)).toThrow(/not known here/);
  });
  test("pages outside the flash", () => {
    expect(() => pagesFor(chipFor(0x413), 0x0810_0000, 4)).toThrow(/are not in the flash/);
  });
});

test("the pages of an image are all that it touches", () => {
  const chip = chipFor(0x413);
  expect(pagesFor(chip, 0x0802_0000, 128 * 1024)).toEqual({ pages: [5], from: 0x0802_0000, to: 0x0804_0000 });
  expect(pagesFor(chip, 0x0800_c000, 0x4001)).toEqual({ pages: [3, 4], from: 0x0800_c000, to: 0x0802_0000 });
});

const profile = (address: number, size: number): BoardProfile => ({
  id: "own",
  name: "Own board",
  rom: { kind: "st", byHand: "Pull BOOT0 high." },
  slots: [
    { address, size },
    { address: address + size, size },
  ],
  sources: {},
});
const F4 = { productId: 0x413, pages: pageSizes(chipFor(0x413).pages), extendedErase: true };
const L4 = { productId: 0x435, pages: pageSizes(chipFor(0x435).pages), extendedErase: true };
const F1 = { productId: 0x410, pages: pageSizes(chipFor(0x410).pages) };
const image = Uint8Array.from({ length: 9001 }, (_, index) => (index * 7) & 0xff);

describe.each<[string, Omit<RomShape, "say">, number, number]>([
  ["sectors of an F4", F4, 0x0802_0000, 0x40000],
  ["pages of an L4, beside a bootloader", L4, 0x0800_c000, 0x8000],
  ["pages of an F1, with the old erase", F1, 0x0800_4000, 0x8000],
])("an image is written to %s", (_name, shape, address, size) => {
  test("and nothing else is erased", async () => {
    const { rom, open } = romOnWire(shape);
    rom.flash.fill(0x5a);
    const progress: number[] = [];
    const message = await stRomWriter(profile(address, size), { open })!.write(image, {
      onProgress: (done) => void progress.push(done),
    });
    const at = address - rom.flashBase;
    expect(rom.flash.subarray(at, at + image.length)).toEqual(image);
    const chip = chipFor(shape.productId);
    const taken = pagesFor(chip, address, image.length);
    // The page of the trailer goes too: what it said was of another image.
    const trailer = pagesFor(chip, address + size - 1, 1);
    expect(rom.erased).toEqual([...taken.pages, ...trailer.pages]);
    const untouched = rom.flash.map((byte, offset) => {
      const here = rom.flashBase + offset;
      const isErased = [taken, trailer].some(({ from, to }) => here >= from && here < to);
      return isErased ? 0x5a : byte;
    });
    expect(untouched.every((byte) => byte === 0x5a)).toBe(true);
    expect(rom.startedAt).toBe(rom.flashBase);
    expect(progress.at(-1)).toBe(image.length);
    expect(message).toContain(`${image.length} bytes`);
  });
});

describe("refused, or found out", () => {
  const write = (shape: Omit<RomShape, "say">, at: BoardProfile) => {
    const { rom, open } = romOnWire(shape);
    return { rom, result: stRomWriter(at, { open })!.write(image, {}) };
  };

  test("a slot that shares a sector with its neighbour, before anything is erased", async () => {
    const { rom, result } = write(F4, profile(0x0801_0000, 0x8000));
    await expect(result).rejects.toThrow(/would erase its neighbours/);
    expect(rom.erased).toEqual([]);
  });
  test("a chip with readout protection", async () => {
    const { rom, result } = write({ ...F4, isProtected: true }, profile(0x0802_0000, 0x40000));
    await expect(result).rejects.toMatchObject({ code: "nack", hint: expect.stringContaining("RDP") });
    expect(rom.erased).toEqual([]);
  });
  test("flash that does not take what is written", async () => {
    const { result } = write({ ...F4, deadFrom: 0x0802_1000 }, profile(0x0802_0000, 0x40000));
    await expect(result).rejects.toMatchObject({
      code: "not-written",
      message: expect.stringContaining("0x8021000"),
    });
  });
  test("a board that is not known to have this ROM has no such recovery method", () => {
    const { open } = romOnWire(F4);
    const { rom: _rom, ...other } = profile(0, 4096);
    expect(stRomWriter(other, { open })).toBeUndefined();
    expect(stRomWriter({ ...other, rom: { kind: "nordic-usb", byHand: "" } }, { open })).toBeUndefined();
  });
});

test("a cable pulled at any frame delays it: the next command goes on, or says that the chip has to be reset first", async () => {
  const ends = { "at once": 0, "after a reset": 0 };
  for (let pullAt = 0; ; pullAt += 37) {
    let frames = 0;
    const { rom, open } = romOnWire(L4, (bytes) => (frames++ === pullAt ? bytes.length : undefined));
    const writer = stRomWriter(profile(0x0800_c000, 0x8000), { open })!;
    const first = await writer.write(image, {}).catch((error: Error) => error.message);
    if (first !== "ROM went away.") break;
    const second = await writer.write(image, {}).catch((error: unknown) => error as StRomError);
    if (second instanceof StRomError) {
      // It was in the middle of a command, and waits for the rest of it: filling that up could erase something.
      expect(second).toMatchObject({
        code: "rom-bad-answer",
        hint: expect.stringContaining("reset it once more"),
      });
      rom.reset();
      await writer.write(image, {});
      ends["after a reset"]++;
    } else ends["at once"]++;
    expect(rom.flash.subarray(0xc000, 0xc000 + image.length)).toEqual(image);
  }
  expect(ends["at once"]).toBeGreaterThan(1);
  expect(ends["after a reset"]).toBeGreaterThan(1);
});

const noStm32flash =
  spawnSync("stm32flash", ["-h"]).error === undefined
    ? noPtyReason
    : "stm32flash is not installed (apt-get install stm32flash)";

/** The emulated ROM behind a terminal. stm32flash insists on the parity it set, which pseudo-terminals do not keep. */
async function romOnTerminal(shape: Omit<RomShape, "say">) {
  const pty = await openPty();
  onTestFinished(() => pty.unplug());
  const rom: EmulatedRom = emulateRom({ ...shape, say: (bytes) => pty.say(bytes) });
  let heard = 0;
  void pty.heard((all) => {
    rom.hear(all.subarray(heard));
    heard = all.length;
    return false;
  });
  const run = promisify(execFile);
  const judge = async (...args: string[]) =>
    (await run("stm32flash", ["-m", "8n1", ...args, pty.path])).stdout;
  return { rom, judge };
}

describe.skipIf(noStm32flash)("stm32flash from Debian judges the emulated ROM and our table of chips", () => {
  test.each(ST_CHIPS.map((chip) => [chip.name, chip] as const))("%s", async (_name, chip) => {
    const sizes = pageSizes(chip.pages);
    const { rom, judge } = await romOnTerminal({
      productId: chip.productId,
      pages: sizes,
      extendedErase: true,
    });
    const told = await judge();
    expect(told).toMatch(/Version\s+: 0x31/);
    expect(told).toContain(`0x0${chip.productId.toString(16)}`);
    const [, flash] = /Flash\s+: Up to (\d+)KiB/.exec(told)!;
    expect(Number(flash) * 1024).toBe(sizes.reduce((sum, size) => sum + size, 0));
    // All but the first page: every boundary between pages of two sizes is in it.
    const [from, length] = [chip.flashBase + sizes[0]!, Number(flash) * 1024 - sizes[0]!];
    await judge("-o", "-S", `0x${from.toString(16)}:${length}`);
    expect(rom.erased).toEqual(pagesFor(chip, from, length).pages);
  });

  test("it erases, writes and verifies; what it wrote is what we read", async () => {
    const home = mkdtempSync(join(tmpdir(), "st-rom-"));
    onTestFinished(() => rmSync(home, { recursive: true }));
    const file = join(home, "image.bin");
    writeFileSync(file, image);
    const { rom, judge } = await romOnTerminal(L4);
    rom.flash.fill(0x5a);
    const told = await judge("-w", file, "-v", "-S", "0x0800c000");
    expect(told).toMatch(/Wrote and verified address 0x0800e3/);
    expect(rom.flash.subarray(0xc000, 0xc000 + image.length)).toEqual(image);
    expect(rom.flash.subarray(0, 0xc000).every((byte) => byte === 0x5a)).toBe(true);
  });

  test("it reads back what we wrote", async () => {
    const home = mkdtempSync(join(tmpdir(), "st-rom-"));
    onTestFinished(() => rmSync(home, { recursive: true }));
    const { rom, open } = romOnWire(F4);
    await stRomWriter(profile(0x0802_0000, 0x40000), { open })!.write(image, {});
    const { rom: other, judge } = await romOnTerminal(F4);
    other.flash.set(rom.flash);
    const file = join(home, "back.bin");
    await judge("-r", file, "-S", `0x08020000:${image.length + 3}`);
    expect(new Uint8Array(readFileSync(file)).subarray(0, image.length)).toEqual(image);
  });
});
