/** Replays a share of the recordings as tests of one file; each file of its own process takes another share. */
import { describe, expect, test } from "vitest";
import { provisionOf } from "./mcuboot-board.js";
import { DEVIATIONS, type Deviation, explain } from "./mcuboot-deviations.js";
import { readRecording, recordingNames } from "./mcuboot-recordings.js";
import { type Difference, newTally, Replay } from "./mcuboot-replay.js";

/** Everything, and not a sample of the power cuts: minutes instead of seconds. */
export const REPLAYS_ALL = process.env.BOOTPROOF_ALL_RECORDINGS !== undefined;
/** Of the power cuts, one in so many is tried without it. Which ones depends on the seed. */
const SAMPLE = 16;
const SEED = Number(process.env.BOOTPROOF_SEED ?? 1);

export interface Share {
  /** How many there are. */
  scenarios: number;
  /** Scenarios in which each deviation is met, in the order of the list; 0 where it is left out. */
  deviations: Readonly<Record<string, number>>;
}

function told(scenario: string, { what, where, expected, got }: Difference): string {
  const short = (value: unknown) => JSON.stringify(value)?.slice(0, 200);
  return `${scenario}, ${where}: ${what}: MCUboot ${short(expected)}, ours ${short(got)}`;
}

/** Declares the tests for all recordings whose name matches. */
export function replayRecordings(pattern: RegExp, share: Share): void {
  const names = recordingNames().filter((name) => pattern.test(name));
  const met = new Map<Deviation, Set<string>>();
  const tally = newTally();
  const replayed: string[] = [];

  describe(`recordings ${pattern.source}${REPLAYS_ALL ? "" : `, one power cut in ${SAMPLE}, seed ${SEED}`}`, () => {
    test.each(names)(
      "%s: result, image, counter, trailers, slots, operations, power cuts",
      (name) => {
        const recording = readRecording(name);
        const provision = provisionOf(recording.config);
        const unexplained: string[] = [];
        const sample = REPLAYS_ALL ? undefined : { oneIn: SAMPLE, seed: SEED };
        for (const scenario of recording.scenarios) {
          const differences = new Replay(recording, provision, tally, sample).run(scenario);
          for (const { difference, deviation } of explain(recording, provision, scenario, differences)) {
            if (!deviation) unexplained.push(told(scenario.name, difference));
            else
              met.set(
                deviation,
                (met.get(deviation) ?? new Set()).add(`${name}/${scenario.group}/${scenario.name}`),
              );
          }
        }
        replayed.push(name);
        expect(unexplained).toEqual([]);
      },
      900_000,
    );

    test("nothing was left out", () => {
      expect(replayed.sort()).toEqual(names);
      expect(tally.scenarios).toBe(share.scenarios);
      if (REPLAYS_ALL) console.log(JSON.stringify(tally));
    });

    test("the listed deviations are met, in as many scenarios as listed", () => {
      const counts = DEVIATIONS.map((deviation) => [deviation.id, met.get(deviation)?.size ?? 0] as const);
      // a sample of the cuts may miss one
      const compared = REPLAYS_ALL
        ? counts
        : counts.filter(([id]) => !DEVIATIONS.find((one) => one.id === id)!.onlyAtCuts);
      expect(Object.fromEntries(compared)).toEqual(
        Object.fromEntries(compared.map(([id]) => [id, share.deviations[id] ?? 0])),
      );
    });
  });
}
