import { setTimeout as delay } from "node:timers/promises";
import { BootproofError, imageMark, upload } from "bootproof";
import type { CutPlan } from "../board.js";
import { type Case, type Finding, fails, holds, type Need, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { Random } from "../random.js";
import { describe } from "../sight.js";
import type { Glance } from "../stand/desk.js";
import type { Stand } from "../stand.js";

const claim = "power-loss";

/** A stretch of a board's life in which power can fail. */
interface Story {
  readonly id: "swap" | "smaller" | "permanent" | "revert" | "counter" | "mark" | "confirm";
  readonly says: string;
  readonly needs: readonly Need[];
  /** Brings the board to the start of the stretch and leaves it off. */
  prepare(stand: Stand): Promise<Prepared>;
}

interface Prepared {
  readonly flash: Uint8Array;
  /** Hashes of images that may run afterwards. */
  readonly good: Readonly<Record<string, Which>>;
  /** The image that runs two boots later when power does not fail; absent where either is right. */
  readonly settles?: Which;
  /** What the board does besides booting; power is gone when `signal` aborts. */
  act?(stand: Stand, signal: AbortSignal): Promise<void>;
}

type Which = "old image" | "new image";

/** More than a sector, so that no rounding hides it: swaps that forget the larger size are found by it. */
const MUCH_LARGER_SECTORS = 3;

const STORIES: readonly Story[] = [
  {
    id: "swap",
    says: "the boot that brings a new image in for its trial",
    needs: ["update"],
    prepare: async (stand) => {
      const file = await stand.forge.update();
      await stand.program(file, { what: "a good update" });
      return settled(stand, await ready(stand, file));
    },
  },
  {
    id: "smaller",
    says: "the boot that brings in an image much smaller than the one that runs",
    needs: ["key", "trial"],
    prepare: async (stand) => {
      const grow = MUCH_LARGER_SECTORS * stand.layout.sector;
      const larger = await stand.forge.make({ version: stand.forge.version(0), grow });
      await trialBoot(stand, larger);
      await stand.confirm();
      await stand.boot("power");
      const file = await stand.forge.update();
      await stand.program(file, { what: "a good update, much smaller than what runs" });
      return settled(stand, await ready(stand, file, larger));
    },
  },
  {
    id: "permanent",
    says: "the boot that brings a new image in for good and raises the counter",
    needs: ["key"],
    prepare: async (stand) => {
      const file = await higher(stand);
      await stand.program(file, { what: "a good update with a higher security counter", permanent: true });
      return settled(stand, await ready(stand, file));
    },
  },
  {
    id: "revert",
    says: "the boot that brings the old image back",
    needs: ["update", "trial"],
    prepare: async (stand) => {
      const file = await stand.forge.update();
      await trialBoot(stand, file);
      return settled(stand, await ready(stand, file));
    },
  },
  {
    id: "counter",
    says: "the boot after a confirmation, which raises the counter",
    needs: ["key", "trial"],
    prepare: async (stand) => {
      const file = await higher(stand);
      await trialBoot(stand, file);
      await stand.confirm();
      return settled(stand, await ready(stand, file));
    },
  },
  {
    id: "mark",
    says: "the request for a trial boot",
    needs: ["update", "trial"],
    prepare: async (stand) => {
      const file = await stand.forge.update();
      await stand.program(file, { what: "a good update, not asked for", noRequest: true });
      const hash = Uint8Array.from(Buffer.from(imageHashOf(file)!, "hex"));
      return {
        ...(await ready(stand, file)),
        act: async (on, signal) => void (await on.client.send(imageMark, { hash }, { signal, retries: 0 })),
      };
    },
  },
  {
    id: "confirm",
    says: "the confirmation",
    needs: ["update", "trial"],
    prepare: async (stand) => {
      const file = await stand.forge.update();
      await stand.program(file, { what: "a good update, for one trial boot" });
      return {
        ...(await ready(stand, file)),
        act: async (on, signal) =>
          void (await on.client.send(imageMark, { confirm: true }, { signal, retries: 0 })),
      };
    },
  },
];

/** Power fails. Nothing may be lost but the moment. */
export const powerCut: readonly Case[] = [
  ...STORIES.map(
    (story): Case => ({
      id: `power-cut/${story.id}`,
      claim,
      says: `Power may fail at any flash operation of ${story.says}.`,
      needs: ["programmer", "cut", ...story.needs],
      risk: "primary slot",
      expected:
        "After each cut the old or the new image starts, and two boots later the one that is due runs; the stored security counter never goes back.",
      ...(story.id === "swap" ? { quick: true } : {}),
      steps: (stand) => stepped(stand, story),
    }),
  ),
  {
    id: "power-cut/random",
    claim,
    says: "Power may fail at any flash operation of any of these, and again while the board repairs what the first cut left.",
    needs: ["programmer", "cut", "update"],
    risk: "primary slot",
    expected:
      "After each cut the old or the new image starts, and two boots later the one that is due runs; the stored security counter never goes back.",
    steps: random,
  },
  {
    id: "power-cut/upload",
    claim,
    says: "Power may fail during an upload; the upload can be done again.",
    needs: ["secondary", "update", "power"],
    risk: "secondary slot",
    control: "update-over-smp",
    expected: "After each cut the old image runs; a second upload starts.",
    steps: duringUpload,
  },
  {
    id: "power-cut/timed",
    claim,
    says: "Power may fail at any moment of the boot that brings a new image in.",
    needs: ["secondary", "update", "power", "trial"],
    risk: "primary slot",
    control: "update",
    expected: "After each cut the old or the new image runs.",
    steps: timed,
  },
];

async function higher(stand: Stand): Promise<Uint8Array> {
  const counter = stand.forge.counter;
  return stand.forge.make(counter === undefined ? {} : { counter: counter + 1 });
}

async function trialBoot(stand: Stand, file: Uint8Array): Promise<void> {
  const { fate, shows } = await stand.offer(file, { what: "an update, for one trial boot" });
  if (fate !== "started") throw stand.notJudged(`The update did not start: ${shows}.`);
}

async function ready(
  stand: Stand,
  file: Uint8Array,
  old: Uint8Array = stand.forge.baseFile,
): Promise<Prepared> {
  await stand.powerOff();
  return {
    flash: stand.readAll(),
    good: { [imageHashOf(old)!]: "old image", [imageHashOf(file)!]: "new image" },
  };
}

/** Finds out what the board comes to without a cut: with one it must come to the same. */
async function settled(stand: Stand, prepared: Prepared): Promise<Prepared> {
  await stand.writeAll(prepared.flash);
  await stand.bootAndGlance();
  const { hash } = await stand.bootAndGlance();
  const settles = prepared.good[hash ?? ""];
  if (settles === undefined) throw stand.notJudged("Even without a power cut none of the two images runs.");
  stand.note(`without a power cut the ${settles} runs in the end`);
  await stand.writeAll(prepared.flash);
  return { ...prepared, settles };
}

/** The cut that a run is made with; whether power failed in it. */
async function cutOnce(stand: Stand, prepared: Prepared, cut: CutPlan): Promise<boolean> {
  await stand.writeAll(prepared.flash);
  return cutAgain(stand, prepared, cut);
}

async function cutAgain(stand: Stand, { act }: Prepared, cut: CutPlan): Promise<boolean> {
  const gone = new AbortController();
  const stop = stand.board.onPowerLost(() => gone.abort());
  try {
    const start = await stand.bootWithCut(cut);
    if (start === "cut" || start === "recovery" || !act) return start === "cut";
    await act(stand, AbortSignal.any([gone.signal, stand.signal])).catch((error: unknown) => {
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
async function rangeOf(stand: Stand, prepared: Prepared): Promise<Range> {
  const { act, ...bootOnly } = prepared;
  const last = await countOperations(stand, prepared);
  const first = act ? (await countOperations(stand, bootOnly)) + 1 : 1;
  stand.note(`flash operations ${first} to ${last} after power-on`);
  return { first, last };
}

/** The largest number of an operation at which power still fails. */
async function countOperations(stand: Stand, prepared: Prepared): Promise<number> {
  const happens = (operation: number) => cutOnce(stand, prepared, { operation, kind: "before" });
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
async function aftermath(stand: Stand, prepared: Prepared, least: number | undefined): Promise<Judged> {
  let seen: Glance | undefined;
  let floor = least;
  for (let boot = 1; boot <= 2; boot++) {
    seen = await stand.bootAndGlance();
    if (seen.start !== "application") return { ended: `boot ${boot}: ${seen.start}`, ok: false };
    if (prepared.good[seen.hash ?? ""] === undefined)
      return { ended: `boot ${boot}: unknown image ${seen.hash?.slice(0, 12) ?? "without hash"}`, ok: false };
    if (floor !== undefined && (seen.counter ?? -1) < floor)
      return { ended: `boot ${boot}: stored counter ${seen.counter}, was ${floor}`, ok: false };
    floor = seen.counter;
  }
  const ended = prepared.good[seen!.hash!]!;
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
    return fails(`${count} of ${this.#cuts} power cuts went wrong${stopped}; the first: ${this.#wrong[0]}.`);
  }
}

async function stepped(stand: Stand, story: Story): Promise<Finding> {
  const prepared = await story.prepare(stand);
  const least = stand.home.counters[0];
  const range = await rangeOf(stand, prepared);
  if (range.last < range.first) return unjudged("There is no flash operation at which power could fail.");
  const tally = new Tally();
  for (const kind of ["before", "half-done"] as const) {
    for (const operation of spread(range, stand.options.cuts)) {
      stand.signal.throwIfAborted();
      if (tally.isClear) break;
      if (!(await cutOnce(stand, prepared, { operation, kind }))) continue;
      const judged = await aftermath(stand, prepared, least);
      stand.recorder.cut({ story: story.id, at: operation, unit: "operation", kind, ...judged });
      tally.count(`${kind} operation ${operation} of ${range.first} to ${range.last}`, judged);
    }
  }
  return (
    tally.fault ??
    holds(
      `${tally.cuts} cuts, flash operations ${range.first} to ${range.last} after power-on: each time the image that was due ran in the end (${tally.split}).`,
    )
  );
}

async function random(stand: Stand): Promise<Finding> {
  const dice = new Random(stand.options.seed);
  const ready = await prepareAll(stand);
  if (ready.length === 0) return unjudged("There is no flash operation at which power could fail.");
  const least = stand.home.counters[0];
  const wanted = stand.options.randomCuts;
  const start = performance.now();
  const tally = new Tally();
  for (let tries = 0; tally.cuts < wanted && !tally.isClear && tries < 4 * wanted; tries++) {
    stand.signal.throwIfAborted();
    const one = await cutAtRandom(stand, dice, dice.pick(ready));
    if (!one) continue;
    const { story, prepared, operation, kind, again } = one;
    const judged = await aftermath(stand, prepared, least);
    stand.recorder.cut({ story, at: operation, unit: "operation", kind, ...judged });
    tally.count(
      `cut ${tally.cuts + 1} (seed ${dice.seed}), ${kind} operation ${operation} of "${story}"`,
      judged,
      again,
    );
    stand.options.onCut?.(tally.cuts, wanted);
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  return (
    tally.fault ??
    holds(
      `${tally.cuts} random cuts (seed ${dice.seed}), ${tally.doubles} of them followed by a second one, in ${seconds} s: each time the image that was due ran in the end (${tally.split}); the counter never went back.`,
    )
  );
}

interface ReadyStory {
  readonly story: string;
  readonly prepared: Prepared;
  readonly range: Range;
}

/** Every story of this board that has flash operations at all. */
async function prepareAll(stand: Stand): Promise<ReadyStory[]> {
  const ready: ReadyStory[] = [];
  for (const story of STORIES) {
    if (story.needs.some((need) => stand.lacks(need) !== undefined)) continue;
    stand.note(story.says);
    await stand.goHome();
    const prepared = await story.prepare(stand);
    const range = await rangeOf(stand, prepared);
    if (range.last >= range.first) ready.push({ story: story.id, prepared, range });
  }
  return ready;
}

const AGAIN_SHARE = 0.25;
/** Operations within which the board's repair work is cut a second time. */
const AGAIN_WITHIN = 60;

/** One cut, and sometimes a second one while the board repairs what the first left. Undefined: power did not fail. */
async function cutAtRandom(stand: Stand, dice: Random, { story, prepared, range }: ReadyStory) {
  const operation = dice.whole(range.first, range.last);
  const kind = dice.pick(["before", "half-done"] as const);
  const wantsAgain = dice.next() < AGAIN_SHARE;
  const second = { operation: dice.whole(1, AGAIN_WITHIN), kind };
  if (!(await cutOnce(stand, prepared, { operation, kind }))) return undefined;
  const { act, ...bootOnly } = prepared;
  const again = wantsAgain && (await cutAgain(stand, bootOnly, second));
  return { story, prepared, operation, kind, again };
}

async function duringUpload(stand: Stand): Promise<Finding> {
  const file = await stand.forge.update();
  const dice = new Random(stand.options.seed);
  const own = stand.home.running?.hash;
  const count = Math.min(stand.options.cuts, 3);
  for (let turn = 1; turn <= count; turn++) {
    const stopAt = dice.whole(1, file.length - 1);
    stand.touch();
    for await (const event of upload(stand.session, file, { signal: stand.signal }))
      if (event.step === "sent" && event.sent >= stopAt) break;
    const sight = await stand.boot("power", `after power failed at byte ${stopAt}`);
    const ok = sight.running?.hash === own;
    stand.recorder.cut({
      story: "upload",
      at: stopAt,
      unit: "byte",
      kind: "before",
      ended: describe(sight),
      ok,
    });
    if (!ok) return fails(`Power failed at byte ${stopAt} of ${file.length}: ${describe(sight)}.`);
  }
  const { fate, shows } = await stand.offer(file, { what: "the same again, whole", through: "smp" });
  return fate === "started"
    ? holds(`${count} cuts: the old image ran each time, and at last the whole upload started.`)
    : fails(`After ${count} cuts a whole upload did not start: ${shows}.`);
}

async function timed(stand: Stand): Promise<Finding> {
  const file = await stand.forge.update();
  const dice = new Random(stand.options.seed);
  const good = { [stand.home.running!.hash!]: "old image", [imageHashOf(file)!]: "new image" };
  const count = Math.min(stand.options.cuts, 8);
  for (let turn = 1; turn <= count; turn++) {
    await stand.goHome();
    const refusal = await stand.ask(file, { what: "a good update, for one trial boot" });
    if (refusal !== undefined) return unjudged(`The update was not taken: ${refusal}`);
    const afterMs = Math.round(dice.next() * stand.options.bootMs);
    await stand.powerOff();
    await stand.board.powerOn();
    await delay(afterMs, undefined, { signal: stand.signal });
    const sight = await stand.boot("power", `after power failed ${afterMs} ms after it came`);
    const ended = good[sight.running?.hash ?? ""];
    const ok = ended !== undefined;
    stand.recorder.cut({
      story: "timed",
      at: afterMs,
      unit: "ms",
      kind: "before",
      ended: ended ?? describe(sight),
      ok,
    });
    if (!ok) return fails(`Power failed ${afterMs} ms after it came: ${describe(sight)}.`);
  }
  return holds(
    `${count} cuts at random moments (seed ${dice.seed}): the old or the new image ran each time.`,
  );
}
