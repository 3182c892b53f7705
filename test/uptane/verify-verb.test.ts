import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof } from "../support/cli-run.js";
import { uptaneFiles } from "../support/uptane-vectors.js";

const folder = mkdtempSync(join(tmpdir(), "bootproof-uptane-"));
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  for (const [name, bytes] of uptaneFiles()) {
    if (!/^(simple|delegation_two_signatures|director_target_hash_mismatch)\//.test(name)) continue;
    mkdirSync(dirname(at(name)), { recursive: true });
    writeFileSync(at(name), bytes);
  }
  await ensureBuilt();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function verify(name: string, ...more: string[]) {
  const [director, images] = [at(`${name}/0/director`), at(`${name}/0/image_repo`)];
  const words = ["uptane", "verify", "--director", director, "--images", images, ...more];
  return bootproof([...words, "--ecu", "123456=test_hw"], { env: { XDG_STATE_HOME: at(`state-${name}`) } });
}

const roots = (name: string) => [
  "--director-root",
  at(`${name}/0/director/1.root.json`),
  "--images-root",
  at(`${name}/0/image_repo/1.root.json`),
];

describe("uptane verify", () => {
  it("trusts nothing by itself, and then what it was told to trust", async () => {
    const first = await verify("simple");
    expect(first.status).toBe(56);
    expect(first.stderr).toContain("--director-root FILE");
    const { status, stdout, stderr } = await verify("simple", "--json", ...roots("simple"));
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({
      verification: "full",
      directorRoles: ["root", "targets"],
      images: [{ ecu: "123456", target: "file.txt", length: 11, role: "targets", isHardwareStated: true }],
    });
    const again = await verify("simple");
    expect(again.status).toBe(0);
    expect(again.stdout).toMatch(/^full verification; of the Director: root, targets /);
    expect(again.stdout).toMatch(/^123456 +file\.txt +11 +- +targets$/m);
  });

  it("finds delegated roles, and says when the Image repository names no hardware", async () => {
    const { stdout } = await verify(
      "delegation_two_signatures",
      "--json",
      ...roots("delegation_two_signatures"),
    );
    expect(JSON.parse(stdout).images).toMatchObject([{ role: "foo", isHardwareStated: false }]);
  });

  it("refuses what the Image repository does not confirm, and takes it with --partial", async () => {
    const name = "director_target_hash_mismatch";
    const refused = await verify(name, ...roots(name));
    expect(refused.status).toBe(58);
    expect(refused.stderr).toContain("do not agree about file.txt");
    const partial = await verify(name, "--partial", "--json");
    expect(JSON.parse(partial.stdout)).toMatchObject({
      verification: "partial",
      images: [{ target: "file.txt" }],
    });
  });
});
