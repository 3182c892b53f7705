import { spawnSync } from "node:child_process";
import { readdirSync, readlinkSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The repository, or whatever tree these tests are in. */
export const root = fileURLToPath(new URL("../..", import.meta.url));
/** The program as users run it. */
export const program = join(root, "dist/cli/main.js");

/** Sees to it that the built program is not older than its sources. Test files that run at once wait for each other. */
export async function ensureBuilt(): Promise<void> {
  await alone("building", () => {
    if (newest(join(root, "src")) <= modified(program)) return;
    const built = spawnSync("npm", ["run", "build", "--silent"], { cwd: root, encoding: "utf8" });
    if (built.status !== 0) throw new Error(`npm run build failed:\n${built.stdout}`);
  });
}

/** Packs something of `dist`, or into it, while no other test does: npm walks through all of it, and fails over what vanishes meanwhile. */
export const packing = <T>(work: () => T): Promise<T> => alone("packing", work);

async function alone<T>(what: string, work: () => T): Promise<T> {
  const lock = join(root, `node_modules/.dist-${what}`);
  while (!take(lock)) await delay(200);
  try {
    return work();
  } finally {
    rmSync(lock);
  }
}

/** Only one process can have the lock, which is a link to the number of that process: whoever was killed gives it back so. */
function take(lock: string): boolean {
  try {
    symlinkSync(String(process.pid), lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const owner = ownerOf(lock);
    if (owner !== undefined && !isAlive(owner)) rmSync(lock, { force: true });
    return false;
  }
}

/** Undefined: it was given back this moment. */
function ownerOf(lock: string): number | undefined {
  try {
    return Number(readlinkSync(lock));
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
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
