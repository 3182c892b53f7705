import { describe, expect, it } from "vitest";
import { toHex } from "../../src/bytes.js";
import { ImageError } from "../../src/mcuboot/header.js";
import { largestImage, trailerSize } from "../../src/mcuboot/largest-image.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { decideSwapType, isConfirmed } from "../../src/mcuboot/swap-type.js";
import {
  bootMagic,
  type FlagState,
  type MagicState,
  maxAlignOfMagic,
  parseTrailer,
  type TrailerState,
  trailerLayout,
} from "../../src/mcuboot/trailer.js";
import type { SwapMode } from "../../src/mcuboot/upgrade-modes.js";
import { vectorFile } from "../support/image-imgtool-args.js";

const SLOT = 4096;

/** A slot whose trailer holds exactly what these states say. */
function slotWith({ magic, imageOk, copyDone }: TrailerState): Uint8Array {
  const slot = new Uint8Array(SLOT).fill(0xff);
  const layout = trailerLayout(8);
  if (magic !== "unset") slot.set(bootMagic(magic === "good" ? 8 : 16), SLOT - layout.magic);
  const flag = (state: FlagState, at: number) => {
    if (state !== "unset") slot[SLOT - at] = state === "set" ? 0x01 : 0x05;
  };
  flag(imageOk, layout.imageOk);
  flag(copyDone, layout.copyDone);
  return slot;
}

/** Six nested loops in the order of the recordings: secondary outermost; each erased, good, bad. */
function allTrailers(): [primary: TrailerState, secondary: TrailerState][] {
  const states: TrailerState[] = [];
  const magics: MagicState[] = ["unset", "good", "bad"];
  const flags: FlagState[] = ["unset", "set", "bad"];
  for (const magic of magics)
    for (const imageOk of flags) for (const copyDone of flags) states.push({ magic, imageOk, copyDone });
  return states.flatMap((secondary) =>
    states.map((primary): [TrailerState, TrailerState] => [primary, secondary]),
  );
}

describe("swap type from the trailers", () => {
  const { matrices } = JSON.parse(vectorFile("mcuboot-trailer-matrix.json")) as {
    matrices: { mode: string; swap_type: string }[];
  };
  const modes: Record<string, SwapMode> = {
    move: "swap-move",
    offset: "swap-offset",
    overwrite: "overwrite-only",
  };

  it.each(matrices)("all 729 combinations as MCUboot decides them: $mode", ({ mode, swap_type }) => {
    const letters = allTrailers().map(([primary, secondary]) => {
      // Through the bytes, so that reading a trailer is judged as well.
      const read = [slotWith(primary), slotWith(secondary)].map((slot) => parseTrailer(slot));
      expect(read).toMatchObject([primary, secondary]);
      return decideSwapType(modes[mode]!, read[0]!, read[1]!).type[0];
    });
    expect(letters.length).toBe(729);
    expect(letters.join("")).toBe(swap_type);
  });

  it("says why", () => {
    const erased = parseTrailer(new Uint8Array(SLOT).fill(0xff));
    const running = parseTrailer(slotWith({ magic: "good", imageOk: "unset", copyDone: "set" }));
    expect(decideSwapType("swap-move", running, erased)).toMatchObject({
      type: "revert",
      reason: "the running image was swapped in for a test and never confirmed",
    });
    expect(decideSwapType("swap-move", erased, erased).reason).toBe("no trailer asks for a change");
  });

  it("an image that was never swapped in counts as confirmed", () => {
    expect(isConfirmed({ magic: "unset", imageOk: "unset", copyDone: "unset" })).toBe(true);
    expect(isConfirmed({ magic: "good", imageOk: "unset", copyDone: "unset" })).toBe(false);
    expect(isConfirmed({ magic: "good", imageOk: "set", copyDone: "set" })).toBe(true);
  });
});

describe("where a trailer's fields are", () => {
  // Distances from the end of the slot, as MCUboot's offset functions give them.
  it.each([
    [8, { magic: 16, imageOk: 24, copyDone: 32, swapInfo: 40, swapSize: 48 }],
    [16, { magic: 16, imageOk: 32, copyDone: 48, swapInfo: 64, swapSize: 80 }],
    [32, { magic: 16, imageOk: 64, copyDone: 96, swapInfo: 128, swapSize: 160 }],
  ] as const)("alignment %i", (maxAlign, layout) => {
    expect(trailerLayout(maxAlign)).toEqual(layout);
    expect(trailerLayout(maxAlign, { unprotectedTlvSizes: true }).swapSize).toBe(layout.swapSize + maxAlign);
  });

  it("the three magics", () => {
    expect(toHex(bootMagic(8))).toBe("77c295f360d2ef7f3552500f2cb67980");
    expect(toHex(bootMagic(16))).toBe("10002de15d29410b8d77679c110f1f8a");
    expect(toHex(bootMagic(32))).toBe("20002de15d29410b8d77679c110f1f8a");
  });
});

