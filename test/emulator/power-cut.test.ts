import { beforeAll, describe, expect, it } from "vitest";
import { boardVariant } from "../../src/emulator/catalog.js";
import type { CutKind } from "../../src/emulator/flash.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import {
  type Bench,
  factoryBench,
  primaryVersion,
  requestByTrailer,
  storedCounter,
  upload,
} from "../support/board-bench.js";
import { CONFIRM, IMAGE_STATE, imageUpload, markForTest } from "../support/board-frames.js";

/**
 * Power fails before, and in the middle of, every single flash operation. Afterwards a valid image always boots,
 * the board ends where it was asked to go, and the stored counter never goes back.
 */

/** A scenario of the board: what happens from `start` on, and where it must end when power failed on the way. */
interface Scenario {
  start: Bench;
  act: (bench: Bench) => void;
  /** The first operation of `act` at which power fails; the ones before are another scenario. Default 1. */
  first?: number;
  /** Looks at the board after it was cut and booted again. */
  check: (bench: Bench) => void;
}

let fresh: Bench;
let trial: Bench;
let tested: Bench;
let confirmed: Bench;
let newHash: Uint8Array;
let newImage: Uint8Array;
let turning: Awaited<ReturnType<typeof counterAboutToTurn>>;

beforeAll(async () => {
  fresh = await factoryBench();
  fresh.powerCycle();
  newHash = await upload(fresh, "good-b");
  newImage = await signedFixture("good-b", "wasm", boardVariant("good"));
  trial = fresh.copy();
  requestByTrailer(trial, false);
  tested = trial.copy();
  boots(tested, "2.0.0");
  confirmed = trial.copy();
  boots(confirmed, "2.0.0");
  confirmed.ask(CONFIRM);
  turning = await counterAboutToTurn();
});

describe.each(["before", "half-done"] as const)("power fails (%s) at every flash operation", (kind) => {
  it("of a test swap: the new image runs, an unconfirmed one goes back", () => {
    sweep(kind, {
      start: trial,
      act: (bench) => bench.powerCycle(),
      check: (bench) => {
        // Power that fails when all is swapped, but before the new image has started, takes its only trial away.
        boots(bench, isSwapComplete(bench) ? "1.0.0" : "2.0.0");
        expect(storedCounter(bench)).toBe(1);
        boots(bench, "1.0.0");
        expect(storedCounter(bench)).toBe(1);
      },
    });
  });

  it("of a permanent swap: the new image runs and stays", () => {
    const start = fresh.copy();
    requestByTrailer(start, true);
    sweep(kind, {
      start,
      act: (bench) => bench.powerCycle(),
      check: (bench) => {
        boots(bench, "2.0.0");
        boots(bench, "2.0.0");
        expect(storedCounter(bench)).toBe(2);
      },
    });
  });

  it("of a revert: the old image runs and stays", () => {
    sweep(kind, {
      start: tested,
      act: (bench) => bench.powerCycle(),
      check: (bench) => {
        boots(bench, "1.0.0");
        boots(bench, "1.0.0");
        expect(storedCounter(bench)).toBe(1);
      },
    });
  });

  it("of a counter advance: it has the old value or the new one, then the new one", () => {
    sweep(kind, {
      start: confirmed,
      act: (bench) => bench.powerCycle(),
      check: (bench) => {
        boots(bench, "2.0.0");
        expect(storedCounter(bench)).toBe(2);
      },
    });
  });

  it("of an advance that moves the counter to its other sector: an image below the old value stays refused", () => {
    const { start, counter, older } = turning;
    sweep(kind, {
      start,
      act: (bench) => bench.powerCycle(),
      check: (bench) => {
        const other = bench.copy();
        other.flash.program(slotOffset(0, 0), older);
        expect(other.powerCycle().kind, other.log).toBe("idle");
        boots(bench, "1.0.0");
        expect(storedCounter(bench)).toBe(counter);
      },
    });
  });

  it("of an upload: the old image runs, and a second upload works", () => {
    const start = fresh.copy();
    start.flash.program(slotOffset(0, 1), new Uint8Array(LAYOUT.slotSize).fill(0xff));
    sweep(kind, {
      start,
      act: (bench) => {
        bench.powerCycle();
        send(bench, newImage);
      },
      check: (bench) => {
        boots(bench, "1.0.0");
        send(bench, newImage);
        expect(slotHash(bench, 1)).toEqual(newHash);
      },
    });
  });

  it("of marking the new image for test: the old one runs, or the new one on trial", () => {
    sweep(kind, {
      start: fresh,
      act: (bench) => {
        bench.powerCycle();
        bench.ask(markForTest(newHash));
      },
      check: (bench) => {
        expect(bench.powerCycle().kind).toBe("start-image");
        expect(["1.0.0", "2.0.0"]).toContain(primaryVersion(bench));
        expect(storedCounter(bench)).toBe(1);
        boots(bench, "1.0.0");
      },
    });
  });

  it("of a confirm: the new image stays, or the old one comes back and stays", () => {
    sweep(kind, {
      start: trial,
      act: (bench) => {
        bench.powerCycle();
        bench.ask(CONFIRM);
      },
      first: tested.flash.operations + 1,
      check: (bench) => {
        expect(bench.powerCycle().kind).toBe("start-image");
        const version = primaryVersion(bench)!;
        expect(["1.0.0", "2.0.0"]).toContain(version);
        boots(bench, version);
        expect(storedCounter(bench)).toBe(version === "2.0.0" ? 2 : 1);
      },
    });
  });
});

