import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RepositoryPlace } from "../../tuf-store/open-repository.js";

/**
 * Where the files of an Uptane repository are: metadata at the address itself, targets in `targets` below it, as aktualizr's
 * servers have them; or in `metadata` and `targets` side by side, as TUF repositories do.
 */
export function uptanePlace(from: string): Omit<RepositoryPlace, "name"> {
  if (/^https?:\/\//i.test(from)) {
    const base = from.replace(/\/*$/, "/");
    const targets = /\/metadata\/$/.test(base) ? new URL("../targets/", base).href : `${base}targets/`;
    return { from, metadata: base, targets };
  }
  const inside = join(from, "metadata");
  return { from, metadata: existsSync(inside) ? inside : from, targets: join(from, "targets") };
}
