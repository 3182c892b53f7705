import { boardVariants, weakVariants } from "bootproof/boards";
import { describe, expect, it } from "vitest";
import { entryOf } from "../../hil/board-files/board-file.js";
import { type ClaimId, isClaim } from "../../hil/claims.js";
import { proveBoard } from "../../hil/prove.js";
import type { ProveOptions } from "../../hil/prove-events.js";
import { toHtml } from "../../hil/report/html.js";
import type { BoardResult } from "../../hil/result.js";

/**
 * The suite against boards whose weaknesses are known: each variant of the firmware is found out by exactly the claims it
 * breaks. All of them, with fewer power cuts than a run by hand would make.
 */
function prove(variant: string, how: Partial<ProveOptions> = {}): Promise<BoardResult> {
  const signal = new AbortController().signal;
  return proveBoard(entryOf(`wasm:${variant}`), { signal, seed: 20, cuts: 3, randomCuts: 6, ...how });
}

const claimsWith = (result: BoardResult, ...verdicts: string[]) =>
  result.claims.filter(({ verdict }) => verdicts.includes(verdict)).map(({ claim }) => claim);

const caseFindings = (result: BoardResult, ...verdicts: string[]) =>
  result.cases
    .filter(({ verdict }) => verdicts.includes(verdict))
    .map(({ id, observed }) => `${id}: ${observed}`);

/** Its keys and signatures are too large to hide in the header of its images, so an image whose sizes overflow cannot be made. */
const CANNOT_BE_MADE: Readonly<Record<string, string>> = { rsa3072: "lengths/sizes-overflow" };

describe.concurrent("every variant of our board", () => {
  it.each(boardVariants())("$id breaks $broken and nothing else", async (variant) => {
    const result = await prove(variant.id);
    expect(result.unusable).toBeUndefined();
    expect(result.putBack.ok, result.putBack.message).toBe(true);
    expect(result.controls.filter(({ verdict }) => verdict !== "holds")).toEqual([]);

    const broken = claimsWith(result, "does-not-hold").toSorted();
    expect(broken, caseFindings(result, "does-not-hold").join("\n")).toEqual([...variant.broken].toSorted());

    const claimed = variant.claims.filter((claim): claim is ClaimId & typeof claim => isClaim(claim));
    // A claim stays open, and is not called sound, only where a case of it would find what a broken claim has found.
    const open = claimsWith(result, "not-judged");
    for (const claim of open) {
      const unjudged = result.cases.filter((one) => one.claim === claim && one.verdict === "not-judged");
      expect(unjudged.length).toBeGreaterThan(0);
      for (const { id, observed } of unjudged) {
        if (CANNOT_BE_MADE[variant.id] === id) continue;
        const named = /^It means nothing while (\S+) does not hold: the same finding\.$/.exec(observed)?.[1];
        const finding = result.cases.find((one) => one.id === named);
        expect(variant.broken, `${id}: ${observed}`).toContain(finding?.claim);
      }
    }
    const sound = claimed.filter((claim) => !variant.broken.includes(claim) && !open.includes(claim));
    expect(claimsWith(result, "holds")).toEqual(expect.arrayContaining(sound));
  });

  it("a sound board leaves no case of what it claims unjudged", async () => {
    const result = await prove("good");
    expect(caseFindings(result, "not-judged", "does-not-hold")).toEqual([]);
    expect(result.cases.filter(({ verdict }) => verdict === "holds").length).toBeGreaterThan(75);
    const report = {
      format: "bootproof proof 1" as const,
      tool: { name: "bootproof" as const, version: "1.2.3" },
      startedAt: new Date(0).toISOString(),
      elapsedMs: 0,
      seed: 20,
      scope: "full" as const,
      interrupted: false,
      boards: [result],
    };
    expect(toHtml(report).length, "the page of a board that holds can be mailed").toBeLessThan(300_000);
  });
});

/** One board of each upgrade mode, one with other flash, one with encryption; "swap using move" has its weak boards above. */
const MODES = [
  "overwrite",
  "offset",
  "scratch",
  "xip",
  "xip-revert",
  "ramload",
  "ramload-revert",
  "single",
  "fwloader",
  "erased-0",
  "encrypted-x25519",
];
/** Some weaknesses show on boards of another kind only, or in "swap using move" as anywhere. */
const ELSEWHERE = [
  "good+lengths-believed",
  "good+counter-on-resume",
  "good+counter-unlocked",
  "good+slot-needed",
  "two-images+revert-follows",
  // The trailer shares its sector with the image there, and the scratch area holds it meanwhile.
  "uneven-sectors+counter-on-resume",
  "uneven-sectors+no-revert",
];
const weakInEachMode = weakVariants().filter(
  ({ id }) => MODES.includes(id.split("+")[0]!) || ELSEWHERE.includes(id),
);
/** What only the boards that unpack compressed images can be weak in. */
const weakInUnpacking = weakVariants().filter(
  ({ id, broken }) => id.startsWith("compressed+") && broken.includes("decompression"),
);

describe.concurrent("what a board can be weak in, in each mode", () => {
  // The quick cases tell each of them, but for the one that takes a power cut to show.
  it.each(weakInEachMode)("$id breaks $broken and nothing else", async ({ id, broken }) => {
    const takesPowerCuts = broken.includes("power-loss");
    const result = await prove(
      id,
      takesPowerCuts ? { cases: ["power-cut/smaller", "power-cut/trial"] } : { quick: true, cuts: 2 },
    );
    expect(result.unusable).toBeUndefined();
    expect(result.putBack.ok, result.putBack.message).toBe(true);
    expect(
      claimsWith(result, "does-not-hold").toSorted(),
      caseFindings(result, "does-not-hold").join("\n"),
    ).toEqual([...broken].toSorted());
  });

  it.each(weakInUnpacking)("$id breaks decompression and nothing else", async ({ id }) => {
    const result = await prove(id, { quick: true, cuts: 2 });
    expect(result.unusable).toBeUndefined();
    expect(result.putBack.ok, result.putBack.message).toBe(true);
    expect(claimsWith(result, "does-not-hold"), caseFindings(result, "does-not-hold").join("\n")).toEqual([
      "decompression",
    ]);
    expect(caseFindings(result, "does-not-hold").length).toBe(1);
  });

  it("there is a weak board for each of what is held against what an image becomes", () => {
    expect(weakInUnpacking.map(({ id }) => id)).toEqual([
      "compressed+unpacked-size",
      "compressed+unpacked-hash",
      "compressed+unpacked-signature",
    ]);
  });

  it("makes each weakness somewhere in every mode that can have it", () => {
    const counts: Record<string, number> = {};
    for (const { id } of weakInEachMode) counts[id.split("+")[1]!] = (counts[id.split("+")[1]!] ?? 0) + 1;
    expect(counts).toEqual({
      "no-signature": 11,
      "no-counter": 10,
      "counter-early": 6,
      "counter-ignored": 10,
      "no-revert": 7,
      "recovery-unchecked": 8,
      "short-resume": 4,
      "counter-on-resume": 6,
      "revert-follows": 1,
      "lengths-believed": 12,
      "counter-unlocked": 11,
      "address-unchecked": 2,
      "slot-needed": 10,
    });
  });
});
