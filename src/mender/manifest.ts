import { badArtifact } from "./error.js";

/** A line of the manifest: a file and its SHA-256. */
export interface ManifestEntry {
  /** `version`, `header.tar…` or `data/0000/NAME`. */
  readonly name: string;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Letters that a payload file's name may have. */
export const FILE_NAME = /^[A-Za-z0-9.,_-]+$/;

const LINE = /^([0-9a-f]{64}) {2}(\S+)$/;
const HEADER = /^header\.tar(?:\.gz|\.xz|\.zst)?$/;
const DATA = /^data\/0000\/([^/]+)$/;
const MAX_LINES = 256;

/**
 * Reads a manifest: lines as `sha256sum` writes them and nothing else, no name twice, only names that an artifact
 * has. A text that passes is written again as the same bytes, so that what is signed and what is read cannot differ.
 *
 * @param bytes - of the file `manifest`
 * @returns names and SHA-256, in the file's order
 * @throws `MenderError`
 */
export function parseManifest(bytes: Uint8Array): ManifestEntry[] {
  const lines = new TextDecoder("latin1").decode(bytes).split("\n");
  if (lines.pop() !== "") throw badArtifact("The manifest does not end with a line feed.");
  if (lines.length > MAX_LINES) throw badArtifact(`The manifest has more than ${MAX_LINES} lines.`);
  const seen = new Set<string>();
  return lines.map((line, index) => {
    const [, sha256, name] = LINE.exec(line) ?? [];
    if (sha256 === undefined || name === undefined)
      throw badArtifact(
        `Line ${index + 1} of the manifest is not "<sha256>  <name>" with lower-case digits.`,
      );
    const file = DATA.exec(name)?.[1];
    const isKnown = name === "version" || HEADER.test(name) || (file !== undefined && isFileName(file));
    if (!isKnown) throw badArtifact(`The manifest lists ${JSON.stringify(name)}, which no artifact has.`);
    if (seen.has(name)) throw badArtifact(`The manifest lists ${name} twice.`);
    seen.add(name);
    return { name, sha256 };
  });
}

/** The manifest as bytes. */
export function formatManifest(entries: readonly ManifestEntry[]): Uint8Array {
  return new TextEncoder().encode(entries.map(({ sha256, name }) => `${sha256}  ${name}\n`).join(""));
}

/** May a payload file be called so? Dots alone would be a folder. */
export function isFileName(name: string): boolean {
  return FILE_NAME.test(name) && !/^\.+$/.test(name) && name.length <= 100;
}
