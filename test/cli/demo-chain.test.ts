import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, tempFolder } from "../support/cli-run.js";
import { whyNoSoftHsm } from "../support/image-signers.js";

beforeAll(ensureBuilt);

it("demo chain: every link holds, and each attack is refused by the link that should", async () => {
  const folder = tempFolder();
  const temporary = join(folder, "tmp");
  mkdirSync(temporary);
  const env = { XDG_STATE_HOME: join(folder, "state"), TMPDIR: temporary };
  const { status, value } = await json(["demo", "chain"], { env });
  expect(value).toMatchObject({
    signer: whyNoSoftHsm() === undefined ? "softhsm" : "file",
    links: [
      { link: "signer", readBack: expect.stringContaining("security counter 7") },
      { link: "image", readBack: expect.stringContaining("version 2.0.0") },
      { link: "policy", readBack: expect.stringMatching(/^allow: \d+ rules$/) },
      {
        link: "build",
        readBack: expect.stringMatching(
          /^Built by https:\/\/build\.example\/rack, signed by key [0-9a-f]{16}\.$/,
        ),
      },
      { link: "board", readBack: "ran 1.0.0, runs 2.0.0 (confirmed), outcome confirmed" },
      { link: "counter", readBack: "stored counter 1, now 7" },
      { link: "log", readBack: expect.stringMatching(/^entry \d+ of \d+/) },
      { link: "statement", readBack: expect.stringContaining("about this very file") },
    ],
  });
  const attacks = value.attacks as Record<string, unknown>[];
  expect(attacks.map(({ refusedBy, exitStatus }) => [(refusedBy as string[])[0], exitStatus])).toEqual([
    ["below-ledger", 46],
    ["signature", 3],
    ["trusted-key", 3],
    ["policy/pre-confirmed", 48],
    ["policy/hardware", 48],
    ["policy/provenance", 48],
    ["policy/provenance", 48],
    ["signature", 31],
    ["ratchet", 46],
    ["edited", 44],
    ["truncated", 44],
  ]);
  expect(attacks[2]!.refusedBy).toContain("policy/signing-key");
  for (const attack of attacks) {
    expect(attack.asExpected, `${attack.attack}`).toBe(true);
    expect(attack.board).toMatch(/^the board runs 2\.0\.0, stored counter (7|-)$/);
  }
  expect(status).toBe(0);
  // Neither this user's memory nor the temporary folder keeps anything of it.
  expect(existsSync(join(folder, "state"))).toBe(false);
  expect(readdirSync(temporary)).toEqual([]);
});

it("a scenario or a machine that does not exist is said at once", async () => {
  expect(await bootproof(["demo", "chains"])).toMatchObject({ status: 2, stdout: "" });
  expect(await bootproof(["demo", "chain", "--machine", "qemu"])).toMatchObject({ status: 2, stdout: "" });
});
