import { existsSync, readdirSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import type { Machine } from "../../src/emulator/board.js";
import {
  boardVariant,
  boardVariants,
  bootFile,
  fixtureImages,
  fixtureKey,
  fixtureKeyPath,
} from "../../src/emulator/catalog.js";
import { isQemuInstalled } from "../../src/emulator/qemu-process.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { BoardConsole } from "../support/board-console.js";
import { ECHO, ECHO_ANSWER } from "../support/board-frames.js";

const machines: readonly Machine[] = ["wasm", "qemu"];
const variants = boardVariants();
const programs = fixtureImages().filter(({ image }) => image === 0);

describe("the manifest", () => {
  it("breaks only what it claims, and weak variants break something", () => {
    for (const { id, summary, claims, broken } of variants) {
      for (const claim of broken) expect(claims, id).toContain(claim);
      expect(broken.length > 0, id).toBe(summary.startsWith("Weak on purpose"));
    }
  });

  it("names every file in prebuilt, and no other", () => {
    const named = machines.flatMap((machine) => [
      basename(bootFile(machine)),
      basename(bootFile(machine, { policy: ["encrypted-only"] })),
      basename(bootFile(machine, { policy: [], decompresses: true })),
      ...fixtureImages().flatMap(({ files, unpacking, qemuPlaced }) =>
        [files[machine], ...Object.values(unpacking ?? {}), ...Object.values(qemuPlaced ?? {})].map((path) =>
          basename(path),
        ),
      ),
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

it("is told which machine has a board, where not every one has", async () => {
  await expect(startBoard({ machine: "qemu", variant: "large-sectors" })).rejects.toMatchObject({
    code: "unknown-board",
    hint: "Start it as wasm:large-sectors.",
  });
});

describe.each(machines)("on %s", (machine) => {
  beforeEach(({ skip }) => {
    skip(machine === "qemu" && !isQemuInstalled(), "qemu-system-arm is not installed");
  });

  const here = variants.filter(({ machines: only }) => only?.includes(machine) ?? true);
  it.each(here)("the $id board boots and answers", async ({ id }) => {
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
