import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parseKey } from "../../src/crypto/keys.js";
import { keySigner } from "../../src/crypto/signer.js";
import { signEnvelope } from "../../src/trust/dsse.js";
import { formatStatement, IN_TOTO, SLSA_PROVENANCE } from "../../src/trust/statement.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, signedUpdate, signWords, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

const KEY = "99638d140e140ca6";

async function workspace(policy: string) {
  const { image, publicKey, folder } = await signedUpdate();
  const file = join(folder, "bootproof.policy.yaml");
  writeFileSync(file, policy);
  const env = { XDG_STATE_HOME: join(folder, "state") };
  const device = `wasm:good?flash=${join(folder, "flash.bin")}`;
  const words = ["flash", image, "--key", publicKey, "-d", device, "--soak", "1000", "--policy", file];
  return {
    folder,
    file,
    image,
    publicKey,
    env,
    device,
    run: (...rest: string[]) => bootproof(rest, { env }),
    flash: (...rest: string[]) => json([...words, ...rest], { env }),
  };
}

const PILOT = `version: 1\nlevel: pilot\nsettings: { keys: [${KEY}] }\noverrides: [version-not-older, no-skips]\n`;

describe("the policy of flash", () => {
  it("lets a good image pass, refuses a key it does not name, and is not asked where there is none", async () => {
    const good = await workspace(PILOT);
    const passed = await good.flash();
    expect(passed.status).toBe(0);
    expect(passed.value.preflight).toContainEqual(
      expect.objectContaining({ name: "policy/signing-key", result: "pass" }),
    );
    const strict = await workspace(PILOT.replace(KEY, "ab".repeat(8)));
    const refused = await strict.flash();
    expect(refused).toMatchObject({ status: 48, value: { refusedBy: "policy/signing-key" } });
    expect(refused.value.message).toMatch(/not one of the 1 that the policy names/);
    const log = await json(["log", "show", "--type", "refusal"], { env: strict.env });
    expect(log.value).toMatchObject([{ rule: "policy/signing-key", result: "refused" }]);
  });

  it("refuses a board without identity from pilot up, and skipped checks", async () => {
    const { image, publicKey, file, env, flash } = await workspace(PILOT);
    const plain = await json(["flash", image, "--key", publicKey, "-d", "wasm:good", "--policy", file], {
      env,
    });
    expect(plain).toMatchObject({ status: 48, value: { refusedBy: "policy/board-identity" } });
    const skipped = await flash("--no-preflight");
    expect(skipped).toMatchObject({ status: 48, value: { refusedBy: "policy/no-skips" } });
  });

  it("takes an override that the policy allows, with a reason that is kept, and no other", async () => {
    const { flash, env } = await workspace(PILOT);
    const without = await flash("--skip", "version", "--override", "no-skips");
    expect(without).toMatchObject({ status: 2, stderr: expect.stringMatching(/needs a reason/) });
    const denied = await flash("--override", "revert", "--reason", "because");
    expect(denied).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/allows no override of "revert"/),
    });
    const allowed = await flash("--skip", "version", "--override", "no-skips", "--reason", "trial 12");
    expect(allowed.status).toBe(0);
    expect(JSON.stringify(allowed.value.preflight)).toContain("Overridden: trial 12");
    const log = await json(["log", "show", "--type", "policy.override"], { env });
    expect(log.value).toMatchObject([{ rule: "no-skips", detail: { reason: "trial 12" } }]);
  });

  it("wants provenance of this very image by a key that it names", async () => {
    const signing = await parseKey(readFileSync(keyFile("p256-1")));
    const hash = Buffer.from(signing.keyHash).toString("hex").slice(0, 16);
    const policy = `version: 1\nlevel: bench\nsettings: { provenanceKeys: [${hash}] }\nrules: { provenance: refuse }\n`;
    const { folder, image, flash } = await workspace(policy);
    const statementOf = async (sha256: string) => {
      const predicate = { buildDefinition: {}, runDetails: { builder: { id: "https://builds.example/1" } } };
      const body = formatStatement([{ name: "update.bin", digest: { sha256 } }], SLSA_PROVENANCE, predicate);
      const file = join(folder, `${sha256.slice(0, 8)}.intoto.jsonl`);
      writeFileSync(file, await signEnvelope(IN_TOTO, body, [keySigner(signing)]));
      return ["--provenance", file, "--provenance-key", keyFile("p256-1")];
    };
    expect(await flash()).toMatchObject({ status: 48, value: { refusedBy: "policy/provenance" } });
    const other = await flash(...(await statementOf("00".repeat(32))));
    expect(other).toMatchObject({ status: 48, value: { message: "The provenance is of another image." } });
    const digest = createHash("sha256").update(readFileSync(image)).digest("hex");
    const good = await flash(...(await statementOf(digest)));
    expect(good.status).toBe(0);
    expect(JSON.stringify(good.value.preflight)).toContain("Built by https://builds.example/1");
  });
});

describe("the policy of sign and recover, and bootproof policy", () => {
  it("keeps sign from writing an image that it refuses", async () => {
    const { folder, file, run } = await workspace(PILOT);
    const target = join(folder, "refused.bin");
    const [verb, ...words] = signWords("good-b", target);
    const withKey = words.map((word) => (word === keyFile("ed25519-1") ? keyFile("p256-1") : word));
    const refused = await run(verb!, "--policy", file, ...withKey);
    expect(refused).toMatchObject({
      status: 48,
      stderr: expect.stringMatching(/rule "signing-key" refuses/),
    });
    expect(existsSync(target)).toBe(false);
    expect((await run(verb!, "--policy", file, ...words)).status).toBe(0);
  });

  it("keeps recover from touching a board", async () => {
    const { image, publicKey, file, run, device } = await workspace(PILOT.replace(KEY, "ab".repeat(8)));
    const refused = await run(
      "recover",
      image,
      "--key",
      publicKey,
      "-d",
      device,
      "--policy",
      file,
      "--dry-run",
    );
    expect(refused).toMatchObject({ status: 48, stdout: expect.stringMatching(/not one of the 1/) });
  });

  it("is shown and checked, with its file named in what is wrong with it", async () => {
    const { file, image, publicKey, run, device } = await workspace(PILOT);
    expect((await run("policy", "show", file)).stdout).toMatch(/version-not-older +refuse +with a reason/);
    expect((await run("policy", "show", "--level", "production")).stdout).toMatch(/provenance +refuse +no/);
    const checked = await run("policy", "check", file, "--image", image, "--key", publicKey, "-d", device);
    expect(checked).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/warn +health .*level pilot: allow/s),
    });
    const words = ["--level", "production", "--image", image, "--key", publicKey, "-d", device];
    const strict = await run("policy", "check", ...words);
    expect(strict).toMatchObject({
      status: 48,
      stdout: expect.stringMatching(/refuse +health .*production: refuse/s),
    });
    const alone = await run("policy", "check", file, "--image", image, "--key", publicKey);
    expect(alone).toMatchObject({ status: 0, stdout: expect.stringMatching(/level pilot: allow/) });
    expect(JSON.parse((await run("policy", "schema")).stdout).properties.level.enum).toContain("pilot");
    writeFileSync(file, "version: 1\nlevel: pilot\nrules: { reverts: off }\n");
    expect(await run("policy", "show", file)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/bootproof\.policy\.yaml: .*no rule "reverts"/),
    });
    writeFileSync(file, "a: [");
    expect(await run("policy", "show", file)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/not YAML/),
    });
    const missing = await run("policy", "show", join(tempFolder(), "none.yaml"));
    expect(missing.status).toBe(20);
  });
});
