import { existsSync, readdirSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import type { Machine } from "../../src/board/board.js";
import {
  boardVariant,
  boardVariants,
  bootFile,
  fixtureImages,
  fixtureKey,
  fixtureKeyPath,
  signedFixture,
} from "../../src/board/catalog.js";
import { isQemuInstalled } from "../../src/board/qemu-process.js";
import { startBoard } from "../../src/board/start.js";
import { BoardConsole } from "../support/board-console.js";
import { ECHO, ECHO_ANSWER } from "../support/board-frames.js";

const machines: readonly Machine[] = ["wasm", "qemu"];
const variants = boardVariants();
const programs = fixtureImages().filter(({ image }) => image === 0);

describe("the manifest", () => {
  it("breaks only what it claims, and weak variants break something", () => {
    for (const { id, says, claims, broken } of variants) {
      for (const claim of broken) expect(claims, id).toContain(claim);
      expect(broken.length > 0, id).toBe(says.startsWith("Weak on purpose"));
    }
  });

  it("names every file in prebuilt, and no other", () => {
    const named = machines.flatMap((machine) => [
      basename(bootFile(machine)),
      ...fixtureImages().map(({ files }) => basename(files[machine])),
    ]);
    const prebuilt = fileURLToPath(new URL("../../firmware-fixtures/prebuilt", import.meta.url));
    // The harness is for the recorded scenarios, not for a board.
    expect(readdirSync(prebuilt).sort()).toEqual([...new Set([...named, "boot-harness.wasm"])].sort());
  });

  it("names keys that are there, each by its type", async () => {
    for (const name of new Set(variants.flatMap(({ keys }) => keys))) {
      expect(existsSync(fixtureKeyPath(name)), name).toBe(true);
      expect((await fixtureKey(name)).isPrivate).toBe(true);
    }
    await expect(fixtureKey("no-such-key")).rejects.toMatchObject({ code: "fixture-missing" });
  });
});

describe.each(machines)("on %s", (machine) => {
  beforeEach(({ skip }) => {
    skip(machine === "qemu" && !isQemuInstalled(), "qemu-system-arm is not installed");
  });

  it.each(variants)("the $id board boots and answers", async ({ id }) => {
    const board = await startBoard({ machine, variant: id });
    try {
      const typed = await BoardConsole.on(board);
      expect((await typed.ask(ECHO)).hex).toBe(ECHO_ANSWER);
    } finally {
      await board.close();
    }
  });

  it.each(programs)("the $id image starts", async ({ id, version }) => {
    const install = await signedFixture(id, machine, boardVariant("good"));
    const board = await startBoard({ machine, variant: "good", install });
    try {
      const line = await board.log.waitFor(/app: .* started/, { from: 0 });
      expect(line).toContain(`${id} ${version}`);
    } finally {
      await board.close();
    }
  });
});
