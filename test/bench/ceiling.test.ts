import { expect, test } from "vitest";
import { onWire, pipedCeiling, waitingCeiling } from "./ceiling.js";

/**
 * The table of the project's facts (peers.md, section 2), worked out by another program: framing, buffer, data, request on the
 * wire, kB/s at 115200 waiting with 0, 5 and 16 ms, piped, and the same at 1 Mbaud.
 */
const TABLE = [
  ["console", 256, 227, 353, [6.67, 5.82, 4.54, 7.41], [57.9, 25.4, 11.4, 64.3]],
  ["console", 384, 354, 527, [7.21, 6.54, 5.44, 7.74], [62.5, 33.2, 16.3, 67.2]],
  ["console", 1024, 994, 1404, [7.94, 7.63, 7.04, 8.16], [68.9, 51.2, 32.7, 70.8]],
  ["console", 2048, 2018, 2801, [8.19, 8.02, 7.69, 8.3], [71.1, 60.4, 45.5, 72.0]],
  ["raw", 256, 231, 256, [9.54, 7.91, 5.74, 10.4], [82.8, 29.7, 12.3, 90.2]],
  ["raw", 384, 358, 384, [10.13, 8.88, 6.97, 10.74], [88.0, 39.5, 17.8, 93.2]],
  ["raw", 1024, 998, 1024, [10.98, 10.41, 9.34, 11.23], [95.3, 64.5, 37.7, 97.5]],
  ["raw", 2048, 2022, 2048, [11.25, 10.94, 10.33, 11.37], [97.6, 78.6, 55.1, 98.7]],
] as const;

const DELAYS = [0, 5, 16] as const;

test.each(TABLE)("%s, %i bytes", (framing, buffer, data, request, slow, fast) => {
  expect(onWire({ framing, buffer, baud: 115200, delayMs: 0 })).toMatchObject({ data, request });
  for (const [baud, row, printed] of [
    [115200, slow, 0.01],
    [1_000_000, fast, 0.1],
  ] as const) {
    const rates = DELAYS.map((delayMs) => waitingCeiling({ framing, buffer, baud, delayMs }));
    rates.push(pipedCeiling({ framing, buffer, baud, delayMs: 0 }));
    // Half a unit of the last printed digit; the other program rounds halves to even.
    for (const [index, rate] of rates.entries())
      expect(Math.abs(rate / 1000 - row[index]!)).toBeLessThan(printed * 0.501);
  }
});
