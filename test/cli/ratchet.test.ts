import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, signWords, start, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

/** A board whose bootloader compares no counters, and signed images for it. */
async function workspace() {
  const folder = tempFolder();
  const env = { XDG_STATE_HOME: join(folder, "state") };
  const run = (...words: string[]) => bootproof(words, { env });
  const sign = async (version: string, counter: number) => {
    const file = join(folder, `${version}.bin`);
    await run(...signWords("good-b", file, version, counter));
    return file;
  };
  const publicKey = join(folder, "public.pem");
  await run("keys", "public", keyFile("ed25519-1"), publicKey);
  const device = `wasm:no-counter?flash=${join(folder, "flash.bin")}`;
  // What the board itself reports of the running image is left out: this is about what the host remembers.
  const words = (file: string) => [
    "flash",
    file,
    "--key",
    publicKey,
    "-d",
    device,
    "--soak",
    "0",
    "--skip",
    "security-counter",
  ];
  return {
    folder,
    env,
    run,
    sign,
    publicKey,
    flash: (file: string) => run(...words(file)),
    begin: (file: string) => start(words(file), { env }),
  };
}

describe("the ratchet of flash", () => {
  it("refuses an older, validly signed image on a board without counter, but for a permission that holds once", async () => {
    const { folder, run, sign, flash, publicKey, env } = await workspace();
    expect((await flash(await sign("2.0.0", 7))).status).toBe(0);
    const shown = await json(["ratchet", "show"], { env });
    const [board] = Object.keys(shown.value);
    expect(shown.value[board!]).toMatchObject({ images: { 0: { counter: { counter: 7 }, intents: [] } } });

    const older = await sign("2.1.0", 3);
    const today = new Date().toISOString().slice(0, 10);
    const refused = await flash(older);
    expect(refused.status).toBe(46);
    expect(refused.stdout).toContain(
      `This host confirmed counter 7 (version 2.0.0) on this board on ${today}; the image has counter 3.`,
    );

    const permission = join(folder, "permission");
    const permit = (output: string) =>
      run(
        ..."ratchet permit --board".split(" "),
        board!,
        "--image",
        older,
        "-k",
        keyFile("p256-1"),
        "--reason",
        "bisecting",
        "-o",
        output,
      );
    expect((await permit(permission)).status).toBe(0);
    const wrongKey = await run("ratchet", "allow", permission, "--key", publicKey);
    expect(wrongKey).toMatchObject({ status: 47, stderr: /signed by 0 of the 1 keys/ });
    const glassKey = join(folder, "glass.pem");
    await run("keys", "public", keyFile("p256-1"), glassKey);
    const changed = join(folder, "changed");
    writeFileSync(changed, readFileSync(permission, "utf8").replace('"payload":"ey', '"payload":"eX'));
    expect((await run("ratchet", "allow", changed, "--key", glassKey)).status).toBe(47);
    expect((await run("ratchet", "allow", permission, "--key", glassKey)).status).toBe(0);
    const twice = await run("ratchet", "allow", permission, "--key", glassKey);
    expect(twice).toMatchObject({ status: 47, stderr: /already given to this host/ });
    expect(await flash(older)).toMatchObject({ status: 0, stderr: /Permitted once: bisecting/ });
    expect((await flash(await sign("2.2.0", 5))).status).toBe(46);
  });

  it("refuses the older image after kill -9 at the confirmation", async () => {
    const { folder, sign, flash, begin } = await workspace();
    const newer = await sign("2.0.0", 7);
    const running = begin(newer);
    const file = join(folder, "state/bootproof/ratchet/state/ratchet.json");
    while (!existsSync(file)) await delay(1);
    running.child.kill("SIGKILL");
    await running.ended;
    expect((await flash(await sign("2.1.0", 3))).status).toBe(46);
    expect((await flash(newer)).status).toBe(0);
  });

  it("exports and imports, and says once what is wrong with a file", async () => {
    const { folder, run, sign, flash } = await workspace();
    await flash(await sign("2.0.0", 7));
    const file = join(folder, "export.json");
    expect((await run("ratchet", "export", "-o", file)).status).toBe(0);
    const other = { env: { XDG_STATE_HOME: join(folder, "other") } };
    const joined = await bootproof(["ratchet", "import", file], other);
    expect(joined).toMatchObject({ status: 0, stdout: /1 board\(s\) changed/ });
    expect((await bootproof(["ratchet", "show"], other)).stdout).toMatch(/emulated-.* 7 /);
    writeFileSync(file, "{}");
    expect(await run("ratchet", "import", file)).toMatchObject({
      status: 45,
      stderr: /export\.json: .*not an export/,
    });
    const state = join(folder, "state/bootproof/ratchet/state/ratchet.json");
    writeFileSync(state, readFileSync(state, "utf8").replace('"counter": 7', '"counter": 1'));
    const edited = await flash(await sign("2.1.0", 3));
    expect(edited).toMatchObject({ status: 45, stdout: "", stderr: /changed by hand.*\n {2}try: / });
  });
});
