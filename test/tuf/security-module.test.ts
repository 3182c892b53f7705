import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { keyFile, runOnce } from "../support/cli-run.js";
import { makeToken, PIN, softHsmLibrary, whyNoSoftHsm } from "../support/image-signers.js";

/** Metadata signed by keys that never leave a security module. */

const reason = whyNoSoftHsm();
const folder = mkdtempSync(join(tmpdir(), "bootproof-tuf-hsm-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(ensureBuilt);

describe.skipIf(reason !== undefined)(`a security module ${reason ?? ""}`, () => {
  it.each(["p256-1", "rsa2048-1"])("signs every role of a repository with a key like %s", async (name) => {
    const token = makeToken();
    try {
      const [repo, file] = [join(folder, name), keyFile(name)];
      token.importKey(file, "metadata key", "b7");
      const env = {
        ...token.env,
        BOOTPROOF_PIN: PIN,
        XDG_STATE_HOME: join(folder, `state-${name}`),
        XDG_CONFIG_HOME: join(folder, "no-config"),
      };
      const run = async (...words: string[]) => {
        const ended = await runOnce(words, { env });
        expect(ended.status, ended.stderr).toBe(0);
        return ended;
      };
      const module = ["--pkcs11-module", softHsmLibrary()!, "--pkcs11-token", token.label];
      const words = [...module, "--pkcs11-key", "metadata key"];
      await run("tuf", "init", repo, "--key", file);
      await run("tuf", "publish", repo, ...words);
      await run("tuf", "trust", repo, join(repo, "metadata/1.root.json"));
      await run("tuf", "refresh", repo);
      await run("tuf", "resign", repo, ...words);
      expect((await run("tuf", "refresh", repo)).stdout).toContain("timestamp 2");
      const wrong = await runOnce(["tuf", "resign", repo, ...module, "--pkcs11-key", "nobody"], { env });
      expect(wrong).toMatchObject({ status: 24, stderr: expect.stringContaining("no such private key") });
      expect(readFileSync(join(repo, "metadata/timestamp.json"), "utf8")).toContain('"version": 2');
    } finally {
      token.remove();
    }
  });
});