describe("a trailer as read back", () => {
  it.each([8, 16, 32] as const)("what imgtool writes for --confirm, alignment %i", async (maxAlign) => {
    const options = { version: "1", headerSize: 32, padHeader: true, slotSize: 8192, maxAlign };
    const { bytes } = await signImage(new Uint8Array(64), { ...options, trailer: "confirmed" });
    const trailer = parseTrailer(bytes, { maxAlign });
    expect(trailer).toMatchObject({ magic: "good", imageOk: "set", copyDone: "unset" });
    expect(trailer.swapInfo).toBeUndefined();
    expect(maxAlignOfMagic(bytes)).toBe(maxAlign);
  });

  it("a bootloader with another alignment takes the magic for a bad one", () => {
    const slot = new Uint8Array(SLOT).fill(0xff);
    slot.set(bootMagic(16), SLOT - 16);
    expect(parseTrailer(slot, { maxAlign: 8 }).magic).toBe("bad");
    expect(parseTrailer(slot, { maxAlign: 16 }).magic).toBe("good");
  });

  it("swap info, swap size, and flash that erases to zero", () => {
    const slot = new Uint8Array(SLOT);
    slot.set(bootMagic(8), SLOT - 16);
    slot[SLOT - 24] = 1;
    slot[SLOT - 40] = 0x13;
    slot.set([0x00, 0x20], SLOT - 48);
    expect(parseTrailer(slot, { erasedValue: 0 })).toMatchObject({
      magic: "good",
      imageOk: "set",
      copyDone: "unset",
      swapInfo: { type: "perm", image: 1, raw: 0x13 },
      swapSize: 0x2000,
    });
  });

  it("a slot smaller than its trailer is an error with the offset", () => {
    expect(() => parseTrailer(new Uint8Array(40))).toThrow(ImageError);
    expect(() => parseTrailer(new Uint8Array(47))).toThrow(
      expect.objectContaining({ code: "no-trailer", offset: 47 }),
    );
  });
});

describe("the largest image", () => {
  const { limits, max_sectors } = JSON.parse(vectorFile("mcuboot-largest-image.json")) as {
    max_sectors: number;
    limits: { mode: string; write_size: number; sector_size: number; slot_size: number; largest: number }[];
  };
  const modes: Record<string, SwapMode> = {
    move: "swap-move",
    offset: "swap-offset",
    scratch: "swap-scratch",
    overwrite: "overwrite-only",
  };

  it.each(limits)("MCUboot accepts $largest bytes and no more: $mode", (row) => {
    const geometry = {
      primarySize: row.slot_size,
      sectorSize: row.sector_size,
      writeSize: row.write_size,
      maxSectors: max_sectors,
    };
    expect(largestImage(modes[row.mode]!, geometry)).toBe(row.largest);
  });

  it("write size 8 in scratch mode: 0x1fcd0 of 0x20000", () => {
    const geometry = { primarySize: 0x20000, sectorSize: 4096, writeSize: 8, maxSectors: 32 };
    expect(largestImage("swap-scratch", geometry)).toBe(0x1fcd0);
  });

  it("saved encryption keys make the trailer larger", () => {
    const geometry = { primarySize: 0x20000, sectorSize: 4096 };
    const without = trailerSize("swap-scratch", geometry);
    expect(trailerSize("swap-scratch", { ...geometry, encryptionKeySize: 16 })).toBe(without + 32);
    expect(trailerSize("swap-scratch", { ...geometry, encryptionKeySize: 113 })).toBe(without + 240);
  });

  // Status (states x sectors x write size), then the fields of the layout table and 16 bytes of magic.
  it.each([
    ["swap-move", 3 * 32 * 4 + 48],
    ["swap-scratch", 3 * 32 * 4 + 48],
    ["swap-offset", 2 * 32 * 4 + 56],
    ["overwrite-only", 48],
    ["single-slot", 48],
  ] as const)("the trailer of %s has %i bytes", (mode, size) => {
    expect(trailerSize(mode, { primarySize: 0x20000, sectorSize: 4096, maxSectors: 32 })).toBe(size);
  });

  it("is never negative", () => {
    expect(largestImage("swap-move", { primarySize: 4096, sectorSize: 4096 })).toBe(0);
  });
});
