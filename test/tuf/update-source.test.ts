import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseTufAddress } from "../../src/sources/tuf.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, keyFile, signWords } from "../support/cli-run.js";

/** Updates that a TUF repository vouches for, on their way to `verify` and `flash`. */

const folder = mkdtempSync(join(tmpdir(), "bootproof-tuf-source-"));
const at = (name: string) => join(folder, name);
const repo = at("repo");
const env = { XDG_STATE_HOME: at("state"), XDG_CONFIG_HOME: at("config") };
const key = keyFile("ed25519-1");
const run = (...words: string[]) => bootproof(words, { env });
const must = async (...words: string[]) => {
  const { status, stdout, stderr } = await run(...words);
  expect(status, `${words.join(" ")}: ${stderr}`).toBe(0);
  return stdout;
};

beforeAll(ensureBuilt);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("an update is flashed and verified as the target that it is today, or not at all", async () => {
  await must(...signWords("good-b", at("update.bin")));
  await must("keys", "public", key, at("public.pem"));
  await must("tuf", "init", repo, "--key", key);
  await must("tuf", "add", repo, at("update.bin"), "--path", "a/update.bin");
  await must(
    "tuf",
    "add",
    repo,
    at("update.bin"),
    "--path",
    "a/wrong.bin",
    "--custom",
    '{"version":"9.9.9"}',
  );
  await must("tuf", "publish", repo, "--key", key);
  const address = `tuf:${repo}#a/update.bin`;

  // Nobody has said yet that this repository is to be trusted.
  expect((await run("verify", address)).status).toBe(56);
  await must("tuf", "trust", repo, join(repo, "metadata/1.root.json"));
  const verified = JSON.parse(await must("verify", address, "--key", at("public.pem"), "--json"));
  expect(verified.source).toMatchObject({ kind: "tuf", vouchedBy: "TUF role targets" });
  expect(
    verified.source.checks.map(({ name, result }: Record<string, string>) => `${name} ${result}`),
  ).toEqual(["tuf pass", "tuf-custom pass"]);
  expect(verified.images[0].result).toBe("good");

  const dry = await run("flash", address, "-d", "wasm:good", "--key", at("public.pem"), "--dry-run");
  expect(dry.status, dry.stderr).toBe(0);
  expect(dry.stderr).toMatch(/pass +tuf .*targets of .* lists a\/update\.bin/);
  const wrong = await run("flash", `tuf:${repo}#a/wrong.bin`, "-d", "wasm:good", "--key", at("public.pem"));
  expect(wrong.status).toBe(6);
  expect(wrong.stderr).toMatch(/not what its role states: version is 2\.0\.0, not 9\.9\.9/);
  expect((await run("flash", `tuf:${repo}#a/none.bin`, "-d", "wasm:good")).status).toBe(55);

  // A file at hand is compared with the target of the day.
  const same = await run(
    "verify",
    at("update.bin"),
    "--tuf",
    `${repo}#a/update.bin`,
    "--key",
    at("public.pem"),
  );
  expect(same.status, same.stderr).toBe(0);
  await must(...signWords("good-b", at("other.bin"), "2.0.1"));
  const other = await run(
    "verify",
    at("other.bin"),
    "--tuf",
    `${repo}#a/update.bin`,
    "--key",
    at("public.pem"),
  );
  expect(other.status).toBe(6);
  expect(other.stdout).toMatch(/This is not a\/update\.bin of .* today/);
});

it("an address names a repository and a path", () => {
  expect(parseTufAddress("tuf:vendor#app/fw.bin")).toEqual({ repository: "vendor", path: "app/fw.bin" });
  expect(parseTufAddress("TUF:https://updates.example/r#a#b")).toEqual({
    repository: "https://updates.example/r",
    path: "a#b",
  });
  expect(parseTufAddress("fw.bin")).toBeUndefined();
  for (const text of ["tuf:", "tuf:vendor", "tuf:#a", "tuf:vendor#"])
    expect(() => parseTufAddress(text), text).toThrow(/is not tuf:REPOSITORY#PATH/);
});

it("a bad address says what a good one is", async () => {
  writeFileSync(at("x.bin"), "x");
  const { status, stderr } = await run("verify", "tuf:vendor");
  expect(status).toBe(22);
  expect(stderr).toMatch(/tuf:vendor#app\/update\.bin/);
});
