import { readFileSync } from "node:fs";
import { packageFile } from "../package-files.js";

/** The version of this program, as its package says. */
export function version(): string {
  const file = packageFile("package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
