import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, signWords, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

interface Finding {
  rule: string;
  severity: string;
  at: string;
  message: string;
}

async function lint(folder: string, words: string[] = [], env: Record<string, string> = {}) {
  const { status, value } = await json(["keys", "lint", folder, ...words], { env });
  const found = (value.findings as Finding[]).map(({ rule, severity, at }) => [rule, severity, at]);
  return { status, found, findings: value.findings as Finding[], value };
}

/** As a TUF repository publishes it, with one Ed25519 key for every role. */
function tufRoot(point: string): string {
  const role = { keyids: ["ab".repeat(32)], threshold: 1 };
  return JSON.stringify({
    signatures: [],
    signed: {
      _type: "root",
      spec_version: "1.0.31",
      version: 1,
      expires: "2041-01-01T00:00:00Z",
      consistent_snapshot: true,
      keys: { ["ab".repeat(32)]: { keytype: "ed25519", scheme: "ed25519", keyval: { public: point } } },
      roles: { root: role, timestamp: role, snapshot: role, targets: role },
    },
  });
}

it("names private keys in a work tree, readable by others, in the environment, and published ones", async () => {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  const tree = at("tree");
  mkdirSync(join(tree, ".git"), { recursive: true });
  mkdirSync(join(tree, "node_modules"));
  mkdirSync(at("safe"));
  await bootproof(["keys", "generate", at("safe/mine.pem")]);
  expect(await lint(at("safe"))).toMatchObject({ status: 0, found: [], value: { files: 1, keys: 1 } });

  copyFileSync(at("safe/mine.pem"), join(tree, "config.txt"));
  chmodSync(join(tree, "config.txt"), 0o600);
  copyFileSync(at("safe/mine.pem"), join(tree, "node_modules/passed-over.pem"));
  writeFileSync(at("word"), "correct horse\n");
  await bootproof(["keys", "generate", join(tree, "locked.pem"), "-e", "--passphrase-file", at("word")]);
  chmodSync(at("safe/mine.pem"), 0o640);
  const { status, found, findings } = await lint(folder);
  expect(status).toBe(49);
  expect(found).toEqual([
    ["in-work-tree", "error", join(tree, "config.txt")],
    ["in-work-tree", "warning", join(tree, "locked.pem")],
    ["readable-by-others", "error", at("safe/mine.pem")],
  ]);
  expect(findings[2]!.message).toContain("0640");

  const pem = readFileSync(at("safe/mine.pem"), "utf8");
  chmodSync(at("safe/mine.pem"), 0o600);
  const inJob = await lint(at("safe"), [], {
    SIGNING_KEY: pem,
    ENCODED: Buffer.from(pem).toString("base64"),
  });
  expect(inJob.found.sort()).toEqual([
    ["in-environment", "error", "ENCODED"],
    ["in-environment", "error", "SIGNING_KEY"],
  ]);
  expect(JSON.stringify(inJob.value)).not.toContain(pem.split("\n")[1]);

  // MCUboot's root-ed25519.pem, by the seed that everybody has.
  const seed = "28c970c9a1a8a8bc77786862d2e76d0d430a2b57c87cfc37904bcbaac874cbd8";
  const der = Buffer.from(`302e020100300506032b657004220420${seed}`, "hex").toString("base64");
  mkdirSync(at("dev"));
  writeFileSync(at("dev/key.pem"), `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`);
  chmodSync(at("dev/key.pem"), 0o600);
  expect((await lint(at("dev"))).found).toEqual([["published", "error", at("dev/key.pem")]]);
  expect(await bootproof(["keys", "lint", at("nowhere")])).toMatchObject({ status: 20, stdout: "" });
});

it("names one key used for two purposes: signed images, a TUF root, --use, the policy", async () => {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  mkdirSync(at("release"));
  await bootproof(signWords("good-b", at("release/app.bin")));
  await bootproof(["keys", "public", keyFile("ed25519-1"), at("image.pem")]);
  await bootproof(["keys", "public", keyFile("ed25519-2"), at("other.pem")]);
  expect(await lint(at("release"))).toMatchObject({ status: 0, found: [] });
  const words = ["--use", `image=${at("image.pem")}`, "--use", `artifact=${at("other.pem")}`];
  expect(await lint(at("release"), words)).toMatchObject({ status: 0 });

  const { keyHash } = (await json(["keys", "show", at("image.pem")])).value;
  const asArtifact = await lint(at("release"), ["--use", `artifact=${at("image.pem")}`]);
  expect(asArtifact).toMatchObject({
    status: 49,
    found: [["two-purposes", "error", `${keyHash}`.slice(0, 16)]],
  });
  expect(asArtifact.findings[0]!.message).toMatch(/artifact \(.*image\.pem\), image \(signed .*app\.bin\)/);

  await bootproof(["keys", "public", keyFile("ed25519-1"), at("raw"), "--form", "raw"]);
  writeFileSync(at("release/1.root.json"), tufRoot(readFileSync(at("raw")).subarray(-32).toString("hex")));
  const asMetadata = await lint(at("release"));
  expect(asMetadata.status).toBe(49);
  expect(asMetadata.findings[0]!.message).toContain("metadata (role root of");

  writeFileSync(
    at("p.yaml"),
    `version: 1\nlevel: bench\nsettings: {keys: ["${keyHash}"], provenanceKeys: ["${`${keyHash}`.slice(0, 16)}"]}\n`,
  );
  mkdirSync(at("empty"));
  expect((await lint(at("empty"), ["--policy", at("p.yaml")])).findings[0]!.message).toMatch(/provenance/);
  expect((await bootproof(["keys", "lint", at("empty"), "--use", "toaster=x"])).status).toBe(2);
});
