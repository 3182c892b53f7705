import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { describeWindows } from "../support/windows/describe-windows.js";
import { inWindows, windowsPath } from "../support/windows/wine.js";

/**
 * Tests of this repository that Node for Windows runs as they are: those that say most in the least time. Left out are
 * those that start programs of Linux or read its device trees.
 */
const FILES = [
  "bytes",
  "smp/capacity",
  "smp/cbor",
  "smp/command-reference",
  "smp/console-text",
  "smp/error-codes",
  "smp/groups",
  "smp/header",
  "smp/message",
  "smp/raw",
  "smp/rc",
  "smp/schema",
  "smp/setting-value",
  "smp/vectors",
  "formats/elf",
  "formats/intel-hex",
  "formats/text-damage",
  "crypto/providers",
  "crypto/signature-algorithms",
  "profiles/boards",
  "dfu/file",
  "dfu/memory",
  "dfu/status",
  "mcuboot/built-by-others",
  "mcuboot/encryption",
  "mcuboot/image",
  "mcuboot/odd-images",
  "mcuboot/on-the-board",
  "mcuboot/sign-known-answers",
  "mcuboot/signing-request",
  "mcuboot/trailer",
  "mcuboot/upgrade-modes",
  "mcuboot/verify",
  "trust/policy",
  "transport/address",
  "devices/windows-ports",
  "session/counters",
  "emulator/flash",
  "emulator/provision",
  "emulator/wasm",
  "update/mode-checks",
  "update/payload",
  "update/preflight",
  "update/upload",
  "cli/exit",
].map((name) => `test/${name}.test.ts`);

/** Fewer, and something was not run that was run when this was written. */
const LEAST = 2000;

/** What vitest's own report says, as far as it is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numTotalTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

describeWindows("the rooms", (windows) => {
  it("pass their tests on Windows, none left out", async () => {
    const report = join(windows.tree, "report.json");
    const words = [
      windowsPath(join(windows.tree, "../node_modules/vitest/vitest.mjs")),
      "run",
      ...["--config", "test/windows/inside.config.ts"],
      ...["--reporter", "json", "--outputFile", "report.json"],
      ...FILES,
    ];
    const { status, stdout, stderr } = await inWindows(windows, windows.node, words, { limitMs: 600_000 });
    expect(existsSync(report), `${stdout.slice(-2000)}${stderr.slice(-2000)}`).toBe(true);
    const { numPassedTests, numTotalTests, testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
    const others = testResults.flatMap(({ name, message, assertionResults }) => [
      ...(message === "" ? [] : [`${name}: ${message}`]),
      ...assertionResults
        .filter((one) => one.status !== "passed")
        .map((one) => `${name}: ${one.fullName}: ${one.status} ${one.failureMessages?.[0] ?? ""}`),
    ]);
    expect(others).toEqual([]);
    const run = testResults.map(({ name }) => /test\/.*/.exec(name.replaceAll("\\", "/"))?.[0]);
    expect(run.toSorted()).toEqual(FILES.toSorted());
    console.log(`On Windows: ${numPassedTests} tests of ${FILES.length} files`);
    expect(numPassedTests).toBe(numTotalTests);
    expect(numPassedTests).toBeGreaterThanOrEqual(LEAST);
    expect(status).toBe(0);
  }, 660_000);
});
