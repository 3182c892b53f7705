import { setTimeout as delay } from "node:timers/promises";
import { upload } from "bootproof";
import { type Case, type Finding, fails, holds, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import type { Harness } from "../harness/harness.js";
import { lacks } from "../preconditions.js";
import { Random } from "../random.js";
import { describe } from "../snapshot.js";
import { cutAgain, cutOnce, type Range, rangeOf, spread } from "./cut-points.js";
import { type Prepared, SCENARIOS, type Scenario, WAITS } from "./power-cut-scenarios.js";
import { counterWords, judgeAfterCut, Tally } from "./power-cut-verdict.js";

const claim = "power-loss";

/** Power fails. Nothing may be lost but the moment. */
export const powerCut: readonly Case[] = [
  ...SCENARIOS.map(
    (scenario): Case => ({
      id: `power-cut/${scenario.id}`,
      claim,
      summary: `Power may fail at any flash operation of ${scenario.summary}.`,
      needs: ["programmer", "cut", ...scenario.needs],
      risk: "primary slot",
      expected:
        "After each cut the old or the new image starts, and two boots later the expected one runs; the stored security counter never decreases.",
      ...(scenario.assumes && { assumes: scenario.assumes }),
      ...(scenario.id === "swap" ? { quick: true } : {}),
      steps: (harness) => stepped(harness, scenario),
    }),
  ),
  {
    id: "power-cut/random",
    claim,
    summary:
      "Power may fail at any flash operation of any of these, and again while the board repairs what the first cut left.",
    needs: ["programmer", "cut", "update"],
    risk: "primary slot",
    assumes: WAITS,
    expected:
      "After each cut the old or the new image starts, and two boots later the expected one runs; the stored security counter never decreases.",
    steps: random,
  },
  {
    id: "power-cut/upload",
    claim,
    summary: "Power may fail during an upload; the upload can be repeated.",
    needs: ["server-upload", "secondary", "update", "power"],
    risk: "secondary slot",
    control: "update-over-smp",
    expected: "After each cut the old image runs; a second upload starts.",
    steps: duringUpload,
  },
  {
    id: "power-cut/timed",
    claim,
    summary: "Power may fail at any moment of the boot that installs a new image.",
    needs: ["secondary", "update", "power", "trial"],
    risk: "primary slot",
    control: "update",
    expected: "After each cut the old or the new image runs.",
    steps: timed,
  },
];

const WRITES_NOTHING: Finding = {
  verdict: "not-supported",
  observed: "There is no flash operation at which power could fail: this board writes nothing there.",
};

/** How each scenario of a board begins is found out once: its own case and the one of random cuts begin alike. */
const begun = new WeakMap<Harness, Map<Scenario["id"], ReadyScenario>>();

/** The board stands as at its start, or else nothing of it is asked. */
async function beginningOf(harness: Harness, scenario: Scenario): Promise<ReadyScenario> {
  const known = begun.get(harness) ?? new Map<Scenario["id"], ReadyScenario>();
  begun.set(harness, known);
  const before = known.get(scenario.id);
  if (before) {
    harness.note(`begins as in power-cut/${scenario.id}`);
    return before;
  }
  await harness.restoreBase();
  const prepared = await scenario.prepare(harness);
  const ready = { scenario: scenario.id, prepared, range: await rangeOf(harness, prepared) };
  known.set(scenario.id, ready);
  return ready;
}

async function stepped(harness: Harness, scenario: Scenario): Promise<Finding> {
  const { prepared, range } = await beginningOf(harness, scenario);
  const least = harness.initial.counters[0];
  if (range.last < range.first) return WRITES_NOTHING;
  const tally = new Tally();
  for (const kind of ["before", "half-done"] as const) {
    for (const operation of spread(range, harness.options.cuts)) {
      harness.signal.throwIfAborted();
      if (tally.isClear) break;
      if (!(await cutOnce(harness, prepared, { operation, kind }))) continue;
      const judged = await judgeAfterCut(harness, prepared, least);
      harness.recorder.cut({ scenario: scenario.id, at: operation, unit: "operation", kind, ...judged });
      tally.count(`${kind} operation ${operation} of ${range.first} to ${range.last}`, judged);
    }
  }
  return (
    tally.fault ??
    holds(
      `${tally.cuts} cuts, flash operations ${range.first} to ${range.last} after power-on: each time the expected image ran in the end (${tally.split}); ${counterWords(least)}.`,
    )
  );
}

async function random(harness: Harness): Promise<Finding> {
  const dice = new Random(harness.options.seed);
  const ready = await prepareAll(harness);
  if (ready.length === 0) return WRITES_NOTHING;
  const least = harness.initial.counters[0];
  const wanted = harness.options.randomCuts;
  const tally = new Tally();
  for (let tries = 0; tally.cuts < wanted && !tally.isClear && tries < 4 * wanted; tries++) {
    harness.signal.throwIfAborted();
    const one = await cutAtRandom(harness, dice, dice.pick(ready));
    if (!one) continue;
    const { scenario, prepared, operation, kind, again } = one;
    const judged = await judgeAfterCut(harness, prepared, least);
    harness.recorder.cut({ scenario, at: operation, unit: "operation", kind, ...judged });
    tally.count(
      `cut ${tally.cuts + 1} (seed ${dice.seed}), ${kind} operation ${operation} of "${scenario}"`,
      judged,
      again,
    );
    harness.options.onCut?.(tally.cuts, wanted);
  }
  return (
    tally.fault ??
    holds(
      `${tally.cuts} random cuts (seed ${dice.seed}), ${tally.doubles} of them followed by a second one: each time the expected image ran in the end (${tally.split}); ${counterWords(least)}.`,
    )
  );
}

interface ReadyScenario {
  readonly scenario: string;
  readonly prepared: Prepared;
  readonly range: Range;
}

/** Every scenario of this board that has flash operations at all. */
async function prepareAll(harness: Harness): Promise<ReadyScenario[]> {
  const ready: ReadyScenario[] = [];
  for (const scenario of SCENARIOS) {
    if (scenario.needs.some((need) => lacks(harness, need) !== undefined)) continue;
    harness.note(scenario.summary);
    const beginning = await beginningOf(harness, scenario);
    if (beginning.range.last >= beginning.range.first) ready.push(beginning);
  }
  return ready;
}

const AGAIN_SHARE = 0.25;
/** Operations within which the board's repair work is cut a second time. */
const AGAIN_WITHIN = 60;

/** One cut, and sometimes a second one while the board repairs what the first left. Undefined: power did not fail. */
async function cutAtRandom(harness: Harness, dice: Random, { scenario, prepared, range }: ReadyScenario) {
  const operation = dice.whole(range.first, range.last);
  const kind = dice.pick(["before", "half-done"] as const);
  const wantsAgain = dice.next() < AGAIN_SHARE;
  const second = { operation: dice.whole(1, AGAIN_WITHIN), kind };
  if (!(await cutOnce(harness, prepared, { operation, kind }))) return undefined;
  const { act, ...bootOnly } = prepared;
  const again = wantsAgain && (await cutAgain(harness, bootOnly, second));
  return { scenario, prepared, operation, kind, again };
}

async function duringUpload(harness: Harness): Promise<Finding> {
  const file = await harness.factory.update();
  const dice = new Random(harness.options.seed);
  const own = harness.initial.running?.hash;
  const count = Math.min(harness.options.cuts, 3);
  for (let turn = 1; turn <= count; turn++) {
    const stopAt = dice.whole(1, file.length - 1);
    harness.touch();
    for await (const event of upload(harness.session, file, { signal: harness.signal }))
      if (event.step === "sent" && event.sent >= stopAt) break;
    const snapshot = await harness.boot("power", `after power failed at byte ${stopAt}`);
    const ok = snapshot.running?.hash === own;
    harness.recorder.cut({
      scenario: "upload",
      at: stopAt,
      unit: "byte",
      kind: "before",
      ended: describe(snapshot),
      ok,
    });
    if (!ok) return fails(`Power failed at byte ${stopAt} of ${file.length}: ${describe(snapshot)}.`);
  }
  const { outcome, shows } = await harness.offer(file, { what: "the same again, whole", through: "smp" });
  return outcome === "started"
    ? holds(`${count} cuts: the old image ran each time, and at last the whole upload started.`)
    : fails(`After ${count} cuts a whole upload did not start: ${shows}.`);
}

async function timed(harness: Harness): Promise<Finding> {
  const file = await harness.factory.update();
  const dice = new Random(harness.options.seed);
  const good = { [harness.initial.running!.hash!]: "old image", [imageHashOf(file)!]: "new image" };
  const count = Math.min(harness.options.cuts, 8);
  for (let turn = 1; turn <= count; turn++) {
    await harness.restoreBase();
    const refusal = await harness.delivery.ask(file, { what: "a good update, for one trial boot" });
    if (refusal !== undefined) return unjudged(`The update was not taken: ${refusal}`);
    const afterMs = Math.round(dice.next() * harness.options.bootMs);
    await harness.power.off();
    await harness.board.powerOn();
    await delay(afterMs, undefined, { signal: harness.signal });
    const snapshot = await harness.boot("power", `after power failed ${afterMs} ms after it came`);
    if (snapshot.running !== undefined && snapshot.running.hash === undefined)
      return unjudged(`After a cut the board does not report the hash of what runs: ${describe(snapshot)}.`);
    const ended = good[snapshot.running?.hash ?? ""];
    const ok = ended !== undefined;
    harness.recorder.cut({
      scenario: "timed",
      at: afterMs,
      unit: "ms",
      kind: "before",
      ended: ended ?? describe(snapshot),
      ok,
    });
    if (!ok) return fails(`Power failed ${afterMs} ms after it came: ${describe(snapshot)}.`);
  }
  return holds(
    `${count} cuts at random moments (seed ${dice.seed}): the old or the new image ran each time.`,
  );
}
