import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import type { Compression } from "../../src/update/flash.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, signedUpdate } from "../support/cli-run.js";

/** `flash --compress`, as it is typed. */
beforeAll(ensureBuilt);

const update = () => signedUpdate("good-b");

it("says how many bytes and seconds were saved, in words and in JSON", async () => {
  const { image, folder } = await update();
  const env = { XDG_STATE_HOME: join(folder, "state") };
  const words = ["flash", image, "--compress", "--key", keyFile("ed25519-1"), "-d", "wasm:compressed"];
  const told = await bootproof(words, { env });
  expect(told).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^running: Version 2\.0\.0 runs\.$/m),
  });
  expect(told.stdout).toMatch(
    /^ {2}saved: \d+ of \d+ bytes \(\d\d %\), about [\d.]+ s, by sending \d+ compressed\.$/m,
  );
  expect(told.stderr).toMatch(/pass {2}compression +The bootloader decompresses lzma2/);
  const { status, value } = await json(words, { env });
  expect(status).toBe(0);
  const { sentBytes, plainBytes, savedBytes } = value.compression as Compression;
  expect(plainBytes - sentBytes).toBe(savedBytes);
  expect(value.uploadedBytes).toBe(sentBytes);
  expect(savedBytes / plainBytes).toBeGreaterThan(0.35);
});

it("signs anew only with the private key that signed the image", async () => {
  const { image, publicKey, folder } = await update();
  const env = { XDG_STATE_HOME: join(folder, "state") };
  const flash = (...keys: string[]) =>
    bootproof(
      ["flash", image, "--compress", "-d", "wasm:compressed", ...keys.flatMap((key) => ["--key", key])],
      {
        env,
      },
    );
  expect(await flash(publicKey)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("needs the private key"),
  });
  expect(await flash(publicKey, keyFile("ed25519-2"))).toMatchObject({
    stderr: expect.stringContaining("The given key did not sign this image"),
  });
  expect((await flash(publicKey, keyFile("ed25519-2"), keyFile("ed25519-1"))).status).toBe(0);
});

it("a policy that demands a way back refuses what is sent compressed", async () => {
  const { image, folder } = await update();
  const policy = join(folder, "bootproof.policy.yaml");
  writeFileSync(policy, "version: 1\nlevel: bench\nrules: { revert: refuse }\n");
  const words = ["flash", image, "--compress", "--key", keyFile("ed25519-1"), "--policy", policy];
  const refused = await json([...words, "-d", "wasm:compressed"], {
    env: { XDG_STATE_HOME: join(folder, "state") },
  });
  expect(refused).toMatchObject({ status: 48, value: { refusedBy: "policy/revert" } });
});
