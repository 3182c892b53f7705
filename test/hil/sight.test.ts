import { describe, expect, it } from "vitest";
import { fateOf, newEvents, type Offer, type Sight, sightOf } from "../../hil/sight.js";

const OLD = "aa".repeat(32);
const NEW = "bb".repeat(32);

function sight(running: string | undefined, other: string | undefined, more: Partial<Sight> = {}): Sight {
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
    reportsTrust: false,
    ...more,
  };
}

function fate(after: Sight, more: Partial<Offer> = {}): string {
  return fateOf({
    before: sight(OLD, undefined),
    after,
    hash: NEW,
    image: 0,
    events: [],
    lines: [],
    picksByVersion: false,
    logTellsSwaps: false,
    ...more,
  }).fate;
}

const line = (text: string) => ({ at: 0, from: "console" as const, text });
const event = (type: string, slot = 1) => ({ type, image: 0, slot });

describe("what became of an offered image", () => {
  it.each<[string, Sight, Partial<Offer>, string]>([
    ["it runs", sight(NEW, OLD), {}, "started"],
    ["the old one runs, the slot is empty: erased", sight(OLD, undefined), {}, "refused"],
    // The version that runs never decides alone: this board may have lost the request, or tried and reverted.
    ["the old one runs, the slot still holds it, nothing says why", sight(OLD, NEW), {}, "unclear"],
    ["the old one runs again after a revert", sight(OLD, NEW), { events: [event("swapped", 0)] }, "started"],
    [
      "reverted although the slot reads empty",
      sight(OLD, undefined),
      { events: [event("reverted", 0)] },
      "started",
    ],
    ["the bootloader reports the refusal", sight(OLD, NEW), { events: [event("verify-failed")] }, "refused"],
    [
      "MCUboot's log tells the refusal",
      sight(OLD, NEW),
      { lines: [line("E: Image in the secondary slot is not valid!")] },
      "refused",
    ],
    [
      "MCUboot's log tells the swap",
      sight(OLD, NEW),
      { lines: [line("I: Starting swap using offset algorithm.")] },
      "started",
    ],
    [
      "a request alone is no swap",
      sight(OLD, NEW),
      { lines: [line("I: Image index: 0, Swap type: test")] },
      "unclear",
    ],
    ["a log that tells of swaps is silent", sight(OLD, NEW), { logTellsSwaps: true }, "passed-over"],
    [
      "a bootloader that reports swaps reports none",
      sight(OLD, NEW, { reportsTrust: true }),
      {},
      "passed-over",
    ],
    ["two slots may run, the lower version does", sight(OLD, NEW), { picksByVersion: true }, "passed-over"],
    ["recovery came", sight(undefined, undefined, { state: "recovery" }), {}, "stopped"],
    [
      "nobody answers, but its log goes on: it may only be deaf",
      sight(undefined, undefined, { state: "silent" }),
      { lines: [line("*** Booting Zephyr OS")] },
      "unclear",
    ],
    [
      "nobody answers, and the log told of the swap",
      sight(undefined, undefined, { state: "silent" }),
      { lines: [line("I: Starting swap using move")] },
      "started",
    ],
    [
      "nobody answers, whatever it reported before",
      sight(undefined, undefined, { state: "silent" }),
      { events: [event("verify-failed")] },
      "stopped",
    ],
  ])("%s", (_, after, more, expected) => {
    expect(fate(after, more)).toBe(expected);
  });
});

describe("events since an earlier look", () => {
  const events = (...types: string[]) => types.map((type) => event(type));
  const seen = (boots: number, ...types: string[]) =>
    sight(OLD, undefined, { boots, events: events(...types) });

  it.each<[string, Sight, Sight, string[]]>([
    ["power was off: all of them", seen(3, "started"), seen(1, "started", "swapped"), ["started", "swapped"]],
    ["more of them", seen(1, "started"), seen(2, "started", "swapped"), ["swapped"]],
    ["the oldest were dropped", seen(5, "a", "b", "c"), seen(6, "b", "c", "d"), ["d"]],
    ["all were dropped", seen(5, "a", "b"), seen(9, "x", "y"), ["x", "y"]],
  ])("%s", (_, before, after, expected) => {
    expect(newEvents(before, after).map(({ type }) => type)).toEqual(expected);
  });
});

it.each(["device", "bootloader-info"] as const)("a stored counter is taken from: %s", (source) => {
  const sight = sightOf(
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
  expect(sight.counters).toEqual({ 0: 7 });
});
