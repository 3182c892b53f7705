import { describe, expect, it } from "vitest";
import { CASES } from "../../hil/cases/all.js";
import { CONTROLS } from "../../hil/cases/controls.js";
import { CLAIM_IDS, CLAIMS } from "../../hil/claims.js";
import { NEEDS } from "../../hil/preconditions.js";

describe("the list of cases", () => {
  it("has ids of its own, in order of what they assume", () => {
    const ids = CASES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [index, { assumes = [] }] of CASES.entries())
      for (const id of assumes)
        expect(ids.indexOf(id), `${ids[index]} assumes ${id}`).toBeGreaterThanOrEqual(0);
    const late = CASES.flatMap(({ id, assumes = [] }) =>
      assumes.map((needed) => [needed, id] as const),
    ).filter(([needed, id]) => ids.indexOf(needed) > ids.indexOf(id));
    expect(late).toEqual([]);
  });

  it("asks about every claim, each with a case that shows it", () => {
    for (const claim of CLAIM_IDS)
      expect(
        CASES.some((one) => one.claim === claim && !one.supporting),
        CLAIMS[claim].title,
      ).toBe(true);
  });

  it("names controls and needs that exist, and says everything in sentences", () => {
    for (const { id, control, needs, summary: observed, expected } of CASES) {
      if (control !== undefined)
        expect(
          CONTROLS.map((one) => one.id),
          id,
        ).toContain(control);
      for (const need of needs) expect(Object.keys(NEEDS), id).toContain(need);
      expect(observed, id).toMatch(/^[A-Z].*\.$/);
      expect(expected, id).toMatch(/^[A-Z].*\.$/);
    }
  });

  it("has a control wherever a refusal is expected", () => {
    const bare = CASES.filter(
      ({ expected, control }) => /is refused: the previous image/.test(expected) && !control,
    );
    expect(bare.map(({ id }) => id)).toEqual([]);
  });
});
