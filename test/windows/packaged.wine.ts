import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt, root } from "../support/cli-build.js";
import { signedUpdate } from "../support/cli-run.js";
import { boardAtPort } from "../support/windows/board-at-port.js";
import { describeWindows } from "../support/windows/describe-windows.js";
import { inWindows, windowsPath } from "../support/windows/wine.js";

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const made = join(root, `dist/packages/bootproof-${version}-win-x64`);

/**
 * Wine 8 has this function, but not the placeholders that V8 asks it for. Under a name that is not there, V8 does what it does on
 * older Windows. Nothing else of the program is changed.
 */
const [ASKED, NOT_THERE] = ["VirtualAlloc2\0", "VirtualAllocX\0"];

describeWindows("the packaged program", (windows) => {
  const program = join(windows.prefix, "drive_c/bootproof/bootproof.exe");
  /** In a folder of the drive C:, with nothing of this repository. */
  const run = (...words: string[]) =>
    inWindows(windows, program, words, { cwd: join(windows.prefix, "drive_c") });

  beforeAll(async () => {
    await ensureBuilt();
    const words = [join(root, ".config/package.mjs"), "--unpacked", "win-x64"];
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    cpSync(made, join(windows.prefix, "drive_c/bootproof"), { recursive: true });
    const exe = readFileSync(program);
    const at = exe.indexOf(ASKED, 0, "latin1");
    expect(at).toBeGreaterThan(0);
    expect(exe.indexOf(ASKED, at + 1, "latin1")).toBe(-1);
    exe.write(NOT_THERE, at, "latin1");
    writeFileSync(program, exe);
  });

  it("says its version and what it loads", async () => {
    const told = await run("--version");
    expect(told).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
    const listed = await run("devices", "--json");
    expect(listed.stderr).toBe("");
    expect(listed.status).toBe(0);
  });

  it("does the demo", async () => {
    const { status, stdout, stderr } = await run("demo", "-q");
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/(\d+) of \1 scenes ended as expected/);
  });

  it("flashes a board at a COM port, by its native module", async () => {
    await boardAtPort(windows, "com7");
    const { image, publicKey } = await signedUpdate();
    const words = ["--key", windowsPath(publicKey), "-d", "COM7", "--soak", "0", "--json"];
    const { status, stdout, stderr } = await run("flash", windowsPath(image), ...words);
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
  });

  it("proves an emulated board", async () => {
    const { status, stdout, stderr } = await run("prove", "--quick", "-d", "wasm:good");
    expect(stdout, stderr).toContain("A bad update is reverted");
    expect(status, stderr).toBe(0);
  });
});
