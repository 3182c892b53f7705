import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * SHA-256 over the names and contents of all files of the program that runs: two reports with the same one were made by the
 * same program. Undefined when it runs from its sources.
 */
export function toolHash(): string | undefined {
  const built = fileURLToPath(new URL("..", import.meta.url));
  if (basename(built) !== "dist") return undefined;
  const hash = createHash("sha256");
  const files = readdirSync(built, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".js"),
  );
  for (const file of files.toSorted()) {
    hash.update(`${file.split(sep).join("/")}\n`);
    hash.update(
      createHash("sha256")
        .update(readFileSync(join(built, file)))
        .digest(),
    );
  }
  return hash.digest("hex");
}