/**
 * A board whose next boot advances the counter and has no room left in the sector: an image with each counter in turn
 * has been programmed and booted. `older` is an image two below.
 */
async function counterAboutToTurn(): Promise<{ start: Bench; counter: number; older: Uint8Array }> {
  const bench = await factoryBench();
  const recent: Uint8Array[] = [];
  for (let counter = 1; counter < 1000; counter++) {
    recent.push(await signedFixture("good-a", "wasm", boardVariant("good"), { counter }));
    bench.flash.program(slotOffset(0, 0), recent.at(-1)!);
    const start = bench.copy();
    const before = bench.flash.operations;
    bench.powerCycle();
    // One operation is a record more in the same sector.
    if (bench.flash.operations > before + 1) return { start, counter, older: recent.at(-3)! };
  }
  throw new Error("the counter's sector never fills");
}

/** Uploads over SMP from the start; stops when power fails. */
function send(bench: Bench, image: Uint8Array): void {
  for (let offset = 0; offset < image.length; ) {
    const answer = bench.ask(imageUpload(image, offset)) as { off?: number };
    if (answer.off === undefined) return;
    offset = answer.off;
  }
}

function slotHash(bench: Bench, slot: number): Uint8Array | undefined {
  const { images } = bench.ask(IMAGE_STATE) as { images: { slot: number; hash: Uint8Array }[] };
  const found = images.find((image) => image.slot === slot);
  return found && Buffer.from(found.hash);
}

/** copy_done in the primary's trailer (MCUboot, A = 8). */
function isSwapComplete(bench: Bench): boolean {
  return bench.flash.bytes[slotOffset(0, 0) + LAYOUT.slotSize - 32] === 1;
}

function boots(bench: Bench, version: string): void {
  expect(bench.powerCycle().kind, bench.log).toBe("start-image");
  expect(primaryVersion(bench), bench.log).toBe(version);
}

function sweep(kind: CutKind, { start, act, check, first = 1 }: Scenario): void {
  const uncut = start.copy();
  act(uncut);
  const last = uncut.flash.operations;
  expect(last).toBeGreaterThanOrEqual(first);
  for (let operation = first; operation <= last; operation++) {
    const bench = start.copy();
    bench.flash.cutAt(operation, kind);
    act(bench);
    expect(bench.flash.operations, "the cut happened").toBe(operation);
    try {
      check(bench);
    } catch (cause) {
      throw new Error(`power failed (${kind}) at operation ${operation} of ${last}`, { cause });
    }
  }
}
