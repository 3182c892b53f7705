import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BoardEntry } from "./board-files/board-entry.js";
import { entryOf, readBoardFile } from "./board-files/board-file.js";
import { proveBoard } from "./prove.js";
import { toHtml } from "./report/html.js";
import { toJunit } from "./report/junit.js";
import type { BoardResult, ProofReport } from "./result.js";
import { chooseCases } from "./run-cases.js";

/**
 * The vitest front: the same cases as `bootproof prove`, a test per board and case. BOOTPROOF_BOARDS names a board file;
 * without one the two emulated boards are taken. BOOTPROOF_QUICK=1 runs the most telling cases only,
 * BOOTPROOF_REPORTS names a folder for the page and the JUnit file.
 */
const { BOOTPROOF_BOARDS: boardFile, BOOTPROOF_QUICK: quickWanted, BOOTPROOF_REPORTS: reports } = process.env;
const quick = quickWanted !== undefined && quickWanted !== "";
const boards =
  boardFile === undefined ? [entryOf("wasm:good"), entryOf("qemu:good")] : readBoardFile(boardFile);
/** What the board claims; what it does not claim is nothing to be tested. */
const casesFor = ({ claims }: BoardEntry) => chooseCases({ quick, ...(claims && { claims }) });
const startedAt = new Date();
const results: BoardResult[] = [];
/** All boards at once, as `bootproof prove` does it; each describe waits for its own. */
const runs = new Map<BoardEntry, Promise<BoardResult>>();

beforeAll(() => {
  const signal = new AbortController().signal;
  for (const entry of boards)
    if (missing(entry) === undefined) runs.set(entry, proveBoard(entry, { signal, seed: 1, quick }));
});

/** Why a board is not here today; a missing board is a reason, not a pass. */
function missing({ reach }: BoardEntry): string | undefined {
  if (reach.kind !== "qemu") return undefined;
  const isThere = spawnSync("qemu-system-arm", ["--version"]).status === 0;
  return isThere ? undefined : "qemu-system-arm is not installed: sudo apt-get install qemu-system-arm";
}

describe.each(boards.map((entry) => ({ name: entry.name, entry })))("board $name", ({ entry }) => {
  const reason = missing(entry);
  let result: BoardResult | undefined;

  beforeAll(async () => {
    result = await runs.get(entry);
    if (result) results.push(result);
  });

  it("can be used, and runs its own image again afterwards", (context) => {
    if (reason !== undefined) return context.skip(reason);
    expect(result?.unusable).toBeUndefined();
    expect(result?.putBack.ok, result?.putBack.message).toBe(true);
  });

  it.for(casesFor(entry).map(({ id, summary }) => ({ id, summary })))("$id: $summary", ({ id }, context) => {
    if (reason !== undefined) return context.skip(reason);
    const found = result?.cases.find((one) => one.id === id);
    // A board with one key has no second one to be tried: that is no gap in what was asked.
    expect(["holds", "not-supported"], found?.observed ?? "it was not run").toContain(found?.verdict);
  });
});

afterAll(() => {
  if (reports === undefined) return;
  const report: ProofReport = {
    format: "bootproof proof 1",
    tool: { name: "bootproof", version: "of this repository" },
    startedAt: startedAt.toISOString(),
    elapsedMs: Date.now() - startedAt.getTime(),
    seed: 1,
    scope: quick ? "quick" : "full",
    interrupted: false,
    boards: results,
  };
  mkdirSync(reports, { recursive: true });
  writeFileSync(`${reports}/prove.html`, toHtml(report));
  writeFileSync(`${reports}/prove.xml`, toJunit(report));
});
