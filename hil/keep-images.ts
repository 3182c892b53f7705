import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes an image that a board is given; returns where. */
export type KeepImage = (file: Uint8Array, what: string) => string;

/** Into a folder, numbered in the order in which they are given. */
export function keepImagesIn(folder: string): KeepImage {
  let count = 0;
  return (file, what) => {
    mkdirSync(folder, { recursive: true });
    const name = what.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    const path = join(folder, `${++count}-${name.replace(/^-|-$/g, "").slice(0, 60)}.bin`);
    writeFileSync(path, file);
    return path;
  };
}
