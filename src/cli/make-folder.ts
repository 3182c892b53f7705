import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** As `mkdir -p`. Node's own recursive one never returns where a parent refuses with ENOENT, as in /proc. */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
}
