import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { writeArtifact } from "../../src/mender/write.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, keyFile, tempFolder } from "../support/cli-run.js";
import { makeToken, PIN, SIGNER_PROGRAMS, softHsmLibrary, whyNoSoftHsm } from "../support/image-signers.js";

beforeAll(ensureBuilt);

/** An unsigned artifact in a folder of its own, with the public key of a fixture's key. */
async function unsigned(key: string) {
  const folder = tempFolder();
  const artifact = join(folder, "update.mender");
  const publicKey = join(folder, "public.pem");
  const content = { type: "zephyr-image", artifactName: "r", deviceTypes: ["b"] };
  writeFileSync(
    artifact,
    writeArtifact({ ...content, files: [{ name: "a.bin", bytes: new Uint8Array(10) }] }),
  );
  await bootproof(["keys", "public", keyFile(key), publicKey]);
  return { artifact, publicKey };
}

/** Whoever signs: the artifact is signed by that key afterwards, and the same again gives the same bytes. */
async function mustSign(
  key: string,
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<void> {
  const { artifact, publicKey } = await unsigned(key);
  const signed = await bootproof(["artifact", "sign", artifact, ...words, "--public-key", publicKey], {
    env,
  });
  expect(signed.status, signed.stderr).toBe(0);
  const verified = await bootproof(["artifact", "verify", artifact, "--key", publicKey, "--strict"]);
  expect(verified.status, verified.stderr).toBe(0);
}

const program = (source: string, ...args: string[]) => [
  "--signer-command",
  process.execPath,
  ...["-e", source, ...args].map((word) => `--signer-arg=${word}`),
  "--key-ref",
  "release",
];

describe("an artifact is signed", () => {
  it.each(["rsa3072-1", "p256-1"])("by a program with %s", (key) =>
    mustSign(key, program(SIGNER_PROGRAMS.honest, keyFile(key))),
  );

  const why = whyNoSoftHsm();
  if (why !== undefined) console.log(`Artifacts are not signed by a security module here: ${why}.`);
  it.skipIf(why !== undefined)("in a security module, with RSA and P-256", async () => {
    const token = makeToken("mender");
    try {
      for (const [index, key] of ["rsa3072-1", "p256-1"].entries()) {
        token.importKey(keyFile(key), key, `a${index}`);
        const words = [
          "--pkcs11-module",
          softHsmLibrary()!,
          "--pkcs11-token",
          token.label,
          "--pkcs11-key",
          key,
        ];
        await mustSign(key, words, { ...token.env, BOOTPROOF_PIN: PIN });
      }
    } finally {
      token.remove();
    }
  });

  it("by nobody who signs something else, and then stays as it was", async () => {
    const { artifact, publicKey } = await unsigned("p256-1");
    const before = readFileSync(artifact);
    for (const source of [SIGNER_PROGRAMS.wrong, SIGNER_PROGRAMS.refusing]) {
      const words = ["artifact", "sign", artifact, ...program(source), "--public-key", publicKey];
      expect((await bootproof(words)).status).toBe(24);
    }
    expect((await bootproof(["artifact", "sign", artifact, "--key", keyFile("ed25519-1")])).status).toBe(24);
    expect(readFileSync(artifact).equals(before)).toBe(true);
    rmSync(artifact);
  });
});
