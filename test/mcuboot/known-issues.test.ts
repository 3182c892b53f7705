import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { knownIssueOf } from "../../src/mcuboot/known-issues.js";
import type { UpgradeMode } from "../../src/mcuboot/upgrade-modes.js";

interface Row {
  recording: string;
  scenario: string;
  mode: UpgradeMode;
  oldSize: number;
  newSize: number;
  /** For good from the start, or confirmed after its first boot: then no way back is wanted. */
  confirmed: boolean;
  ends: "well" | "no-way-back" | "no-boot";
}

const file = new URL("../vectors/mcuboot/power-cut-pairs.json", import.meta.url);
const { pairs }: { pairs: Row[] } = JSON.parse(readFileSync(file, "utf8"));

describe("a pair of images, judged by what real MCUboot did when power was cut", () => {
  it.each(pairs)("$recording: $scenario ($oldSize to $newSize bytes) ends $ends", (row) => {
    const spot = knownIssueOf(row.mode, { ...row, sectorSize: 4096, primarySize: 0x20000 });
    // A confirmed image needs no way back: there the warning is one too many, and never one too few.
    const expected = spot === "no-way-back" && row.confirmed ? "well" : (spot ?? "well");
    expect(expected).toBe(row.ends);
  });

  it("the recordings have every kind of end", () => {
    expect(new Set(pairs.map(({ ends }) => ends))).toEqual(new Set(["well", "no-way-back", "no-boot"]));
  });

  it.each(["overwrite-only", "direct-xip", "ram-load", "single-slot"] as const)("%s has none", (mode) => {
    expect(knownIssueOf(mode, { oldSize: 1, newSize: 1, sectorSize: 4096 })).toBeUndefined();
  });
});
