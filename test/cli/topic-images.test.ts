import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt, program, root } from "../support/cli-build.js";
import { tempFolder } from "../support/cli-run.js";
import { payload } from "../support/image-imgtool-args.js";

beforeAll(ensureBuilt);

const topic = readFileSync(join(root, "src/topics/images.md"), "utf8");
const commands = [...topic.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) =>
  block!.trim().split("\n"),
);

describe("the commands of the topic images", () => {
  it("all work, one after the other", ({ skip }) => {
    skip(spawnSync("openssl", ["version"]).status !== 0, "openssl is not installed");
    const folder = tempFolder();
    const shim = join(folder, "bootproof");
    writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`);
    chmodSync(shim, 0o755);
    writeFileSync(join(folder, "app.bin"), payload("p3000"));
    expect(commands.length).toBeGreaterThan(12);
    for (const line of commands) {
      const env = { PATH: `${folder}:${process.env.PATH}`, HOME: folder };
      const { status, stderr } = spawnSync("sh", ["-c", line], { cwd: folder, env, encoding: "utf8" });
      expect({ line, status, stderr }).toMatchObject({ line, status: 0 });
    }
    // Three ways to sign with one key make one image.
    const [first, ...others] = ["app.signed.bin", "out.bin", "third.bin"].map((name) =>
      readFileSync(join(folder, name)),
    );
    for (const other of others) expect(other.equals(first!)).toBe(true);
  });
});
