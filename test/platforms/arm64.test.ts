import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt, packing, root } from "../support/cli-build.js";
import { bootproof, keyFile, signWords } from "../support/cli-run.js";
import { MANY_STEPS_MS } from "../support/limits.js";
import { wasmBoardOnPty } from "../support/wasm-board-on-pty.js";

/**
 * The packaged program for 64-bit ARM, by an emulator of that processor: whether it works, not how quickly. In CI only: Node's
 * binary is a download, and it takes a minute of processor time.
 */
const LIBRARIES = "/usr/aarch64-linux-gnu";
const EMULATOR = "qemu-aarch64-static";
const why = "The program for arm64 is tried in CI only (CI=true), on Linux x64.";
const canRun = process.env.CI !== undefined && process.platform === "linux" && process.arch === "x64";
if (!canRun) console.log(why);

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const program = join(root, `dist/packages/bootproof-${version}-linux-arm64/bootproof`);

describe.skipIf(!canRun)("the packaged program on an emulated arm64", () => {
  let home: string;
  beforeAll(async () => {
    await ensureBuilt();
    home = mkdtempSync(join(tmpdir(), "bootproof-arm64-"));
    expect(existsSync(join(LIBRARIES, "lib/libstdc++.so.6")), "libstdc++6-arm64-cross is missing").toBe(true);
    const words = [join(root, ".config/package.mjs"), "--unpacked", "linux-arm64"];
    const made = await packing(() => spawnSync(process.execPath, words, { encoding: "utf8" }));
    expect(made.status, made.stderr).toBe(0);
  }, MANY_STEPS_MS);
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  function run(...words: string[]) {
    const { status, stdout, stderr } = spawnSync(EMULATOR, ["-L", LIBRARIES, program, ...words], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: home },
      maxBuffer: 1 << 24,
    });
    return { status, stdout, stderr };
  }

  it("is for that processor", () => {
    // ELF: 64 bits, and EM_AARCH64 for the machine.
    const head = readFileSync(program).subarray(0, 20);
    expect(head.subarray(0, 5).toString("latin1")).toBe("\x7fELF\x02");
    expect(head.readUInt16LE(18)).toBe(183);
    expect(run("--version")).toMatchObject({ status: 0, stdout: `${version}\n` });
  }, 600_000);

  it("does the demo", () => {
    const { status, stdout, stderr } = run("demo", "-q");
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/(\d+) of \1 scenes ended as expected/);
  }, 900_000);

  it("proves an emulated board", () => {
    const { status, stdout, stderr } = run("prove", "--quick", "-d", "wasm:good");
    expect(stdout, stderr).toContain("A bad update is reverted");
    expect(status, stderr).toBe(0);
  }, 900_000);

  it("flashes a board on a serial port, by its native module", async () => {
    const image = join(home, "update.bin");
    expect((await bootproof(signWords("good-b", image))).status).toBe(0);
    copyFileSync(keyFile("ed25519-1"), join(home, "key.pem"));
    const pty = await wasmBoardOnPty();
    const words = [image, "-d", `serial:${pty}`, "--key", join(home, "key.pem"), "--json"];
    const { status, stdout, stderr } = run("flash", ...words);
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
  }, 900_000);
});
