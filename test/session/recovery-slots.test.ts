import { expect, test } from "vitest";
import { drawSlots } from "../../src/cli/draw-facts.js";
import { readFacts } from "../../src/session/board-facts.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { BOOT_MODES } from "../../src/smp/groups/os.js";
import { upload } from "../../src/update/upload.js";
import { bench, image } from "../support/workflow-board.js";

test("a slot whose image serial recovery does not list is not called empty", async () => {
  const { session } = await bench();
  await run(upload(session, await image("good-b", { key: "ed25519-2" })));
  const inApplication = await readFacts(session);
  expect(inApplication.images[0]?.slots[1]?.content?.version).toBe("2.0.0");

  await run(restart(session, { bootMode: BOOT_MODES.recovery }));
  const facts = await readFacts(session);
  expect(facts.images[0]?.slots[1]?.content).toBeUndefined();
  expect(drawSlots(facts)).toMatch(/^0 +1 +nothing that the bootloader accepts/m);
  expect(drawSlots(facts)).not.toContain("empty");
});
