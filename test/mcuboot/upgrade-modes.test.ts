import { describe, expect, it } from "vitest";
import { largestImage, trailerSize } from "../../src/mcuboot/largest-image.js";
import {
  swapModeOf,
  UPGRADE_MODES,
  type UpgradeMode,
  upgradeMode,
  upgradeModeOfNumber,
  upgradeModesOfNumber,
} from "../../src/mcuboot/upgrade-modes.js";

/**
 * What MCUboot's sources hold of each mode: the number is that of `enum mcuboot_mode` (boot_status.h); whether unconfirmed
 * images are reverted, who picks, whether uploads are marked, and where images run is from loader.c and docs/design.md.
 */
const KNOWN: readonly [
  name: UpgradeMode,
  number: number,
  reverts: boolean,
  picks: string,
  marked: boolean,
  runsIn: string,
  secondary: string,
][] = [
  ["single-slot", 0, false, "only", false, "primary", "none"],
  ["swap-scratch", 1, true, "trailer", true, "primary", "update"],
  ["overwrite-only", 2, false, "trailer", true, "primary", "update"],
  ["swap-move", 3, true, "trailer", true, "primary", "update"],
  ["direct-xip", 4, false, "version", false, "either", "update"],
  ["direct-xip-revert", 5, true, "version", true, "either", "update"],
  ["ram-load", 6, false, "version", false, "ram", "update"],
  ["ram-load-revert", 6, true, "version", true, "ram", "update"],
  ["firmware-loader", 7, false, "entrance", false, "primary", "loader"],
  ["single-slot-ram-load", 8, false, "only", false, "ram", "none"],
  ["swap-offset", 9, true, "trailer", true, "primary", "update"],
];

/** Slots of 128 KiB in sectors of 4 KiB: the size that bootutil_max_image_size gives by its rule for the mode. */
const SLOT = 0x20000;
const SECTOR = 0x1000;
const TRAILER = 2 * 128 * 4 + 128 * 4 + 4 * 8 + 16;
const LARGEST: Readonly<Record<UpgradeMode, number>> = {
  "swap-move": SLOT - 2 * SECTOR,
  "swap-offset": SLOT - 2 * SECTOR,
  "swap-scratch": SLOT - TRAILER,
  "overwrite-only": SLOT - 40,
  "direct-xip": SLOT - 40,
  "direct-xip-revert": SLOT - 40,
  "ram-load": SLOT - 40,
  "ram-load-revert": SLOT - 40,
  "single-slot": SLOT - 48,
  "single-slot-ram-load": SLOT - 48,
  "firmware-loader": SLOT - 48,
};

describe("upgrade modes", () => {
  it("has a row for each mode of MCUboot, and no other", () => {
    expect(UPGRADE_MODES.map(({ name }) => name).sort()).toEqual(KNOWN.map(([name]) => name).sort());
    expect(new Set(UPGRADE_MODES.map(({ title }) => title)).size).toBe(UPGRADE_MODES.length);
  });

  it.each(KNOWN)("%s has number %i", (name, number, reverts, picks, marked, runsIn, secondary) => {
    expect(upgradeMode(name)).toMatchObject({ name, number, reverts, picks, marked, runsIn, secondary });
    expect(upgradeModesOfNumber(number).map((row) => row.name)).toContain(name);
    expect(swapModeOf(name)).toBe(picks === "trailer" ? name : undefined);
    expect(upgradeMode(name).swap !== undefined).toBe(/^swap-/.test(name));
  });

  it.each(KNOWN)("%s bounds the largest image by its own rule", (name) => {
    expect(largestImage(name, { primarySize: SLOT, sectorSize: SECTOR })).toBe(LARGEST[name]);
    expect(trailerSize(name, { primarySize: SLOT, sectorSize: SECTOR })).toBeGreaterThan(0);
  });

  it("knows nothing of other numbers", () => {
    for (const number of [undefined, -1, 10, 255, 1.5]) {
      expect(upgradeModeOfNumber(number)).toBeUndefined();
      expect(upgradeModesOfNumber(number)).toEqual([]);
    }
  });

  it("leaves open whether RAM load reverts: its number does not tell", () => {
    expect(upgradeModesOfNumber(6).map(({ reverts }) => reverts)).toEqual([false, true]);
  });
});
