import { boardVariant, fixtureKey, signedFixture } from "bootproof/boards";
import { expect, it } from "vitest";
import { entryOf, parseBoardFile } from "../../hil/board-files/board-file.js";
import { ImageFactory } from "../../hil/images/image-factory.js";
import { proveAssembled } from "../../hil/prove.js";
import { wireBoard } from "../support/wire-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/** As a user's board is reached: by its wire alone, with the key that its updates are encrypted for. */
function plainOn(variant: string) {
  return inVirtualTime(async () => {
    const install = await signedFixture("good-a", "wasm", boardVariant(variant), {
      version: "3.0.0",
      counter: 4,
    });
    const entry = { ...entryOf("tcp:127.0.0.1:1"), startsWithinMs: 3000 };
    const board = await wireBoard(entry, { variant, install, cable: () => "pass" });
    const factory = new ImageFactory({
      base: install,
      key: await fixtureKey("ed25519-1"),
      encryption: { key: (await fixtureKey("x25519-1")).publicKey, keyLength: 128, always: false },
    });
    const assembly = { board, factory, layout: undefined, keys: { accepted: [], refused: [] } };
    const signal = new AbortController().signal;
    const result = await proveAssembled(entry, assembly, { signal, seed: 1, cases: ["compatibility/plain"] });
    return {
      verdict: result.cases[0]?.verdict,
      controls: result.controls.filter(({ id }) => id === "encrypted-update").map(({ verdict }) => verdict),
      putBack: result.putBack.ok,
    };
  });
}

it("tells a board that takes encrypted updates only from one that takes plain ones as well", async () => {
  expect(await plainOn("encrypted-only")).toMatchObject({ verdict: "holds", controls: ["holds"] });
  expect(await plainOn("plain-accepted")).toMatchObject({
    verdict: "does-not-hold",
    controls: ["holds"],
    putBack: true,
  });
});

it("reads the key from a board file", () => {
  const file = (keys: string) => `boards:
  - { name: a, kind: attached, address: "serial:/dev/ttyACM0", image: a.bin, keys: ${keys} }
`;
  expect(parseBoardFile("/lab/desk.yaml", file("{ encryption: enc.pem }"))[0]?.keys).toMatchObject({
    encryption: { file: "/lab/enc.pem", bits: 128 },
  });
  expect(
    parseBoardFile("/lab/desk.yaml", file("{ encryption: enc.pem, encryption-bits: 256 }"))[0]?.keys,
  ).toMatchObject({ encryption: { bits: 256 } });
  expect(() =>
    parseBoardFile("/lab/desk.yaml", file("{ encryption: enc.pem, encryption-bits: 192 }")),
  ).toThrow(/encryption-bits.*128 or 256 bits, not 192/);
});
