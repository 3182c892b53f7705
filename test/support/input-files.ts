import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Where a file of test/vectors/inputs is. */
export function inputPath(name: string): string {
  return fileURLToPath(new URL(`../vectors/inputs/${name}`, import.meta.url));
}

/** A file of test/vectors/inputs. */
export function inputFile(name: string): Uint8Array {
  return new Uint8Array(readFileSync(inputPath(name)));
}
