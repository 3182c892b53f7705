/** Names of metadata and target files, sections 3.1.2, 4.1 and 6.2 of the specification. */

/**
 * The name of a metadata file in a repository: `7.root.json`, `timestamp.json`. What would be more than a name, such as
 * `../x`, is percent-encoded.
 *
 * @param role - its name
 * @param version - only for files that carry it in their names
 * @returns without a folder
 */
export function metadataFileName(role: string, version?: number): string {
  return `${version === undefined ? "" : `${version}.`}${encodeName(role)}.json`;
}

/**
 * Where a target lies below the folder of targets, with consistent snapshots under the name of its content:
 * `app/7f3a....fw.bin`.
 */
export function targetFilePath(path: string, hash: string | undefined): string {
  const slash = path.lastIndexOf("/") + 1;
  return hash === undefined ? path : `${path.slice(0, slash)}${hash}.${path.slice(slash)}`;
}

/**
 * Like `encodeURIComponent`, but with the five marks that it leaves, so that every writer comes to the same name.
 *
 * @param text - any
 * @returns percent-encoded, upper-case hex
 */
export function encodeName(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
