import { accessSync, constants } from "node:fs";
import { delimiter, resolve } from "node:path";

/** Can this program be started? Found as a shell finds it; to start it only to see would cost more than many a test. */
export function isOnPath(program: string): boolean {
  const folders = program.includes("/") ? [""] : (process.env.PATH ?? "").split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(resolve(folder, program), constants.X_OK);
      return true;
    } catch {
      // Not there, or not for us: the next folder may have it.
      return false;
    }
  });
}

/** The reason why a test is skipped; undefined when all of these are there. */
export function whyMissing(...programs: readonly string[]): string | undefined {
  const missing = programs.filter((program) => !isOnPath(program));
  return missing.length === 0 ? undefined : `not installed: ${missing.join(", ")}`;
}
