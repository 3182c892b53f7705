import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Patience, timeLeft } from "../../hil/harness/patience.js";

describe("the time that a silent board has had", () => {
  const look = (at: number, withheld: Record<string, number>) => ({
    at,
    withheld: new Map(Object.entries(withheld)),
  });

  it("is the clock's, without what the host withheld from the thread that waited longest", () => {
    expect(timeLeft(look(1000, { a: 10, b: 500 }), look(2000, { a: 20, b: 1300 }))).toBe(200);
    expect(timeLeft(look(1000, {}), look(2000, {}))).toBe(1000);
  });

  it("a thread that is new has waited for nothing yet, and none waits longer than there was time", () => {
    expect(timeLeft(look(0, { a: 5 }), look(100, { a: 5, b: 70_000 }))).toBe(100);
    expect(timeLeft(look(0, { a: 5 }), look(100, { a: 5000 }))).toBe(0);
  });

  it("ends, with and without a process of our own beside us", async () => {
    const child = spawn(process.execPath, ["-e", "for (;;);"]);
    try {
      const patience = new Patience(50);
      while (!patience.isOver) await delay(10);
    } finally {
      child.kill("SIGKILL");
    }
    const again = new Patience(0);
    expect(again.isOver).toBe(true);
  });
});
