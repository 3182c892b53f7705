import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "prove-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The command as a user runs it, its state in a folder of this test. */
const env = () => ({ ...process.env, XDG_STATE_HOME: folder, NO_COLOR: "1" });
function prove(...words: string[]) {
  return spawnSync(process.execPath, [main, "prove", ...words], {
    encoding: "utf8",
    env: env(),
    cwd: folder,
  });
}

describe("bootproof prove", () => {
  it.each([
    ["wasm:good", [], 0],
    ["wasm:no-signature", [], 26],
    ["wasm:no-signature", ["--policy", "integrity.yaml"], 0],
    ["wasm:good", ["--policy", "vendor.yaml"], 27],
  ])("on %s with %j ends with status %i", (device, words, status) => {
    writeFileSync(join(folder, "integrity.yaml"), "must-hold: [integrity]");
    writeFileSync(join(folder, "vendor.yaml"), "must-hold: [vendor-id]");
    const cases = ["--case", "authenticity/unsigned", "--case", "integrity/flip-hash"];
    const done = prove("-d", device, "--seed", "1", ...cases, ...words);
    expect(done.stderr + done.stdout).toMatch(/own image runs again/);
    expect(done.status, done.stderr).toBe(status);
  });

  it.each([
    [["--case", "nothing"], 2, /There is no case "nothing"/],
    [["--claim", "safety"], 2, /There is no claim "safety"/],
    [["--report", "out.pdf"], 2, /the extension of a report's name says its kind/],
    [["--boards", "none.yaml"], 20, /There is no board file none.yaml/],
    [[], 2, /No board is named/],
  ])("with %j ends with status %i and a sentence", (words, status, message) => {
    const done = prove(
      ...(words.includes("--boards") || words.length === 0 ? words : ["-d", "wasm:good", ...words]),
    );
    expect(done.stderr).toMatch(message);
    expect(done.stderr).not.toMatch(/fault in bootproof/);
    expect(done.status).toBe(status);
  });

  it.each(["held.html", ...(process.platform === "linux" ? ["/proc/nowhere/report.html"] : [])])(
    "asks before it begins whether %s can be written",
    (report) => {
      mkdirSync(join(folder, "held.html"));
      const done = prove("-d", "wasm:good", "--case", "authenticity/unsigned", "--report", report);
      expect(done.stderr).toContain(`The report ${report} cannot be written`);
      expect(done.stderr).not.toMatch(/fault in bootproof|own image runs again/);
      expect(done.status).toBe(20);
    },
  );

  it("lists its cases for programs", () => {
    const list = JSON.parse(prove("--list", "--json").stdout);
    expect(list.map(({ id }: { id: string }) => id)).toContain("power-cut/random");
  });

  it("killed in the middle, is finished by --restore: not a byte of the flash is another", async () => {
    const flash = join(folder, "flash.bin");
    const device = `wasm:good?flash=${flash}`;
    expect(prove("-d", device, "--case", "authenticity/unsigned").status).toBe(0);
    const before = readFileSync(flash);

    const run = spawn(
      process.execPath,
      [main, "prove", "-d", device, "--case", "power-cut/random", "--random-cuts", "9999"],
      { env: env() },
    );
    await new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (!existsSync(join(folder, "bootproof/prove")) || readFileSync(flash).equals(before)) return;
        clearInterval(look);
        resolve();
      }, 5);
    });
    const gone = new Promise((resolve) => run.once("exit", resolve));
    run.kill("SIGKILL");
    await gone;

    const refused = prove("-d", device, "--case", "authenticity/unsigned");
    expect(refused.stdout).toMatch(/did not finish: the board was not restored.*--restore/);
    expect(refused.status).not.toBe(0);

    const restored = prove("--restore");
    expect(restored.stdout).toMatch(/own image runs again, hash checked/);
    expect(restored.status).toBe(0);
    expect(readFileSync(flash).equals(before)).toBe(true);
    expect(prove("--restore").stdout).toMatch(/No interrupted run/);
    expect(prove("-d", device, "--case", "authenticity/unsigned").status).toBe(0);
  });
});
