import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bootproof, tempFolder } from "../support/cli-run.js";

describe.runIf(process.platform !== "win32")("bootproof shims", () => {
  it("writes launchers that take the command lines of imgtool and mcumgr", async () => {
    const folder = join(tempFolder(), "it's bin");
    expect(await bootproof(["shims", folder])).toMatchObject({ status: 0 });
    expect(execFileSync(join(folder, "imgtool"), ["version"], { encoding: "utf8" })).toBe("2.5.0\n");
    expect(execFileSync(join(folder, "mcumgr"), ["version"], { encoding: "utf8" })).toBe(
      "mcumgr 0.0.0-dev\n",
    );
    expect(spawnSync(join(folder, "mcumgr"), ["image", "upload"], { encoding: "utf8" })).toMatchObject({
      status: 1,
      stderr: "Error: Need to specify image to upload\n",
    });
    const python = spawnSync("python3", [join(folder, "imgtool.py"), "version"], { encoding: "utf8" });
    if (python.error === undefined) expect(python).toMatchObject({ status: 0, stdout: "2.5.0\n" });
    else console.log("imgtool.py was not run: there is no python3");
    // Its own launchers it replaces.
    expect(await bootproof(["shims", folder])).toMatchObject({ status: 0 });
  });

  it("replaces nobody else's file, and then writes nothing", async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, "mcumgr"), "mine");
    const { status, stderr } = await bootproof(["shims", folder]);
    expect(status).not.toBe(0);
    expect(stderr).toContain("is not a launcher made by bootproof");
    expect(readFileSync(join(folder, "mcumgr"), "utf8")).toBe("mine");
    expect(existsSync(join(folder, "imgtool"))).toBe(false);
  });
});
