import { setTimeout as delay } from "node:timers/promises";
import { BootproofError, runWorkflow, upload } from "bootproof";
import { largestImage } from "bootproof/mcuboot";
import { imageMark } from "bootproof/smp";
import type { CutPlan } from "../board.js";
import { type Case, type Finding, fails, holds, type Need, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { areaOf, geometryOf } from "../flash-layout.js";
import type { QuickCheck } from "../harness/context.js";
import type { Harness } from "../harness/harness.js";
import { NotJudged } from "../harness/not-judged.js";
import { lacks } from "../preconditions.js";
import { Random } from "../random.js";
import { describe } from "../snapshot.js";

const claim = "power-loss";

/** A stretch of a board's life in which power can fail. */
interface Scenario {
  readonly id: "swap" | "trial" | "smaller" | "permanent" | "revert" | "counter" | "mark" | "confirm";
  readonly summary: string;
  readonly needs: readonly Need[];
  /** Other cases that must hold before this scenario means what it says. */
  readonly assumes?: readonly string[];
  /** Brings the board to the start of the stretch and leaves it off. */
  prepare(harness: Harness): Promise<Prepared>;
}

interface Prepared {
  readonly flash: Uint8Array;
  /** Hashes of images that may run afterwards. */
  readonly good: Readonly<Record<string, Which>>;
  /** The image that runs two boots later when power does not fail; absent where either is right. */
  readonly settles?: Which;
  /** What the board does besides booting; power is gone when `signal` aborts. */
  act?(harness: Harness, signal: AbortSignal): Promise<void>;
}

type Which = "old image" | "new image";

/** More than a sector, so that no rounding hides it: swaps that forget the larger size are found by it. */
const MUCH_LARGER_SECTORS = 3;

/** Firmware that confirms itself has two ends that are right: whether it came to that before power failed decides. */
const WAITS = ["trial/waits-for-confirmation"] as const;

/** The slot may have fewer sectors than that. */
function muchLarger({ traits: { layout, mode }, factory }: Harness): number {
  const room = largestImage(mode ?? "swap-move", geometryOf(layout)) - factory.baseFile.length;
  return Math.min(MUCH_LARGER_SECTORS * areaOf(layout, { image: 0, slot: 0 }).rest, room - SPARE_BYTES);
}

/** Signatures differ in length. */
const SPARE_BYTES = 256;

const SCENARIOS: readonly Scenario[] = [
  {
    id: "swap",
    summary: "the boot that swaps a new image in on trial",
    needs: ["update"],
    assumes: WAITS,
    prepare: async (harness) => {
      const file = await harness.factory.update();
      await harness.delivery.program(file, { what: "a good update" });
      return settled(harness, await ready(harness, file));
    },
  },
  {
    id: "trial",
    summary: "the boot that swaps an image with a higher security counter in on trial, which nobody confirms",
    needs: ["key", "trial", "counter"],
    assumes: [...WAITS, "trial/test-burns-nothing"],
    prepare: async (harness) => {
      const file = await higher(harness);
      await harness.delivery.program(file, {
        what: "an update with a higher security counter, for one trial boot",
      });
      return settled(harness, await ready(harness, file));
    },
  },
  {
    id: "smaller",
    summary: "the boot that swaps in an image much smaller than the running one",
    needs: ["key", "trial"],
    assumes: WAITS,
    prepare: async (harness) => {
      const grow = muchLarger(harness);
      // Where the version decides, the larger image has to be the higher one first.
      const steps = harness.traits.picksByVersion ? 1 : 0;
      const larger = await harness.factory.make({ version: harness.factory.version(steps), grow });
      await trialBoot(harness, larger);
      await harness.delivery.confirm();
      await harness.boot("power");
      const file = await harness.factory.make({ version: harness.factory.version(steps + 1) });
      await harness.delivery.program(file, { what: "a good update, much smaller than what runs" });
      return settled(harness, await ready(harness, file, larger));
    },
  },
  {
    id: "permanent",
    summary: "the boot that makes a new image permanent and raises the counter",
    needs: ["key"],
    prepare: async (harness) => {
      const file = await higher(harness);
      await harness.delivery.program(file, {
        what: "a good update with a higher security counter",
        permanent: true,
      });
      return settled(harness, await ready(harness, file));
    },
  },
  {
    id: "revert",
    summary: "the boot that reverts to the old image",
    needs: ["update", "trial"],
    assumes: WAITS,
    prepare: async (harness) => {
      const file = await harness.factory.update();
      await trialBoot(harness, file);
      return settled(harness, await ready(harness, file));
    },
  },
  {
    id: "counter",
    summary: "the boot after a confirmation, which raises the counter",
    needs: ["key", "trial"],
    prepare: async (harness) => {
      const file = await higher(harness);
      await trialBoot(harness, file);
      await harness.delivery.confirm();
      return settled(harness, await ready(harness, file));
    },
  },
  {
    id: "mark",
    summary: "the request for a trial boot",
    needs: ["update", "trial"],
    prepare: async (harness) => {
      const file = await harness.factory.update();
      const hash = Uint8Array.from(Buffer.from(imageHashOf(file)!, "hex"));
      if (harness.traits.needsTrailer) return uploadedAndMarked(harness, file, hash);
      await harness.delivery.program(file, { what: "a good update, not requested", noRequest: true });
      return {
        ...(await ready(harness, file)),
        act: async (on, signal) => void (await on.client.send(imageMark, { hash }, { signal, retries: 0 })),
      };
    },
  },
  {
    id: "confirm",
    summary: "the confirmation",
    needs: ["update", "trial"],
    prepare: async (harness) => {
      const file = await harness.factory.update();
      await harness.delivery.program(file, { what: "a good update, for one trial boot" });
      return {
        ...(await ready(harness, file)),
        act: async (on, signal) =>
          void (await on.client.send(imageMark, { confirm: true }, { signal, retries: 0 })),
      };
    },
  },
];

/** Bootloaders that start only what is marked erase an image that is not at their next boot: it has to be uploaded first. */
async function uploadedAndMarked(harness: Harness, file: Uint8Array, hash: Uint8Array): Promise<Prepared> {
  return {
    ...(await ready(harness, file)),
    act: async (on, signal) => {
      await runWorkflow(upload(on.session, file, { signal }));
      await on.client.send(imageMark, { hash }, { signal, retries: 0 });
    },
  };
}

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

async function higher(harness: Harness): Promise<Uint8Array> {
  const counter = harness.factory.counter;
  return harness.factory.make(counter === undefined ? {} : { counter: counter + 1 });
}

async function trialBoot(harness: Harness, file: Uint8Array): Promise<void> {
  const { outcome, shows } = await harness.offer(file, { what: "an update, for one trial boot" });
  if (outcome !== "started") throw new NotJudged(`The update did not start: ${shows}.`);
}

async function ready(
  harness: Harness,
  file: Uint8Array,
  old: Uint8Array = harness.factory.baseFile,
): Promise<Prepared> {
  await harness.power.off();
  return {
    flash: harness.flash.readAll(),
    good: { [imageHashOf(old)!]: "old image", [imageHashOf(file)!]: "new image" },
  };
}

/** Finds out what the board comes to without a cut: with one it must come to the same. */
async function settled(harness: Harness, prepared: Prepared): Promise<Prepared> {
  await harness.flash.writeAll(prepared.flash);
  await harness.power.quickCheck();
  const { hash } = await harness.power.quickCheck();
  const settles = prepared.good[hash ?? ""];
  if (settles === undefined) throw new NotJudged("Even without a power cut none of the two images runs.");
  harness.note(`without a power cut the ${settles} runs in the end`);
  await harness.flash.writeAll(prepared.flash);
  return { ...prepared, settles };
}

/** The cut that a run is made with; whether power failed in it. */
async function cutOnce(harness: Harness, prepared: Prepared, cut: CutPlan): Promise<boolean> {
  await harness.flash.writeAll(prepared.flash);
  return cutAgain(harness, prepared, cut);
}

async function cutAgain(harness: Harness, { act }: Prepared, cut: CutPlan): Promise<boolean> {
  const gone = new AbortController();
  const stop = harness.board.onPowerLost(() => gone.abort());
  try {
    const start = await harness.power.onWithCut(cut);
    if (start === "cut" || start === "recovery" || !act) return start === "cut";
    await act(harness, AbortSignal.any([gone.signal, harness.signal])).catch((error: unknown) => {
      if (gone.signal.aborted) return;
      // Without power loss a refusal or silence is for the look afterwards to judge.
      if (!(error instanceof BootproofError)) throw error;
    });
    return gone.signal.aborted;
  } finally {
    stop();
  }
}

const MOST_OPERATIONS = 1 << 20;

interface Range {
  readonly first: number;
  readonly last: number;
}

/** The flash operations of a stretch, counted from power-on. What the board does after its boot begins behind the boot's. */
async function rangeOf(harness: Harness, prepared: Prepared): Promise<Range> {
  const { act, ...bootOnly } = prepared;
  const last = await countOperations(harness, prepared);
  const first = act ? (await countOperations(harness, bootOnly)) + 1 : 1;
  harness.note(`flash operations ${first} to ${last} after power-on`);
  return { first, last };
}

/** The largest number of an operation at which power still fails. */
async function countOperations(harness: Harness, prepared: Prepared): Promise<number> {
  const happens = (operation: number) => cutOnce(harness, prepared, { operation, kind: "before" });
  let reached = 0;
  let beyond = 1;
  while (beyond < MOST_OPERATIONS && (await happens(beyond))) {
    reached = beyond;
    beyond *= 2;
  }
  while (beyond - reached > 1) {
    const middle = (reached + beyond) >> 1;
    if (await happens(middle)) reached = middle;
    else beyond = middle;
  }
  return reached;
}

interface Judged {
  readonly ended: string;
  readonly ok: boolean;
}

/**
 * The board after a cut: it boots, and boots again; a known image runs, in the end the one that should; the counter is not
 * below `least`.
 */
async function judgeAfterCut(
  harness: Harness,
  prepared: Prepared,
  least: number | undefined,
): Promise<Judged> {
  let observed: QuickCheck | undefined;
  let floor = least;
  for (let boot = 1; boot <= 2; boot++) {
    observed = await harness.power.quickCheck();
    if (observed.start !== "application") return { ended: `boot ${boot}: ${observed.start}`, ok: false };
    if (prepared.good[observed.hash ?? ""] === undefined)
      return {
        ended: `boot ${boot}: unknown image ${observed.hash?.slice(0, 12) ?? "without hash"}`,
        ok: false,
      };
    // A counter that is not reported at one look is compared with the next that is.
    if (floor !== undefined && observed.counter !== undefined && observed.counter < floor)
      return { ended: `boot ${boot}: stored counter ${observed.counter}, was ${floor}`, ok: false };
    floor = observed.counter ?? floor;
  }
  const ended = prepared.good[observed!.hash!]!;
  if (prepared.settles !== undefined && ended !== prepared.settles)
    return { ended: `${ended} for ever, not ${prepared.settles}`, ok: false };
  return { ended, ok: true };
}

/** Operations spread evenly from the first to the last, both among them. */
export function spread({ first, last }: Range, count: number): number[] {
  const total = last - first + 1;
  if (count >= total) return Array.from({ length: total }, (_, index) => first + index);
  if (count === 1) return [first + (total >> 1)];
  const step = (total - 1) / (count - 1);
  return Array.from({ length: count }, (_, index) => first + Math.round(index * step));
}

/** After so many cuts that went wrong there is nothing more to learn, and each may cost seconds of silence. */
const MOST_WRONG = 5;

/** What came of many cuts. */
class Tally {
  #cuts = 0;
  #doubles = 0;
  readonly #wrong: string[] = [];
  readonly #ended = new Map<string, number>();

  get cuts(): number {
    return this.#cuts;
  }

  get isClear(): boolean {
    return this.#wrong.length >= MOST_WRONG;
  }

  /** "old image 592, new image 408" */
  get split(): string {
    return [...this.#ended].map(([name, count]) => `${name} ${count}`).join(", ");
  }

  get doubles(): number {
    return this.#doubles;
  }

  count(where: string, { ended, ok }: Judged, isDouble = false): void {
    this.#cuts++;
    if (isDouble) this.#doubles++;
    this.#ended.set(ended, (this.#ended.get(ended) ?? 0) + 1);
    if (!ok) this.#wrong.push(`${where}: ${ended}`);
  }

  /** The finding against the board, if there is one. */
  get fault(): Finding | undefined {
    const count = this.#wrong.length;
    if (count === 0) return undefined;
    const stopped = this.isClear ? ", then it was stopped" : "";
    return fails(
      `${count} of ${this.#cuts} power cuts left the board wrong${stopped}; the first: ${this.#wrong[0]}.`,
    );
  }
}

function counterWords(least: number | undefined): string {
  return least === undefined ? "the stored security counter is not reported" : "the counter never decreased";
}

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
