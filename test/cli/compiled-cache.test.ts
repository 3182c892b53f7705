import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { type RunOptions, start, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt, 120_000);

/** Each run in a process of its own: what is looked at is how the program is loaded. */
async function keys(home: string, options: RunOptions = {}) {
  const { env = {}, ...others } = options;
  const run = start(["help", "exit-status"], { ...others, env: { HOME: home, ...env } });
  const { status, stdout, stderr } = await run.ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toContain("130");
}

const above = (home: string) => join(home, ".cache/bootproof");
function placeIn(home: string): string {
  const [name, ...more] = readdirSync(above(home)).filter((entry) => entry.startsWith("compiled-"));
  expect(more).toEqual([]);
  return join(above(home), name!);
}
const contentOf = (place: string) =>
  Object.fromEntries(readdirSync(place).map((name) => [name, readFileSync(join(place, name), "latin1")]));
const isUnix = process.platform !== "win32";

describe("what V8 compiled", () => {
  it("is kept where nobody else can read or write, and used again", async () => {
    const home = tempFolder();
    await keys(home);
    const place = placeIn(home);
    const first = contentOf(place);
    expect(Object.keys(first)).toEqual(expect.arrayContaining(["program.js", "chunks-run.js"]));
    if (isUnix) {
      expect(statSync(place).mode & 0o777).toBe(0o700);
      for (const name of Object.keys(first)) expect(statSync(join(place, name)).mode & 0o777).toBe(0o600);
    }
    const written = statSync(join(place, "chunks-run.js")).mtimeMs;
    await keys(home);
    expect(contentOf(place)).toEqual(first);
    expect(statSync(join(place, "chunks-run.js")).mtimeMs).toBe(written);
  });

  it("is compiled again when it is damaged or of another text", async () => {
    const home = tempFolder();
    await keys(home);
    const place = placeIn(home);
    const whole = readFileSync(join(place, "chunks-run.js"));
    // V8 itself would end the process for some of these.
    const flipped = (at: number) => whole.map((byte, index) => (index === at ? ~byte : byte));
    const short = [0, whole.length / 2].map((length) => whole.subarray(0, length));
    const zeros = [5000, whole.length / 2].map((from) => Buffer.from(whole).fill(0, from));
    const flips = [100, 5000, 30_000].map(flipped);
    const others = ["not what V8 wrote", readFileSync(join(place, "program.js"))];
    for (const damaged of [...short, ...zeros, ...flips, ...others]) {
      writeFileSync(join(place, "chunks-run.js"), damaged);
      await keys(home);
      expect(statSync(join(place, "chunks-run.js")).size).toBeGreaterThan(whole.length / 2);
    }
  });

  it.runIf(isUnix)("is neither read nor written in a folder that others may write", async () => {
    const home = tempFolder();
    await keys(home);
    const place = placeIn(home);
    chmodSync(place, 0o777);
    writeFileSync(join(place, "chunks-run.js"), "of somebody else");
    await keys(home);
    expect(readFileSync(join(place, "chunks-run.js"), "utf8")).toBe("of somebody else");
  });

  it.runIf(process.getuid?.() === 0)("is not kept in the home of another user", async () => {
    const home = tempFolder();
    chmodSync(home, 0o777);
    const through = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    await keys(home, { through });
    expect(existsSync(above(home))).toBe(false);
  });

  it("imports what it imported when it was compiled", async () => {
    const home = tempFolder();
    const plugin = join(home, "plugin.mjs");
    writeFileSync(plugin, "export default {};");
    for (let time = 0; time < 2; time++) {
      const run = start(["--plugin", plugin, "nothing"], { env: { HOME: home } });
      expect((await run.ended).stderr).toContain("its name must have only");
    }
  });

  it("is not kept when Node's own variable says so, nor where there is no room for it", async () => {
    const home = tempFolder();
    await keys(home, { env: { NODE_DISABLE_COMPILE_CACHE: "1" } });
    expect(existsSync(above(home))).toBe(false);
    writeFileSync(join(home, ".cache"), "a file");
    await keys(home);
    mkdirSync(join(home, "elsewhere"));
    await keys(home, { env: { XDG_CACHE_HOME: join(home, "elsewhere") } });
    expect(readdirSync(join(home, "elsewhere/bootproof"))).toHaveLength(1);
  });
});
