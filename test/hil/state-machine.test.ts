import { BootproofError } from "bootproof";
import { describe, expect, it } from "vitest";
import { type Move, Strategy, type Target, TRANSITIONS } from "../../hil/state-machine.js";

function strategyWith(broken?: Move) {
  const made: Move[] = [];
  const move = (name: Move) => async () => {
    made.push(name);
    if (name === broken) throw new BootproofError("stuck", `${name} is stuck (${made.length})`);
  };
  const moves = ["power-on", "power-off", "ask-recovery", "ask-restart"] as const;
  const strategy = new Strategy(Object.fromEntries(moves.map((name) => [name, move(name)])) as never);
  return { strategy, made };
}

describe("the strategy", () => {
  it.each(TRANSITIONS)("gets from %s to %s", async (from, to) => {
    const { strategy, made } = strategyWith();
    strategy.arrived(from);
    await strategy.to(to);
    expect(strategy.state).toBe(to);
    expect(made.length).toBeLessThanOrEqual(3);
  });

  it("has a way from everywhere to everywhere else", () => {
    for (const from of ["off", "app", "recovery", "silent"] as const)
      for (const to of ["off", "app", "recovery"] as Target[])
        if (from !== to) expect(TRANSITIONS.some(([a, b]) => a === from && b === to)).toBe(true);
  });

  it("reports the first cause again instead of trying again, until it is mended", async () => {
    const { strategy, made } = strategyWith("ask-recovery");
    strategy.arrived("app");
    await expect(strategy.to("recovery")).rejects.toThrow(/ask-recovery is stuck \(1\)/);
    await expect(strategy.to("recovery")).rejects.toThrow(/ask-recovery is stuck \(1\)/);
    expect(made).toEqual(["ask-recovery"]);
    strategy.mended("app");
    await expect(strategy.to("recovery")).rejects.toThrow(/stuck \(2\)/);
  });
});
