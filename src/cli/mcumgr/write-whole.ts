import { rmSync, writeFileSync } from "node:fs";
import { renameOver } from "../../rename-over.js";
import { McumgrFailure } from "./failure.js";
import { goSystemError } from "./go-text.js";

/** Writes a file so that the old one stays until the new one is whole. Throws {@link McumgrFailure}. */
export function writeWhole(file: string, content: string): void {
  const draft = `${file}.${process.pid}.new`;
  try {
    writeFileSync(draft, content);
    renameOver(draft, file);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw new McumgrFailure(goSystemError("open", file, cause), { cause });
  }
}
