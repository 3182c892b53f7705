import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseMetadata } from "../../src/tuf/metadata.js";
import { type RoleType, TOP_LEVEL_ROLES } from "../../src/tuf/metadata-types.js";
import { changeKeys } from "../../src/tuf/repository/draft-keys.js";
import { openRepository, refreshRepository, storeNameOf } from "../../src/tuf-store/open-repository.js";
import { ensureBuilt, program } from "../support/cli-build.js";
import { newSigner, TestRepository } from "../support/tuf-repository.js";

/**
 * The program is killed at every change it makes to its store while it takes over new metadata with rotated keys. Whatever
 * was reached, the store holds whole files, an older repository is not accepted any more than before, and the next update
 * ends where an undisturbed one would.
 */

const killer = fileURLToPath(new URL("../support/kill-at-write.mjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "bootproof-kill-"));
const [oldCopy, newCopy, start] = ["old", "new", "start"].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
const storeIn = (state: string) => join(state, "bootproof", "tuf", storeNameOf(newCopy));

beforeAll(async () => {
  await ensureBuilt();
  const repository = await TestRepository.create(new Date());
  repository.writeTo(oldCopy);
  run(["tuf", "trust", newCopy, join(oldCopy, "metadata/1.root.json")], start);
  // The old copy stands for the repository as it was.
  run(["tuf", "refresh", newCopy, "--from", oldCopy], start);
  const [old] = repository.signers.snapshot!;
  const added = await newSigner();
  repository.signers.snapshot = [added];
  const change = { add: [added], remove: [old!.id] };
  repository.state = changeKeys(repository.state, "snapshot", change, repository.expires);
  repository.add("fw.bin", new TextEncoder().encode("firmware 2"));
  await repository.publish();
  repository.writeTo(newCopy);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(words: readonly string[], state: string, env: Record<string, string> = {}) {
  const hooks = Object.keys(env).length > 0 ? ["--import", killer] : [];
  const { status, signal, stderr } = spawnSync(process.execPath, [...hooks, program, ...words], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, HOME: folder, XDG_STATE_HOME: state, ...env },
  });
  return { status, signal, stderr };
}

/** An update by a process that lives on. */
function refresh(from: string, state: string): Promise<void> {
  const place = { name: storeNameOf(newCopy), from };
  return refreshRepository(
    openRepository(place, { stores: join(state, "bootproof", "tuf"), clock: new Date() }),
  );
}

type Versions = Partial<Record<RoleType, number>>;

/** Versions in the store. A file that is not whole makes this fail. */
function versionsIn(state: string): Versions {
  const versions: Versions = {};
  for (const role of TOP_LEVEL_ROLES) {
    const path = join(storeIn(state), `${role}.json`);
    if (existsSync(path)) versions[role] = parseMetadata(role, readFileSync(path)).signed.version;
  }
  return versions;
}

function halfFilesIn(state: string): number {
  const names = ["", "root_history"].flatMap((name) => readdirSync(join(storeIn(state), name)));
  return names.filter((name) => name.endsWith(".part")).length;
}

const NEWEST = { root: 2, timestamp: 2, snapshot: 2, targets: 2 };

it("leaves a store that is whole, forgets nothing, and goes on", async () => {
  const counted = join(folder, "count");
  const undisturbed = join(folder, "undisturbed");
  cpSync(start, undisturbed, { recursive: true });
  expect(run(["tuf", "refresh", newCopy], undisturbed, { COUNT_TO: counted }).status).toBe(0);
  expect(versionsIn(undisturbed)).toEqual(NEWEST);
  const changes = Number(readFileSync(counted, "utf8"));
  // Two roots, two removals, three other roles, each a file that is opened, written and renamed.
  expect(changes).toBeGreaterThanOrEqual(17);

  const reached: Versions[] = [];
  let leftovers = 0;
  for (let at = 1; at <= changes; at++) {
    const state = join(folder, `state-${at}`);
    cpSync(start, state, { recursive: true });
    const { signal } = run(["tuf", "refresh", newCopy], state, { KILL_AT: String(at) });
    expect(signal, `change ${at}`).toBe("SIGKILL");
    const left = versionsIn(state);
    reached.push(left);
    leftovers += halfFilesIn(state);
    expect(left.root, `change ${at}`).toBeGreaterThanOrEqual(1);
    // An attacker serves what was good before the rotation.
    const isRefused = await refresh(oldCopy, state).then(
      () => false,
      () => true,
    );
    if (existsSync(join(storeIn(state), "root_history", "2.root.json")))
      expect(isRefused, `change ${at}`).toBe(true);
    const after = versionsIn(state);
    // Until the new root is in force, the rotation has removed timestamp and snapshot; from then on nothing may fall.
    for (const role of left.root === 2 ? TOP_LEVEL_ROLES : (["root", "targets"] as const))
      expect(after[role] ?? 0, `change ${at}, ${role}`).toBeGreaterThanOrEqual(left[role] ?? 0);
    await refresh(newCopy, state);
    expect(versionsIn(state), `change ${at}`).toEqual(NEWEST);
    rmSync(state, { recursive: true });
  }
  // Half files were left, and nothing took them for metadata.
  expect(leftovers).toBeGreaterThanOrEqual(5);
  // The kills really fell on different steps of the way.
  expect(new Set(reached.map((versions) => JSON.stringify(versions))).size).toBeGreaterThanOrEqual(5);
});
