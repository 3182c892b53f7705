import { readdirSync, readFileSync } from "node:fs";
import { packageFile } from "../package-files.js";

/** Help topics: Markdown files of the package, shown by `bootproof help TOPIC` without a network. */

const folder = packageFile("dist/topics/");

/** Names of all topics with the title of each, sorted by name. */
export function listTopics(): { name: string; title: string }[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".md"))
    .map((file) => file.slice(0, -".md".length))
    .sort()
    .map((name) => ({ name, title: titleOf(readTopic(name)!) }));
}

/** The Markdown text of a topic; undefined when there is none of that name. */
export function readTopic(name: string): string | undefined {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) return undefined;
  try {
    return readFileSync(new URL(`${name}.md`, folder), "utf8");
  } catch (error) {
    // Any other fault of the package's own files is not to be mistaken for a name that does not exist.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

const titleOf = (markdown: string) => /^# (.+)$/m.exec(markdown)?.[1] ?? "";
