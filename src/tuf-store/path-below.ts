import { RepositoryFetchError } from "./repository-fetch-error.js";

/**
 * The parts of a target's path, which is signed but was not made for this machine's folders or a server's.
 *
 * @throws RepositoryFetchError `bad-path` when it would not stay below the folder of targets
 */
export function pathBelow(path: string): string[] {
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".." || /[\\:\0]/.test(part)))
    throw new RepositoryFetchError(
      "bad-path",
      `The target path "${path}" does not lead to a file in a folder.`,
    );
  return parts;
}
