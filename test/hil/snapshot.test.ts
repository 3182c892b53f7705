import { describe, expect, it } from "vitest";
import { newEvents, type Offer, offerOutcome, type Snapshot, snapshotOf } from "../../hil/snapshot.js";

const OLD = "aa".repeat(32);
const NEW = "bb".repeat(32);
const OTHER = "cc".repeat(32);

function snapshot(
  running: string | undefined,
  other: string | undefined,
  more: Partial<Snapshot> = {},
): Snapshot {
  const slot = (number: number, hash: string | undefined) => ({
    image: 0,
    slot: number,
    flags: [],
    ...(hash === undefined ? {} : { hash, version: "1.0.0" }),
  });
  return {
    label: "",
    state: "application",
    ...(running === undefined ? {} : { running: { version: "1.0.0", hash: running, confirmed: true } }),
    slots: [slot(0, running), slot(1, other)],
    counters: {},
    events: [],
    reportsEvents: false,
    reportsTrust: false,
    ...more,
  };
}

function outcome(after: Snapshot, more: Partial<Offer> = {}): string {
  return offerOutcome({
    before: snapshot(OLD, undefined),
    after,
    hash: NEW,
    place: { image: 0, slot: 1 },
    isOnlySlot: false,
    events: [],
    lines: [],
    picksByVersion: false,
    logMentionsSwaps: false,
    hasLog: true,
    ...more,
  }).outcome;
}

/** The old image runs from this slot. */
function running(slot: number): Snapshot {
  const flags = ["active"];
  return snapshot(OLD, undefined, { slots: [{ image: 0, slot, flags, hash: OLD, version: "1.0.0" }] });
}

const line = (text: string) => ({ at: 0, from: "console" as const, text });
const event = (type: string, slot = 1) => ({ type, image: 0, slot });

describe("what became of an offered image", () => {
  it.each<[string, Snapshot, Partial<Offer>, string]>([
    ["it runs", snapshot(NEW, OLD), {}, "started"],
    ["the old one runs, the slot is empty: erased", snapshot(OLD, undefined), {}, "refused"],
    // The version that runs never decides alone: this board may have lost the request, or tried and reverted.
    ["the old one runs, the slot still holds it, nothing says why", snapshot(OLD, NEW), {}, "unclear"],
    [
      "the old one runs again, and the other slot, which decides by itself, had started",
      snapshot(OLD, undefined),
      { before: running(0), picksByVersion: true, events: [event("started", 1)] },
      "started",
    ],
    [
      "the primary starts in every boot of a board that moves its images: that says nothing",
      snapshot(OLD, NEW),
      { before: running(0), events: [event("started", 0)] },
      "unclear",
    ],
    [
      "the only slot holds it, and the bootloader waits for another",
      snapshot(undefined, undefined, { state: "recovery" }),
      { place: { image: 0, slot: 0 }, isOnlySlot: true },
      "refused",
    ],
    [
      "the old one runs again after a revert",
      snapshot(OLD, NEW),
      { events: [event("swapped", 0)] },
      "started",
    ],
    [
      "reverted although the slot reads empty",
      snapshot(OLD, undefined),
      { events: [event("reverted", 0)] },
      "started",
    ],
    [
      "the bootloader reports the refusal",
      snapshot(OLD, NEW),
      { events: [event("verify-failed")] },
      "refused",
    ],
    [
      "MCUboot's log tells the refusal",
      snapshot(OLD, NEW),
      { lines: [line("E: Image in the secondary slot is not valid!")] },
      "refused",
    ],
    [
      "MCUboot's log tells the swap",
      snapshot(OLD, NEW),
      { lines: [line("I: Starting swap using offset algorithm.")] },
      "started",
    ],
    [
      "a request alone is no swap",
      snapshot(OLD, NEW),
      { lines: [line("I: Image index: 0, Swap type: test")] },
      "unclear",
    ],
    ["a log that tells of swaps is silent", snapshot(OLD, NEW), { logMentionsSwaps: true }, "passed-over"],
    [
      "a bootloader that reports swaps reports none",
      snapshot(OLD, NEW, { reportsTrust: true, reportsEvents: true }),
      {},
      "passed-over",
    ],
    [
      "a board that reports its mode and no events is silent about refusals too",
      snapshot(OLD, NEW, { reportsTrust: true }),
      {},
      "unclear",
    ],
    [
      "two slots may run, the lower version does",
      snapshot(OLD, NEW),
      { picksByVersion: true },
      "passed-over",
    ],
    ["recovery came", snapshot(undefined, undefined, { state: "recovery" }), {}, "stopped"],
    [
      "nobody answers, but its log goes on: it may only be deaf",
      snapshot(undefined, undefined, { state: "silent" }),
      { lines: [line("*** Booting Zephyr OS")] },
      "unclear",
    ],
    [
      "nobody answers, and the log told of the swap",
      snapshot(undefined, undefined, { state: "silent" }),
      { lines: [line("I: Starting swap using move")] },
      "started",
    ],
    [
      "what it held before runs, and that is not what ran",
      snapshot(OTHER, undefined),
      { before: snapshot(OLD, OTHER), hash: undefined },
      "unclear",
    ],
    [
      "what was nowhere on the board runs, though no hash can be read of the file",
      snapshot(OTHER, OLD),
      { hash: undefined },
      "started",
    ],
    [
      "what was brought in since then runs on",
      snapshot(OTHER, NEW),
      { lately: snapshot(OTHER, OLD) },
      "unclear",
    ],
    [
      "the same, whatever the log says",
      snapshot(OTHER, OLD),
      { hash: undefined, lines: [line("E: Image in the secondary slot is not valid!")] },
      "started",
    ],
    [
      "nobody answers, whatever it reported before",
      snapshot(undefined, undefined, { state: "silent" }),
      { events: [event("verify-failed")] },
      "stopped",
    ],
  ])("%s", (_, after, more, expected) => {
    expect(outcome(after, more)).toBe(expected);
  });
});

describe("events since an earlier look", () => {
  const events = (...types: string[]) => types.map((type) => event(type));
  const seen = (boots: number, ...types: string[]) =>
    snapshot(OLD, undefined, { boots, events: events(...types) });

  it.each<[string, Snapshot, Snapshot, string[]]>([
    ["power was off: all of them", seen(3, "started"), seen(1, "started", "swapped"), ["started", "swapped"]],
    ["more of them", seen(1, "started"), seen(2, "started", "swapped"), ["swapped"]],
    ["the oldest were dropped", seen(5, "a", "b", "c"), seen(6, "b", "c", "d"), ["d"]],
    [
      "boots are not counted: what was there before may be old",
      { ...seen(0, "verify-failed"), boots: undefined } as unknown as Snapshot,
      { ...seen(0, "verify-failed", "started"), boots: undefined } as unknown as Snapshot,
      ["started"],
    ],
    ["all were dropped", seen(5, "a", "b"), seen(9, "x", "y"), ["x", "y"]],
  ])("%s", (_, before, after, expected) => {
    expect(newEvents(before, after).map(({ type }) => type)).toEqual(expected);
  });
});

it.each(["device", "bootloader-info"] as const)("a stored counter is taken from: %s", (source) => {
  const snapshot = snapshotOf(
    {
      name: "board",
      server: "application",
      bufSize: 384,
      bufSizeFrom: "server",
      images: [
        { image: 0, storedCounter: { value: 7, source }, slots: [] },
        { image: 1, slots: [] },
      ],
      reportsTrust: false,
    },
    "home",
  );
  expect(snapshot.counters).toEqual({ 0: 7 });
});
