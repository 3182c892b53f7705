import { afterEach, describe, expect, it } from "vitest";
import type { Board } from "../../src/emulator/board.js";
import { fixtureKey } from "../../src/emulator/catalog.js";
import { LAYOUT } from "../../src/emulator/layout.js";
import { startBoard } from "../../src/emulator/start.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { describeBoard } from "../support/board-cases.js";
import { BoardConsole } from "../support/board-console.js";
import { BOOT } from "../support/board-frames.js";

describe("the wasm board", () => {
  describeBoard("wasm");

  let board: Board | undefined;
  afterEach(() => board?.close());

  it("is not reset by its watchdog because this process was held up", async () => {
    board = await startBoard({ machine: "wasm", variant: "good" });
    await board.log.waitFor(/app: .* started/, { from: 0 });
    // Longer than the application's watchdog, with no turn for the board.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
    const typed = await BoardConsole.on(board);
    expect((await typed.ask(BOOT)).body).toMatchObject({ cause: "power-on", boots: 1 });
  });

  it.each([
    ["that cannot be compiled", "0061736d01000000ffffffff"],
    // A type section with () -> (), nothing imported, nothing exported.
    ["of another kind", "0061736d01000000010401600000"],
  ])("faults on a signed module %s, and goes on trying", async (_, hex) => {
    const body = Buffer.from(hex, "hex");
    const { image } = await signImage(body, {
      key: await fixtureKey("ed25519-1"),
      version: "9.0.0",
      headerSize: 0x200,
      padHeader: true,
      slotSize: LAYOUT.slotSize,
      securityCounter: 9,
    });
    board = await startBoard({ machine: "wasm", variant: "good", install: image });
    await board.log.waitFor(/^fault: /, { from: 0 });
    await board.log.waitFor(/boot 3/, { from: 0 });
  });
});
