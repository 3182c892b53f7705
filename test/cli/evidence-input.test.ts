import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, keyFile, tempFolder } from "../support/cli-run.js";
import { image } from "../support/workflow-board.js";

beforeAll(ensureBuilt);

it.each([
  ["--report", "report.html", 2, /is not a report of prove/],
  ["--report", "report.json", 2, /is not a report of prove/],
  ["--policy-file", "policy.yaml", 2, /policy\.yaml/],
  ["--image", "image.bin", 21, /image\.bin/],
  ["--sbom", "sbom.json", 2, /sbom\.json is not a software bill of materials in CycloneDX or SPDX/],
])("a pack does not call another file what %s says (%s)", async (option, name, wanted, why) => {
  const folder = tempFolder();
  const file = join(folder, name);
  writeFileSync(file, "<p>{ neither of them, and no image of 32 bytes</p>\n");
  const pack = join(folder, "pack");
  const words = ["evidence", "make", pack, "-k", keyFile("ed25519-2"), option, file];
  expect(await bootproof(words)).toMatchObject({ status: wanted, stderr: expect.stringMatching(why) });
  expect(existsSync(pack)).toBe(false);
});

it.each([
  ["CycloneDX", '{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}', 0],
  ["SPDX 2", '{"spdxVersion":"SPDX-2.3","packages":[]}', 0],
  ["SPDX 3", '{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}', 0],
  ["JSON of another kind", '{"dependencies":{}}', 2],
  ["nothing but JSON's null", "null", 2],
  ["a format that is only named", '{"bomFormat":"CycloneDX"}', 2],
])("a pack takes as --sbom what is one: %s", async (_what, content, status) => {
  const folder = tempFolder();
  writeFileSync(join(folder, "sbom.json"), content);
  const pack = join(folder, "pack");
  const words = ["evidence", "make", pack, "-k", keyFile("ed25519-2"), "--sbom", join(folder, "sbom.json")];
  expect(await bootproof(words)).toMatchObject({ status });
  expect(existsSync(pack)).toBe(status === 0);
});

it("the page of a pack shows its title without what terminals obey, and takes a report of prove", async () => {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  writeFileSync(at("update.bin"), await image("good-b", { version: "2.0.0" }));
  const reports = [".html", ".xml", ".json"].flatMap((ending) => ["--report", at(`proof${ending}`)]);
  const proved = await bootproof(["prove", "-d", "wasm:good", "--case", "authenticity/unsigned", ...reports]);
  expect(proved).toMatchObject({ status: 0 });
  const made = await bootproof([
    ...["evidence", "make", at("pack"), "-k", keyFile("ed25519-2"), "--image", at("update.bin")],
    ...["--about", "unit\u001b[31m 7", ...reports],
  ]);
  expect(made).toMatchObject({ status: 0 });
  expect(readFileSync(at("pack/README.md"), "utf8")).toMatch(/^# Evidence: unit\\x1b\[31m 7\n/);
});
