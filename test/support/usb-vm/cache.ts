import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

/** Where packages and images are kept between runs, outside the checkout, which CI begins anew each time. */
export const CACHE =
  process.env.BOOTPROOF_USB_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "bootproof-usb-vm");

/** What nobody has used for so long goes. Other checkouts may use other artefacts meanwhile. */
const KEPT_MS = 7 * 24 * 3600_000;

/** A short name for everything an artefact is made of: a different ingredient gives a different name. */
export function keyOf(ingredients: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of ingredients) hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 16);
}

/**
 * The folder `kind-key` of a cache, made by `make` the first time. A run that is cut short leaves no half artefact;
 * what was not used for a week goes.
 */
export async function cachedFolder(
  kind: string,
  key: string,
  make: (folder: string) => Promise<void>,
  cache = CACHE,
): Promise<string> {
  const folder = join(cache, `${kind}-${key}`);
  if (existsSync(folder)) {
    const now = new Date();
    utimesSync(folder, now, now);
    return folder;
  }
  forgetOld(cache);
  const draft = `${folder}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  await make(draft);
  // Another run may have finished the same artefact meanwhile; both are the same.
  if (existsSync(folder)) rmSync(draft, { recursive: true });
  else renameSync(draft, folder);
  return folder;
}

function forgetOld(cache: string): void {
  mkdirSync(cache, { recursive: true });
  for (const path of readdirSync(cache).map((name) => join(cache, name)))
    if (Date.now() - statSync(path).mtimeMs > KEPT_MS) rmSync(path, { recursive: true, force: true });
}

/** A file of this repository, as an ingredient of a key. */
export function repositoryFile(path: string): Uint8Array {
  return readFileSync(join(REPOSITORY, path));
}
