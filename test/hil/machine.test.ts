import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boardVariant, fixtureKeyPath, signedFixture } from "bootproof/boards";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseBoardFile } from "../../hil/board-files/board-file.js";
import { wordsOf } from "../../hil/boards/machine.js";
import { deadRuns } from "../../hil/journal.js";
import { proveBoard } from "../../hil/prove.js";

/** Firmware of a user's in an emulator of a user's. Whether that keeps its flash nobody has to say. */
const MACHINE = fileURLToPath(new URL("../support/machine.mjs", import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "machine-"));
  const own = { version: "3.0.0", counter: 4 };
  writeFileSync(join(folder, "own.bin"), await signedFixture("good-a", "wasm", boardVariant("good"), own));
});
afterEach(() => rmSync(folder, { recursive: true }));

function prove(flash: string, cases: readonly string[]) {
  const text = `
boards:
  - name: machine
    kind: machine
    launch: ${process.execPath} ${MACHINE} {port} own.bin ${flash}
    image: own.bin
    starts-within-ms: 60000
    keys: { signing: ${fixtureKeyPath("ed25519-1")} }
`;
  const entry = parseBoardFile(join(folder, "bench.yaml"), text)[0]!;
  const signal = new AbortController().signal;
  return proveBoard(entry, { signal, seed: 5, cases, cuts: 1, journals: join(folder, "journals") });
}

describe("an emulated machine of a user's", () => {
  it("that keeps its flash is put back by what it is sent, and its power is really cut", async () => {
    const result = await prove("flash.bin", ["power-cut/upload"]);
    expect(result.unusable).toBeUndefined();
    expect(
      result.cases.map(({ id, verdict, observed }) => [id, verdict, verdict === "holds" ? "" : observed]),
    ).toEqual([["power-cut/upload", "holds", ""]]);
    expect(result.putBack.ok, result.putBack.message).toBe(true);
    expect(deadRuns(join(folder, "journals"))).toEqual([]);
  });

  it("that forgets it is asked nothing that a power cut could show", async () => {
    const result = await prove("", ["authenticity/unsigned", "power-cut/upload"]);
    expect(result.cases.map(({ id, verdict }) => [id, verdict])).toEqual([
      ["authenticity/unsigned", "holds"],
      ["power-cut/upload", "not-judged"],
    ]);
    expect(result.cases[1]?.observed).toMatch(/loses its flash contents/);
    expect(result.putBack.ok, result.putBack.message).toBe(true);
  });
});

it("a program that cannot even be tried makes the board unusable, and is no fault of bootproof's", async () => {
  const text = `
boards:
  - name: machine
    kind: machine
    launch: '"" {port}'
    image: own.bin
    keys: { signing: ${fixtureKeyPath("ed25519-1")} }
`;
  const entry = parseBoardFile(join(folder, "bench.yaml"), text)[0]!;
  const { signal } = new AbortController();
  const result = await proveBoard(entry, { signal, seed: 5, cases: [], journals: join(folder, "journals") });
  expect(result.unusable).toContain("The emulator of machine cannot be started");
});

it("a launch line may hold folders with blanks in double quotes", () => {
  expect(wordsOf('"C:\\Program Files\\qemu\\qemu.exe" -kernel a.bin -serial tcp::"5000"')).toEqual([
    "C:\\Program Files\\qemu\\qemu.exe",
    "-kernel",
    "a.bin",
    "-serial",
    "tcp::5000",
  ]);
});
