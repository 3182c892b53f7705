import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { drawMap } from "../../src/cli/inspect/draw-map.js";
import type { Region } from "../../src/mcuboot/slot.js";

/** Pretends that stdout is a terminal of this width. */
function terminal(columns: number | undefined): void {
  Object.assign(process.stdout, { isTTY: columns !== undefined, columns });
}
const { isTTY, columns } = process.stdout;
afterEach(() => void Object.assign(process.stdout, { isTTY, columns }));

const KINDS = ["header", "body", "protected TLVs", "TLVs", "free", "leftover", "trailer"] as const;
const regions = fc
  .tuple(
    fc.shuffledSubarray([...KINDS], { minLength: 1 }),
    fc.array(fc.integer({ min: 1, max: 2 ** 31 }), { minLength: 7, maxLength: 7 }),
  )
  .map(([kinds, lengths]) => {
    let offset = 0;
    return kinds.map((kind, index): Region => {
      const region = { kind, offset, length: lengths[index]! };
      offset += region.length;
      return region;
    });
  });
const bar = (text: string) => text.split("\n")[0]!;

describe("the map of a slot", () => {
  it.each([
    [undefined, 66],
    [80, 80],
    [40, 40],
    [5, 18],
    [500, 122],
  ])("terminal of %s columns: a bar of %s characters", (width, length) => {
    terminal(width);
    const map = [
      { kind: "header", offset: 0, length: 512 },
      { kind: "body", offset: 512, length: 0x1_0000_0000 },
      { kind: "free", offset: 0x1_0000_0200, length: 1 },
    ] as const;
    expect(bar(drawMap(map))).toHaveLength(length);
  });

  it("is drawn to scale: no region is off by more than the tiny ones need, and none is missing", () => {
    fc.assert(
      fc.property(regions, (map) => {
        terminal(undefined);
        const line = bar(drawMap(map)).slice(1, -1);
        const total = map.reduce((sum, { length }) => sum + length, 0);
        const runs = [...line.matchAll(/(.)\1*/g)].map(([run]) => run.length);
        expect(runs).toHaveLength(map.length);
        expect(runs.reduce((sum, run) => sum + run, 0)).toBe(64);
        for (const [index, { length }] of map.entries())
          expect(Math.abs(runs[index]! - (64 * length) / total)).toBeLessThanOrEqual(map.length);
      }),
    );
  });

  it("two slots of different sizes are drawn to one scale", () => {
    const slot = (length: number): Region[] => [{ kind: "free", offset: 0, length }];
    terminal(80);
    const [large, small] = [0x20000, 0x8000].map((size) => bar(drawMap(slot(size), 0x20000)));
    expect([large!.length - 2, small!.length - 2]).toEqual([78, 20]);
  });

  it("nothing has no map", () => {
    expect(drawMap([])).toBe("");
  });
});
