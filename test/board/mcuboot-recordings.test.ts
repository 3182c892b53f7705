import { describe, expect, test } from "vitest";
import { provisionOf } from "../support/mcuboot-board.js";
import { DEVIATIONS, type Deviation, explain } from "../support/mcuboot-deviations.js";
import { imageBytes, imageNames, readRecording, recordingNames } from "../support/mcuboot-recordings.js";
import { type Difference, newTally, Replay } from "../support/mcuboot-replay.js";

/** Scenarios in which each deviation was met. */
const met = new Map<Deviation, Set<string>>();
const replayed = new Set<string>();
const tally = newTally();

function told(scenario: string, { what, where, expected, got }: Difference): string {
  const short = (value: unknown) => JSON.stringify(value)?.slice(0, 200);
  return `${scenario}, ${where}: ${what}: MCUboot ${short(expected)}, ours ${short(got)}`;
}

describe("the bootloader against recordings of MCUboot", () => {
  test("every recorded image is built from its recipe", () => {
    expect(imageNames().length).toBeGreaterThan(300);
    for (const name of imageNames()) expect(imageBytes(name).length).toBeGreaterThan(0);
  });

  test.each(recordingNames())(
    "%s: result, image, counter, trailers, slots, operations, power cuts",
    (name) => {
      const recording = readRecording(name);
      const unexplained: string[] = [];
      for (const scenario of recording.scenarios) {
        for (const difference of new Replay(recording, provisionOf(recording.config), tally).run(scenario)) {
          const deviation = explain(name, scenario.name, difference);
          if (!deviation) unexplained.push(told(scenario.name, difference));
          else
            met.set(
              deviation,
              (met.get(deviation) ?? new Set()).add(`${name}/${scenario.group}/${scenario.name}`),
            );
        }
      }
      replayed.add(name);
      expect(unexplained).toEqual([]);
    },
    300_000,
  );

  test("nothing was left out", () => {
    expect([...replayed].sort()).toEqual(recordingNames());
    expect(tally).toMatchObject({ scenarios: 2070, sweeps: 97 });
    // of our own boot, one for each flash operation; MCUboot's differ only where a deviation says so
    expect(tally.cuts).toBeGreaterThan(2700);
    expect(tally.secondCuts).toBeGreaterThan(750);
  });

  test("every listed deviation still happens, in as many scenarios as listed", () => {
    for (const deviation of DEVIATIONS)
      expect([...(met.get(deviation) ?? [])], deviation.reason).toHaveLength(deviation.count);
  });
});
