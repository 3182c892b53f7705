import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ArchiveError } from "../formats/archive.js";
import { readTar, type TarFile, writeTar } from "../formats/tar.js";
import type { RepositoryFetch } from "../tuf/client.js";
import { pathBelow } from "../tuf-store/path-below.js";
import { tooLong } from "../tuf-store/too-long.js";
import { UptaneError } from "../uptane/error.js";

/**
 * A bundle for offline updates, a folder or one tar file, laid out as PURE-2 has it:
 *
 *     images/PATH
 *     metadata/director/1.root.json ... Offline-update-snapshot.json NAME.json
 *     metadata/image-repo/1.root.json ... snapshot.json targets.json ROLE.json
 */
export interface BundleFiles {
  /** As the user named it. */
  readonly place: string;
  read(path: string): Uint8Array | undefined;
  /** Paths of all files, sorted. */
  readonly paths: readonly string[];
}

/** Where the parts of a bundle lie in it. */
export const BUNDLE_PARTS = {
  director: "metadata/director",
  imageRepo: "metadata/image-repo",
  images: "images",
} as const;

/** No stick that carries firmware for microcontrollers holds more. */
const MOST_FILES = 10_000;
const MOST_BYTES = 1024 * 1024 * 1024;

/**
 * Opens a bundle. Nothing in it is verified.
 *
 * @param place - path of a tar file or of a folder
 * @returns names and contents of what it holds
 * @throws UptaneError `not-a-bundle`, `partial-bundle`
 */
export function openBundle(place: string): BundleFiles {
  const files = isFolder(place) ? folderFiles(place) : tarFiles(place);
  if (!files.paths.some((path) => path.startsWith(`${BUNDLE_PARTS.director}/`))) throw noBundle(files);
  for (const half of [BUNDLE_PARTS.director, BUNDLE_PARTS.imageRepo])
    if (!files.paths.includes(`${half}/1.root.json`))
      throw new UptaneError(
        "partial-bundle",
        "bundle",
        `A partial bundle: ${place} does not hold ${half}/1.root.json.`,
      );
  return files;
}

/**
 * One half of a bundle as a client asks a repository. Only roots carry their versions in their names.
 *
 * @param files - by {@link openBundle}
 * @param half - `director` or `imageRepo`
 * @returns reads that half
 * @throws (when it is asked) TufError `endless-data` for a file that is too long, RepositoryFetchError `bad-path`
 *   for a path that leads out of the bundle
 */
export function halfOf(
  files: BundleFiles,
  half: Exclude<keyof typeof BUNDLE_PARTS, "images">,
): RepositoryFetch {
  const read = (path: string, subject: string, maxLength: number) => {
    const bytes = files.read(path);
    if (bytes && bytes.length > maxLength) throw tooLong(subject, maxLength);
    return bytes;
  };
  return {
    async metadata(name, maxLength) {
      const plain = /^\d+\.root\.json$/.test(name) ? name : name.replace(/^\d+\./, "");
      return read(`${BUNDLE_PARTS[half]}/${plain}`, name, maxLength);
    },
    async target(path, maxLength) {
      return read(`${BUNDLE_PARTS.images}/${pathBelow(path).join("/")}`, path, maxLength);
    },
  };
}

/**
 * A bundle as one file: the same content gives the same bytes.
 *
 * @param files - paths and contents
 * @returns a tar file
 * @throws ArchiveError for a path that is too long
 */
export function bundleTar(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  return writeTar(sorted.map(([name, bytes]): TarFile => ({ name, bytes, mode: 0o644 })));
}

/**
 * Paths of all images that a bundle holds, as repositories list them.
 *
 * @param files - by {@link openBundle}
 * @returns without the bundle's own folder in front
 */
export function imagePathsOf({ paths }: BundleFiles): string[] {
  const start = `${BUNDLE_PARTS.images}/`;
  return paths.filter((path) => path.startsWith(start)).map((path) => path.slice(start.length));
}

function tarFiles(place: string): BundleFiles {
  const files = new Map<string, Uint8Array>();
  try {
    for (const { name, bytes } of readTar(readBounded(place))) files.set(name, bytes);
  } catch (cause) {
    if (!(cause instanceof ArchiveError)) throw cause;
    if (cause.code === "archive-truncated")
      throw new UptaneError("partial-bundle", "bundle", `A partial bundle: ${place} is truncated.`, {
        cause,
      });
    throw new UptaneError("not-a-bundle", "bundle", `${place} is not a bundle: ${cause.message}`, { cause });
  }
  return { place, paths: [...files.keys()].sort(), read: (path) => files.get(path) };
}

function folderFiles(place: string): BundleFiles {
  const paths: string[] = [];
  const visit = (below: string) => {
    for (const entry of readdirSync(join(place, below), { withFileTypes: true })) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile()) paths.push(path);
      if (paths.length > MOST_FILES)
        throw new UptaneError("not-a-bundle", "bundle", `${place} holds more files than any bundle.`);
    }
  };
  visit("");
  const known = new Set(paths);
  return {
    place,
    paths: paths.sort(),
    read: (path) => (known.has(path) ? readBounded(join(place, ...path.split("/"))) : undefined),
  };
}

function readBounded(path: string): Uint8Array {
  const { size } = statSync(path);
  if (size > MOST_BYTES)
    throw new UptaneError("not-a-bundle", "bundle", `${path} has ${size} bytes, more than any bundle.`);
  return new Uint8Array(readFileSync(path));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function noBundle({ place, paths }: BundleFiles): UptaneError {
  const isTuf = paths.some((path) => /(^|\/)timestamp\.json$/.test(path));
  return new UptaneError(
    "not-a-bundle",
    "bundle",
    isTuf
      ? `${place} is a plain TUF repository and no bundle: nothing in it says how long it may be carried, or for which boards it is.`
      : `${place} is not a bundle: it holds no ${BUNDLE_PARTS.director}.`,
    isTuf
      ? {
          hint: "bootproof bundle make makes a bundle; --from FOLDER takes a repository as it is, with a warning.",
        }
      : {},
  );
}
