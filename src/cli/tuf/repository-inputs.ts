import type { RepositoryState } from "../../tuf/repository/draft.js";
import { type NamedTufKey, tufKeyOf } from "../../tuf/repository/tuf-key.js";
import { type ExpiryDays, RepositoryFolder } from "../../tuf-store/repository-folder.js";
import { expiryAfter } from "../current-time.js";
import { printable } from "../output.js";
import { readKey } from "../secrets.js";
import type { Context } from "../verb-context.js";

export const expiresBy = (days: ExpiryDays) => (role: string) =>
  expiryAfter(days[role] ?? days.delegated ?? 0);

export function openFolder(path: string) {
  const folder = new RepositoryFolder(path);
  const { state, days } = folder.load();
  return { folder, state, expires: expiresBy(days) };
}

export async function namedKeys(
  files: readonly string[],
  options: { passphraseFile?: string } = {},
): Promise<NamedTufKey[]> {
  return Promise.all(files.map(async (file) => tufKeyOf((await readKey(file, options)).publicKey)));
}

export const stagedFacts = ({ staged }: RepositoryState) =>
  [...staged].map(([role, { signed }]) => ({ role, version: signed.version, expires: signed.expires }));

/** Keeps a staged change and tells what is staged now. */
export function staged(
  folder: RepositoryFolder,
  state: RepositoryState,
  { out }: Context,
  what: string,
): void {
  folder.saveStaged(state);
  const list = stagedFacts(state).map(({ role, version }) => `${role} ${String(version)}`);
  out.result(
    { folder: folder.folder, staged: stagedFacts(state) },
    `${what}\nStaged: ${printable(list.join(", "))}\nNext: bootproof tuf publish ${folder.folder} --key FILE`,
  );
}
