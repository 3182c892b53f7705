import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

/** Where packages and images are kept between runs. CI keeps this folder in its own cache. */
export const CACHE =
  process.env.BOOTPROOF_USB_CACHE ?? join(REPOSITORY, "node_modules/.cache/bootproof-usb-vm");

/** A short name for everything an artefact is made of: a different ingredient gives a different name. */
export function keyOf(ingredients: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of ingredients) hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 16);
}

/**
 * The folder `kind-key` of the cache, made by `make` the first time. A run that is cut short leaves no half artefact;
 * artefacts of other keys are old ones and go.
 */
export async function cachedFolder(
  kind: string,
  key: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(CACHE, `${kind}-${key}`);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  for (const name of readdirSync(CACHE).filter((other) => other.startsWith(`${kind}-`)))
    rmSync(join(CACHE, name), { recursive: true });
  const draft = `${folder}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  await make(draft);
  // Another run may have finished the same artefact meanwhile; both are the same.
  if (existsSync(folder)) rmSync(draft, { recursive: true });
  else renameSync(draft, folder);
  return folder;
}

/** A file of this repository, as an ingredient of a key. */
export function repositoryFile(path: string): Uint8Array {
  return readFileSync(join(REPOSITORY, path));
}
