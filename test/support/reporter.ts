import type { Reporter, TestModule } from "vitest/node";

/**
 * Ends a run with one plain line, names every skipped test with its reason, and in CI turns a skip into a failure: a
 * machine that lacks what a test needs must not look like one that passed it.
 */
export default class PlainEnding implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state);
    const skipped = count("skipped");
    const broken = modules.filter(
      (module) => module.state() === "failed" && [...module.children.allTests("failed")].length === 0,
    );

    for (const test of skipped) {
      const result = test.result();
      const why = ("note" in result && result.note) || "no reason given";
      console.log(`skipped: ${test.module.relativeModuleId} > ${test.fullName}: ${why}`);
    }
    const failed = count("failed").length + broken.length;
    console.log(`Tests: ${count("passed").length} passed, ${failed} failed, ${skipped.length} skipped`);
    if (process.env.CI !== undefined && skipped.length > 0) process.exitCode = 1;
  }
}
