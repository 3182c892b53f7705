import { boardVariants } from "bootproof";
import { describe, expect, it } from "vitest";
import { entryOf } from "../../hil/bench.js";
import { type ClaimId, isClaim } from "../../hil/claims.js";
import { proveBoard } from "../../hil/prove.js";
import type { BoardResult } from "../../hil/result.js";

/**
 * The suite against boards whose weaknesses are known: each variant of the firmware is found out by exactly the claims it
 * breaks. All of them, with fewer power cuts than a run by hand would make.
 */
function prove(variant: string): Promise<BoardResult> {
  const signal = new AbortController().signal;
  return proveBoard(entryOf(`wasm:${variant}`), { signal, seed: 20, cuts: 3, randomCuts: 6 });
}

const claimsWith = (result: BoardResult, ...verdicts: string[]) =>
  result.claims.filter(({ verdict }) => verdicts.includes(verdict)).map(({ claim }) => claim);

const caseSays = (result: BoardResult, ...verdicts: string[]) =>
  result.cases.filter(({ verdict }) => verdicts.includes(verdict)).map(({ id, seen }) => `${id}: ${seen}`);

describe.concurrent("every variant of our board", { timeout: 300_000 }, () => {
  it.each(boardVariants())("$id breaks $broken and nothing else", async (variant) => {
    const result = await prove(variant.id);
    expect(result.unusable).toBeUndefined();
    expect(result.putBack.ok, result.putBack.says).toBe(true);
    expect(result.controls.filter(({ verdict }) => verdict !== "holds")).toEqual([]);

    const broken = claimsWith(result, "does-not-hold").toSorted();
    expect(broken, caseSays(result, "does-not-hold").join("\n")).toEqual([...variant.broken].toSorted());

    const claimed = variant.claims.filter((claim): claim is ClaimId & typeof claim => isClaim(claim));
    const sound = claimed.filter((claim) => !variant.broken.includes(claim));
    expect(claimsWith(result, "holds")).toEqual(expect.arrayContaining(sound));
    expect(claimsWith(result, "not-judged")).toEqual([]);
  });

  it("a sound board leaves no case of what it claims unjudged", async () => {
    const result = await prove("good");
    expect(caseSays(result, "not-judged", "does-not-hold")).toEqual([]);
    expect(result.cases.filter(({ verdict }) => verdict === "holds").length).toBeGreaterThan(75);
  });
});
