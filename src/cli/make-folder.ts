import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** As `mkdir -p`. Node's own recursive one never returns where a parent refuses with ENOENT, as in /proc. */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  // A drive that is not there is its own parent.
  if (dirname(path) !== path) makeFolder(dirname(path));
  mkdirSync(path);
}
