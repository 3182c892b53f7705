import { existsSync } from "node:fs";

/** Files that ship beside the code. The code may run from its own folder tree or bundled into a few files, so they are looked for. */

let root: URL | undefined;

/**
 * A file or folder of this package.
 *
 * @param path relative to the package's root, such as `firmware-fixtures/manifest.json`; folders end in `/`
 * @returns its `file:` URL; whether it exists is not checked
 */
export function packageFile(path: string): URL {
  root ??= findRoot(new URL(".", import.meta.url));
  return new URL(path, root);
}

/** The nearest folder above that has both marks of this package. Ends at the file system's root, which has neither. */
function findRoot(folder: URL): URL {
  for (let at = folder; ; ) {
    if (existsSync(new URL("package.json", at)) && existsSync(new URL("firmware-fixtures/", at))) return at;
    const above = new URL("..", at);
    if (above.href === at.href) throw new Error(`no package files above ${folder.href}`);
    at = above;
  }
}
