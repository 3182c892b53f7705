import fc from "fast-check";
import { expect, it } from "vitest";
import { RttEstimator } from "../../src/client/rtt-estimator.js";

const MOST = 2500;

/** When a wire is free for a message is reckoned; an emulated UART is sometimes done long before. */
it("waits a while and no longer than the most, whatever the reckoning made of earlier answers", () => {
  const event = fc.oneof(
    fc.record({
      length: fc.integer({ min: 1, max: 4096 }),
      ms: fc.double({ min: -1e6, max: 1e4, noNaN: true }),
    }),
    fc.constant("silence" as const),
    fc.constant("too hasty" as const),
  );
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 40 }),
      fc.integer({ min: 1, max: 4096 }),
      fc.integer({ min: 1, max: 8 }),
      fc.boolean(),
      (events, length, window, isNoisy) => {
        const times = new RttEstimator();
        for (const one of events) {
          if (one === "silence") times.backOff();
          else if (one === "too hasty") times.tooHasty();
          else times.answered(one.length, one.ms);
        }
        const waits = times.waitMs(length, MOST, { window, isNoisy });
        expect(waits).toBeGreaterThanOrEqual(2);
        expect(waits).toBeLessThanOrEqual(MOST);
      },
    ),
  );
});
