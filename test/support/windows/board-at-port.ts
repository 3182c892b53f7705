import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { startBoard } from "../../../src/emulator/start.js";
import { ptyOf } from "../pipe-pty.js";
import type { Windows } from "./wine.js";

/** An emulated board of this process behind a port of that Windows, `com5`, until the test ends. */
export async function boardAtPort({ prefix }: Windows, port: string): Promise<void> {
  const board = await startBoard({ machine: "wasm", variant: "good" });
  const wire = await ptyOf(await board.connect());
  onTestFinished(async () => {
    wire.unplug();
    await board.close();
  });
  symlinkSync(wire.path, join(prefix, "dosdevices", port));
}
