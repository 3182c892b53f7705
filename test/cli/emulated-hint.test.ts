import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { hintForBoard } from "../../src/cli/emulated-hint.js";
import { ensureBuilt } from "../support/cli-build.js";
import { json, tempFolder } from "../support/cli-run.js";
import { image } from "../support/workflow-board.js";

beforeAll(ensureBuilt);

const LOOK = "bootproof info shows the board's own list of events.";

it.each([
  ["wasm:good", /^This emulated board ended with the command\. .*-d "wasm:good\?flash=FILE"/],
  ["qemu:good", /-d "qemu:good\?flash=FILE"/],
  ["wasm:good?flash=/tmp/flash.bin", /^bootproof info shows/],
  ["serial:/dev/ttyACM0", /^bootproof info shows/],
  ["tcp:127.0.0.1:5000", /^bootproof info shows/],
  [undefined, /^bootproof info shows/],
])("a hint to look at the board fits the board at %s", (address, hint) => {
  expect(hintForBoard(address, LOOK)).toMatch(hint);
});

it("other hints stay, and no hint is made up", () => {
  expect(hintForBoard("wasm:good", "Sign it again.")).toBe("Sign it again.");
  expect(hintForBoard("wasm:good", undefined)).toBeUndefined();
});

it("after an update that was reverted the hint of an emulated board says how to keep it", async () => {
  const folder = tempFolder();
  writeFileSync(join(folder, "crash.bin"), await image("crash", { version: "2.0.0" }));
  const flash = (device: string) =>
    json(["flash", join(folder, "crash.bin"), "--no-preflight", "-d", device, "--soak", "5000"]);
  expect(await flash("wasm:good")).toMatchObject({
    status: 30,
    value: { hint: expect.stringMatching(/-d "wasm:good\?flash=FILE"/) },
  });
  expect(await flash(`wasm:good?flash=${join(folder, "flash.bin")}`)).toMatchObject({
    status: 30,
    value: { hint: LOOK },
  });
});
