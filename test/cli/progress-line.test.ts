import { expect, it } from "vitest";
import { progressLine } from "../../src/cli/output.js";

const half = {
  label: "sending",
  done: 25_000,
  total: 50_000,
  unit: "bytes",
  movedBefore: 0,
  elapsedMs: 5000,
};

it("tells rate and time left where there is room", () => {
  expect(progressLine(half, 120)).toBe(
    "sending [############............]  50 %  25000 of 50000 bytes  5.0 kB/s, 5 s left",
  );
});

it.each([20, 40, 60, 80, 200])("fits %i columns", (columns) => {
  const line = progressLine(half, columns);
  expect(line.length).toBeLessThan(columns);
  expect(line).toContain("50 %");
});

it("counts a resumed upload from where it went on", () => {
  expect(progressLine({ ...half, movedBefore: 20_000 }, 120)).toContain("1.0 kB/s, 25 s left");
});

it("tells no rate before there is one, nor at the end, nor in a file", () => {
  for (const quiet of [{ elapsedMs: 0 }, { elapsedMs: 200 }, { done: 50_000 }, { movedBefore: 25_000 }])
    expect(progressLine({ ...half, ...quiet }, undefined)).toMatch(/of 50000 bytes$/);
});
