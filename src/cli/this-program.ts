import { realpathSync } from "node:fs";
import { isSea } from "node:sea";
import { UsageError } from "./usage-error.js";

/** The words that start this program again, by whole paths: Node and its script, or the packaged program alone. */
export function thisProgram(): string[] {
  if (isSea()) return [process.execPath];
  const [, script] = process.argv;
  if (script === undefined)
    throw new UsageError("bootproof's own path is not known.", "Start it by its path, or with npx.");
  return [process.execPath, realpathSync(script)];
}
