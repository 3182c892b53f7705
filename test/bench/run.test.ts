import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";

beforeAll(ensureBuilt);

it("the bench finds all its parts outside of this folder", () => {
  const run = fileURLToPath(new URL("run.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [run, "--help"], { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  expect(stdout).toContain("npm run bench -- boards");
});
