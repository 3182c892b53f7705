import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The repository, or whatever tree these tests are in. */
export const root = fileURLToPath(new URL("../..", import.meta.url));
/** The program as users run it. */
export const program = join(root, "dist/cli/main.js");

/** Sees to it that the built program is not older than its sources. Test files that run at once wait for each other. */
export async function ensureBuilt(): Promise<void> {
  const lock = join(root, "dist.building");
  while (!take(lock)) await delay(200);
  try {
    if (newest(join(root, "src")) <= modified(program)) return;
    const built = spawnSync("npm", ["run", "build", "--silent"], { cwd: root, encoding: "utf8" });
    if (built.status !== 0) throw new Error(`npm run build failed:\n${built.stdout}`);
  } finally {
    rmdirSync(lock);
  }
}

/** Older than any build takes: its owner was killed. */
const STALE_MS = 180_000;

function take(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const since = modified(lock);
    // 0: it was given back this moment.
    if (since > 0 && Date.now() - since > STALE_MS) rmdirSync(lock);
    return false;
  }
}

function newest(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return Math.max(
    ...files.filter((file) => /\.(ts|md)$/.test(file)).map((file) => modified(join(folder, file))),
  );
}

/** Milliseconds since 1970; 0 for what is not there. */
const modified = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
