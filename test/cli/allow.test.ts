import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bootproof, json, keyFile, signedUpdate, tempFolder } from "../support/cli-run.js";

/** A folder as it is delivered with an image: somebody else's config file in it, and a plug-in. */
async function delivered(config: object) {
  const { folder, image, publicKey } = await signedUpdate();
  const state = tempFolder();
  const file = join(folder, ".bootproof.json");
  writeFileSync(file, JSON.stringify(config));
  const marker = join(folder, "ran");
  const plugin = join(folder, "plugin.mjs");
  writeFileSync(
    plugin,
    `import { writeFileSync } from "node:fs";
writeFileSync(${JSON.stringify(marker)}, "");
export default (words) => ({ name: "lamp", does: "a lamp", commands: [words.command({
  name: "lamp on", does: "switch it on", group: 64, id: 0, op: "write", request: {}, response: {} })] });`,
  );
  const options = { cwd: folder, env: { XDG_STATE_HOME: state } };
  return {
    ...{ folder, image, publicKey, file, marker, plugin },
    run: (...words: string[]) => bootproof(words, options),
    verdict: async (...words: string[]) => {
      const { status, value, stderr } = await json(["verify", image, ...words], options);
      return { status, result: value.result, stderr };
    },
  };
}

describe("a config file of the current folder", () => {
  it("says whom to trust only after it was allowed, and never beside --key", async () => {
    const { file, publicKey, run, verdict } = await delivered({ keys: ["public.pem"] });
    const before = await verdict("--strict");
    expect(before).toMatchObject({ status: 6, result: "signature-not-checked" });
    expect(before.stderr).toContain("is not allowed yet: left out of it: keys");
    expect((await run("allow")).stdout).toMatch(/^Allowed: .*\.bootproof\.json \(keys\)/);
    const allowed = await verdict("--strict");
    expect(allowed).toMatchObject({ status: 0, result: "good" });
    expect(allowed.stderr).toMatch(/Keys: .*public\.pem \(.*\.bootproof\.json\)/);
    // --key replaces its keys instead of adding to them.
    const other = await verdict("--key", keyFile("ed25519-2"));
    expect(other).toMatchObject({ status: 6, result: "bad" });
    expect(other.stderr).toContain("(--key; the config file's are left out)");
    // Another content is another file.
    writeFileSync(file, `${readFileSync(file, "utf8")}\n`);
    expect(await verdict("--strict")).toMatchObject({ status: 6 });
    expect(await verdict("--key", publicKey)).toMatchObject({ status: 0, result: "good" });
  });

  it("chooses no board for commands that name none, until it was allowed; nor is another one taken for it", async () => {
    const { folder, run } = await delivered({ device: "bench", boards: { bench: "wasm:good" } });
    const refused = await run("info");
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain("left out of it: device");
    expect(refused.stderr).toMatch(
      /No board is named, and .*\.bootproof\.json, which names "bench", is not allowed yet\./,
    );
    expect(refused.stderr).toMatch(/-d, or read the file and run bootproof allow/);
    expect((await run("recover", "update.bin", "--dry-run")).stderr).toContain("No board is named");
    expect((await run("info", "-d", "bench")).stdout).toContain("wasm:good");
    // The user's own default stands.
    const own = tempFolder();
    mkdirSync(join(own, "bootproof"));
    writeFileSync(join(own, "bootproof", "config.json"), JSON.stringify({ device: "wasm:no-signature" }));
    const env = { XDG_CONFIG_HOME: own, XDG_STATE_HOME: tempFolder() };
    expect((await bootproof(["info"], { cwd: folder, env })).stdout).toContain("wasm:no-signature");
    expect((await run("allow")).stdout).toContain("(device)");
    expect((await run("info")).stdout).toContain("wasm:good");
  });

  it("describes no boards and claims no counters until it was allowed", async () => {
    const profile = {
      id: "other-map",
      name: "Other map",
      slots: [
        { address: 0x1000, size: 0x2000 },
        { address: 0x3000, size: 0x2000 },
      ],
    };
    const { folder, run } = await delivered({
      profiles: [profile],
      known: ["releases.json"],
      boards: { bench: { device: "wasm:good", profile: "other-map" } },
    });
    const releases = join(folder, "releases.json");
    writeFileSync(releases, JSON.stringify([{ hash: "00".repeat(32), version: "1.0.0", counter: 1 }]));
    const profiles = async () => (await run("devices", "--profiles")).stdout;
    expect(await profiles()).not.toContain("other-map");
    const info = await run("info", "-d", "bench");
    expect(info).toMatchObject({
      status: 0,
      stderr: expect.stringContaining("left out of it: profiles, known."),
    });
    await run("allow");
    expect(await profiles()).toContain("other-map");
    // What the known images say may not change afterwards.
    writeFileSync(releases, "[]");
    expect(await profiles()).not.toContain("other-map");
  });

  it("hides nothing that the user's own file says: keys, policy, a board of the same name", async () => {
    const { folder, file, image, publicKey, run } = await delivered({
      boards: { bench: "wasm:no-signature", other: "wasm:good" },
      artifactKeys: ["signer.pem"],
      policy: "policy.yaml",
    });
    await run("keys", "public", keyFile("p256-1"), "signer.pem");
    const own = tempFolder();
    mkdirSync(join(own, "bootproof"));
    const level = join(own, "bootproof", "strict.yaml");
    writeFileSync(level, "version: 1\nlevel: production\n");
    writeFileSync(join(folder, "policy.yaml"), "version: 1\nlevel: bench\n");
    writeFileSync(
      join(own, "bootproof", "config.json"),
      JSON.stringify({ boards: { bench: "wasm:good" }, keys: [publicKey], policy: "strict.yaml" }),
    );
    const state = tempFolder();
    const options = { cwd: folder, env: { XDG_CONFIG_HOME: own, XDG_STATE_HOME: state } };
    const mine = (...words: string[]) => bootproof(words, options);
    const verdict = await json(["verify", image, "--strict"], options);
    expect(verdict).toMatchObject({ status: 0, value: { result: "good" } });
    expect(verdict.stderr).toMatch(/Keys: .*public\.pem \(.*config\.json\)/);
    const words = ["flash", image, "--dry-run", "--json"];
    const onBench = JSON.parse((await mine(...words, "-d", "bench")).stdout) as { before: { name: string } };
    expect(onBench.before.name).toBe("wasm:good");
    expect(JSON.stringify(onBench)).toContain("policy/");
    expect((await mine("info", "-d", "other")).stdout).toContain("wasm:good");
    expect((await mine("devices")).stderr).toContain("left out of it: artifactKeys");
    // Once the user has agreed to it, the folder's file counts more.
    expect((await mine("allow")).status).toBe(0);
    const allowed = JSON.parse((await mine(...words, "-d", "bench")).stdout) as { before: { name: string } };
    expect(allowed.before.name).toBe("wasm:no-signature");
    // A key or policy file that it relies on is part of what was allowed.
    writeFileSync(join(folder, "policy.yaml"), "version: 1\nlevel: bench\n# changed\n");
    expect((await mine("devices")).stderr).toContain("is not allowed yet");
    expect(file).toBe(join(folder, ".bootproof.json"));
    expect((await run("devices")).status).toBe(0);
  });

  it("has its key for Mender artifacts replaced by --artifact-key, which it does not add to", async () => {
    const { image, folder, run } = await delivered({ artifactKeys: ["signer.pem"] });
    for (const [name, from] of [
      ["signer.pem", "p256-1"],
      ["other.pem", "rsa2048-1"],
    ] as const)
      await run("keys", "public", keyFile(from), name);
    await run("artifact", "write", "-n", "release-1", "-t", "bench", "u.mender", image);
    await run("artifact", "sign", "u.mender", "-k", keyFile("p256-1"));
    await run("allow");
    const verify = async (...more: string[]) =>
      (await run("verify", join(folder, "u.mender"), "--device-type", "bench", ...more)).status;
    expect(await verify()).toBe(0);
    expect(await verify("--artifact-key", "signer.pem")).toBe(0);
    expect(await verify("--artifact-key", "other.pem")).not.toBe(0);
  });

  it("runs its plug-ins neither for --help nor for a typo until it was allowed, nor after they changed", async () => {
    const { marker, plugin, run } = await delivered({ plugins: ["plugin.mjs"] });
    for (const words of [["--help"], ["flahs"], ["lamp", "on"]]) {
      const { stderr } = await run(...words);
      expect(stderr).toContain("left out: read it, then run bootproof allow");
    }
    expect(existsSync(marker)).toBe(false);
    await run("allow");
    expect((await run("--help")).stdout).toMatch(/lamp +a lamp/);
    expect(existsSync(marker)).toBe(true);
    writeFileSync(plugin, `${readFileSync(plugin, "utf8")}\n// changed`);
    expect((await run("--help")).stdout).not.toContain("a lamp");
    await run("allow");
    expect((await run("--help")).stdout).toMatch(/lamp +a lamp/);
    await run("allow", "--revoke");
    expect((await run("--help")).stdout).not.toContain("a lamp");
  });

  it("runs its power commands only after it was allowed, without the secrets of the environment", async () => {
    const on = 'env > "$PWD/seen"';
    const { folder, run } = await delivered({
      boards: { bench: { device: "wasm:good", power: { command: { on, off: "true" } } } },
    });
    const blocked = await run("power", "on", "-d", "bench");
    expect(blocked.stderr).toContain('left out of it: power of "bench"');
    expect(existsSync(join(folder, "seen"))).toBe(false);
    await run("allow");
    const secrets = {
      ...{ BOOTPROOF_PASSPHRASE: "s3cret", BOOTPROOF_PIN: "s3cret", BOOTPROOF_TOKEN: "s3cret" },
      BOOTPROOF_OLD_PASSPHRASE: "s3cret",
    };
    const words = ["power", "on", "-d", "wasm:good", "--on-command", on, "--off-command", "true"];
    expect((await bootproof(words, { cwd: folder, env: secrets })).status).toBe(0);
    expect(readFileSync(join(folder, "seen"), "utf8")).toContain("PATH=");
    expect(readFileSync(join(folder, "seen"), "utf8")).not.toContain("s3cret");
  });

  it.each(["/dev/ttyACM0", "ttyACM0", "COM5", "1-1.4", "2fe3:0100", "tcp:lab:4001", "127.0.0.1", "12345678"])(
    "may not name a board %s",
    async (name) => {
      const { run } = await delivered({ boards: { [name]: "wasm:good" } });
      const { status, stderr } = await run("info", "-d", "wasm:good");
      expect(status).toBe(2);
      expect(stderr).toContain(`The board name "${name}" looks like an address`);
    },
  );

  // Only root can give a file away.
  it.runIf(process.getuid?.() === 0)("of another user is never allowed", async () => {
    const { file, folder, run, verdict } = await delivered({ keys: ["public.pem"] });
    chmodSync(folder, 0o755);
    chownSync(file, 65534, 65534);
    const refused = await run("allow");
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining("belongs to another user") });
    const { status, stderr } = await verdict("--strict");
    expect(status).toBe(6);
    expect(stderr).toContain("belongs to another user: left out of it: keys");
  });

  it("that is not there cannot be allowed", async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, "empty"));
    const { status, stderr } = await bootproof(["allow"], { cwd: join(folder, "empty") });
    expect(status).toBe(20);
    expect(stderr).toContain("There is no config file to allow");
  });
});
