import { runWorkflow, upload } from "bootproof";
import { largestImage } from "bootproof/mcuboot";
import { imageMark } from "bootproof/smp";
import type { Need } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { areaOf, geometryOf } from "../flash-layout.js";
import type { Harness } from "../harness/harness.js";
import { NotJudged } from "../harness/not-judged.js";

/** A stretch of a board's life in which power can fail. */
export interface Scenario {
  readonly id: "swap" | "trial" | "smaller" | "permanent" | "revert" | "counter" | "mark" | "confirm";
  readonly summary: string;
  readonly needs: readonly Need[];
  /** Other cases that must hold before this scenario means what it says. */
  readonly assumes?: readonly string[];
  /** Brings the board to the start of the stretch and leaves it off. */
  prepare(harness: Harness): Promise<Prepared>;
}

export interface Prepared {
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
export const WAITS = ["trial/waits-for-confirmation"] as const;

/** The slot may have fewer sectors than that. */
function muchLarger({ traits: { layout, mode }, factory }: Harness): number {
  const room = largestImage(mode ?? "swap-move", geometryOf(layout)) - factory.baseFile.length;
  return Math.min(MUCH_LARGER_SECTORS * areaOf(layout, { image: 0, slot: 0 }).rest, room - SPARE_BYTES);
}

/** Signatures differ in length. */
const SPARE_BYTES = 256;

export const SCENARIOS: readonly Scenario[] = [
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
