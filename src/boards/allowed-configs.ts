import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { renameOver } from "../rename-over.js";

/** What `bootproof allow` remembers: which project config files may run programs and name keys, by their content. */

const LARGEST_FILE = 1024 * 1024;

const fileName = () =>
  join(process.env.XDG_STATE_HOME ?? join(homedir(), ".local", "state"), "bootproof", "allowed-configs.json");

/** The files that a config relies on: what it is allowed for depends on what is in them. */
export interface NamedFiles {
  readonly plugins: readonly string[];
  readonly keys: readonly string[];
  readonly known?: readonly string[];
  readonly artifactKeys?: readonly string[] | undefined;
  readonly policy?: string | undefined;
}

/**
 * Names a config file by path and content, with the content of the plug-ins, keys, known images and policy that it names: whatever changes
 * in one of them has to be allowed again. A file that cannot be read counts as empty.
 *
 * @param path - absolute
 * @param text - content of the file
 * @param names - the files that it relies on, absolute paths
 * @returns SHA-256, hex
 */
export function configFingerprint(path: string, text: string, names: NamedFiles): string {
  const hash = createHash("sha256");
  const add = (content: string | Uint8Array) => {
    const bytes = Buffer.from(content);
    hash.update(`${bytes.length}:`).update(bytes);
  };
  add(path);
  add(text);
  const { plugins, keys, known = [], artifactKeys = [], policy } = names;
  for (const file of [
    ...plugins,
    ...keys,
    ...known,
    ...artifactKeys,
    ...(policy === undefined ? [] : [policy]),
  ]) {
    add(file);
    add(contentOf(file));
  }
  return hash.digest("hex");
}

function contentOf(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch {
    // Loading it will say what is wrong with it.
    return new Uint8Array();
  }
}

/** Whether the user has allowed exactly this content at this place. */
export function isAllowed(fingerprint: string): boolean {
  return allowed().includes(fingerprint);
}

/**
 * Remembers, or with `revoke` forgets, one fingerprint.
 *
 * @param fingerprint - by {@link configFingerprint}
 * @param options - `revoke` forgets it
 * @throws what writing the file throws
 */
export function allowConfig(fingerprint: string, { revoke = false }: { revoke?: boolean } = {}): void {
  const others = allowed().filter((known) => known !== fingerprint);
  const next = revoke ? others : [...others, fingerprint];
  mkdirSync(dirname(fileName()), { recursive: true });
  const fresh = `${fileName()}.${process.pid}`;
  writeFileSync(fresh, `${JSON.stringify(next, undefined, 1)}\n`, { mode: 0o600 });
  renameOver(fresh, fileName());
}

function allowed(): string[] {
  try {
    const text = readFileSync(fileName(), "utf8");
    const data: unknown = text.length > LARGEST_FILE ? [] : JSON.parse(text);
    return Array.isArray(data) ? data.filter((entry): entry is string => typeof entry === "string") : [];
  } catch {
    // None yet, or damaged: then nothing is allowed.
    return [];
  }
}

/**
 * Whether a file belongs to somebody else, who could change it at any time. Unknown on systems without owners.
 *
 * @param path - of a file that exists
 * @returns false on systems without owners
 */
export function isForeign(path: string): boolean {
  const me = process.getuid?.();
  return me !== undefined && statSync(path).uid !== me;
}
