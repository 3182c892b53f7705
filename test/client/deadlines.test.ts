import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { Deadlines } from "../../src/client/deadlines.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/** Deadlines after so many milliseconds, and when each was told of. */
function started(...afterMs: readonly number[]) {
  const deadlines = new Deadlines();
  const start = performance.now();
  const rung: [afterMs: number, atMs: number][] = [];
  const all = afterMs.map((ms) => {
    const deadline = {
      dueAt: start + ms,
      due: () => void rung.push([ms, Math.round(performance.now() - start)]),
    };
    deadlines.add(deadline);
    return deadline;
  });
  return { deadlines, all, rung };
}

test("each is told at its time, whatever the order in which they were set", () =>
  inVirtualTime(async () => {
    const { rung } = started(300, 100, 200, 100);
    await delay(1000);
    expect(rung).toEqual([
      [100, 100],
      [100, 100],
      [200, 200],
      [300, 300],
    ]);
  }));

test("what came in time is not told of, and the others are", () =>
  inVirtualTime(async () => {
    const { deadlines, all, rung } = started(100, 200, 300);
    await delay(50);
    deadlines.delete(all[0]!);
    await delay(200);
    deadlines.delete(all[2]!);
    await delay(1000);
    expect(rung).toEqual([[200, 200]]);
  }));

test("one that is set after all others came is told of too", () =>
  inVirtualTime(async () => {
    const { deadlines, all, rung } = started(100);
    deadlines.delete(all[0]!);
    await delay(500);
    deadlines.add({ dueAt: performance.now() + 50, due: () => void rung.push([550, 0]) });
    await delay(100);
    expect(rung).toEqual([[550, 0]]);
  }));

test("no timer is left when the last one is told of after the others were given up", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const { deadlines, all, rung } = started(100, 60_000);
  vi.advanceTimersToNextTimer();
  deadlines.delete(all[1]!);
  vi.advanceTimersToNextTimer();
  expect(rung.map(([afterMs]) => afterMs)).toEqual([100]);
  expect(vi.getTimerCount()).toBe(0);
});
