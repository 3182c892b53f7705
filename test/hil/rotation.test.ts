import { fixtureKeyPath } from "bootproof/boards";
import { describe, expect, it } from "vitest";
import { entryOf, parseBoardFile } from "../../hil/board-files/board-file.js";
import { proveBoard } from "../../hil/prove.js";

/** A rotation, rehearsed: {old} -> {old, new} -> {new}, a board for each step. `old` is ed25519-1, `new` ed25519-2. */
const STEPS = [
  { variant: "good", accepts: [], refuses: ["ed25519-2", "foreign-ed25519"], lists: 1 },
  { variant: "two-keys", accepts: ["ed25519-2"], refuses: ["foreign-ed25519"], lists: 2 },
  { variant: "new-key", accepts: [], refuses: ["ed25519-1", "foreign-ed25519"], lists: 1 },
] as const;

describe("a rotation of keys, step by step", () => {
  it.each(STEPS)("$variant also accepts $accepts and refuses $refuses", async (step) => {
    const signal = new AbortController().signal;
    const options = { signal, seed: 1, cases: ["rotation"] };
    const result = await proveBoard(entryOf(`wasm:${step.variant}`), options);
    const seen = Object.fromEntries(
      result.cases.map(({ id, verdict, observed }) => [id, `${verdict}: ${observed}`]),
    );
    expect(seen).toEqual({
      "rotation/accepted-keys":
        step.accepts.length > 0
          ? `holds: Accepted: ${step.accepts.join(", ")}.`
          : expect.stringMatching(/^not-supported: /),
      "rotation/refused-keys": `holds: Refused: ${step.refuses.join(", ")}.`,
      "rotation/listed-keys": expect.stringMatching(`^holds: It lists ${step.lists} key`),
    });
    // The control is signed with the step's first key: so that one is accepted too.
    expect(result.controls.map(({ id, verdict }) => [id, verdict])).toEqual([["update", "holds"]]);
  });
});

it("keys that a board file names for an emulated board are the ones that are tried", async () => {
  const text = `
boards:
  - name: ours
    kind: wasm
    variant: good
    keys: { refused: [${fixtureKeyPath("ed25519-1")}], accepted: [${fixtureKeyPath("ed25519-2")}] }
`;
  const signal = new AbortController().signal;
  const entry = parseBoardFile("/bench.yaml", text)[0]!;
  const result = await proveBoard(entry, { signal, seed: 1, cases: ["rotation"] });
  const seen = Object.fromEntries(
    result.cases.map(({ id, verdict, observed }) => [id, `${verdict}: ${observed}`]),
  );
  expect(seen).toEqual({
    "rotation/accepted-keys": expect.stringMatching(/^does-not-hold: .*ed25519-2.* did not start/),
    "rotation/refused-keys": expect.stringMatching(/^does-not-hold: .*ed25519-1.* was accepted/),
    "rotation/listed-keys": expect.stringMatching(/^does-not-hold: It does not list/),
  });
});
