import { describe, expect, it } from "vitest";
import { decideSetNext, type SetNextTarget, type TrailerWrite } from "../../src/mcuboot/set-next.js";
import type { FlagState, MagicState } from "../../src/mcuboot/trailer.js";

/**
 * MCUboot's boot_set_next (bootutil_public.c) spelled out once more, case by case: target, magic, image_ok, then what
 * is written for confirm = false and for confirm = true. A number is the error that comes back.
 */
type Answer = readonly string[] | 3 | 4;
const CASES: readonly [SetNextTarget, MagicState, FlagState, Answer, Answer][] = [
  ["active", "good", "unset", ["imageOk"], ["imageOk"]],
  ["active", "good", "set", [], []],
  ["active", "good", "bad", [], []],
  ["active", "unset", "unset", [], []],
  ["active", "unset", "set", [], []],
  ["active", "unset", "bad", [], []],
  ["active", "bad", "unset", 4, 4],
  ["active", "bad", "set", 4, 4],
  ["active", "bad", "bad", 4, 4],
  ["inactive", "good", "unset", [], []],
  ["inactive", "good", "set", [], []],
  ["inactive", "good", "bad", [], []],
  ["inactive", "unset", "unset", ["magic", "swapInfo test"], ["magic", "imageOk", "swapInfo perm"]],
  ["inactive", "unset", "set", ["magic", "swapInfo test"], ["magic", "imageOk", "swapInfo perm"]],
  ["inactive", "unset", "bad", ["magic", "swapInfo test"], ["magic", "imageOk", "swapInfo perm"]],
  ["inactive", "bad", "unset", 3, 3],
  ["inactive", "bad", "set", 3, 3],
  ["inactive", "bad", "bad", 3, 3],
];

const named = (write: TrailerWrite) => (write.field === "swapInfo" ? `swapInfo ${write.type}` : write.field);

describe("a request or a confirmation", () => {
  it.each(CASES)("%s slot, magic %s, image_ok %s", (target, magic, imageOk, test, confirm) => {
    for (const [asked, wanted] of [
      [false, test],
      [true, confirm],
    ] as const) {
      const rule = decideSetNext(target, { magic, imageOk }, asked);
      expect(rule.error ?? rule.writes.map(named)).toEqual(wanted);
      if (rule.error !== undefined) expect(rule.writes).toEqual([]);
    }
  });

  it("a power cut after the first write of a permanent request leaves a request for a test", () => {
    const { writes } = decideSetNext("inactive", { magic: "unset", imageOk: "unset" }, true);
    expect(writes.map(named)).toEqual(["magic", "imageOk", "swapInfo perm"]);
    expect(decideSetNext("inactive", { magic: "good", imageOk: "unset" }, true).writes).toEqual([]);
  });
});
