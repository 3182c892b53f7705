import { canonicalJson, isObject, type Json, type JsonObject } from "../canonical-json.js";
import { parseMetadata } from "../metadata.js";
import {
  type Metadata,
  type MetadataSignature,
  type RoleType,
  type TargetsSigned,
  TOP_LEVEL_ROLES,
} from "../metadata-types.js";
import { TufRepositoryError } from "./repository-error.js";
import type { NamedTufKey } from "./tuf-key.js";

/** Changes to the files of a repository, as plain values: nothing here signs, reads or writes. */

const SPEC_VERSION = "1.0.34";

/** Roles that the root of an Uptane Director has besides TUF's, for offline updates. github.com/uptane/pures, PURE-2 */
export const OFFLINE_ROLES = ["Offline-update-targets", "Offline-update-snapshot"] as const;

/** Does the root define the role, and no targets role? */
export function isInRoot(role: string): boolean {
  return isTopLevel(role) || (OFFLINE_ROLES as readonly string[]).includes(role);
}

/** A metadata file that may not be signed yet. */
export interface DraftFile {
  readonly signed: JsonObject;
  readonly signatures: readonly MetadataSignature[];
}

/** The newest published files and the changes to them, by role. */
export interface RepositoryState {
  readonly published: ReadonlyMap<string, DraftFile>;
  readonly staged: ReadonlyMap<string, DraftFile>;
}

/** When what is signed now expires. */
export type ExpiresFor = (role: string) => string;

/** The file of a role with the changes so far; undefined when there is none. */
export function currentFile(state: RepositoryState, role: string): DraftFile | undefined {
  return state.staged.get(role) ?? state.published.get(role);
}

/** The same, read as the metadata that it is. */
export function currentMetadata<T extends RoleType>(
  state: RepositoryState,
  role: string,
  type: T,
): Metadata<T> | undefined {
  const file = currentFile(state, role);
  return file && parseMetadata(type, fileBytes(file), role);
}

/**
 * The text of a metadata file: JSON with sorted keys, so that the same content gives the same file.
 *
 * @param file - signed part and signatures
 * @returns bytes in UTF-8
 */
export function fileBytes({ signed, signatures }: DraftFile): Uint8Array {
  const value = { signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig })), signed };
  return new TextEncoder().encode(`${JSON.stringify(sorted(value), null, 1)}\n`);
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sorted(value[name]!)]),
  );
}

/** Stages a new content of a role: the version after the published one, a new expiry, no signatures yet. */
export function stage(
  state: RepositoryState,
  role: string,
  content: JsonObject,
  expires: ExpiresFor,
): RepositoryState {
  const published = state.published.get(role);
  const version = published ? (published.signed.version as number) + 1 : 1;
  const signed = { ...content, version, expires: expires(role), spec_version: SPEC_VERSION };
  // Reads it as a client would: what no client accepts is not staged.
  parseMetadata(typeOf(role), fileBytes({ signed, signatures: [] }), role);
  return { ...state, staged: new Map(state.staged).set(role, { signed, signatures: [] }) };
}

export function typeOf(role: string): RoleType {
  return isTopLevel(role) ? role : "targets";
}

export function isTopLevel(role: string): role is RoleType {
  return (TOP_LEVEL_ROLES as readonly string[]).includes(role);
}

/** Adds signatures to a staged role, in place of those by the same keys. */
export function withSignatures(
  state: RepositoryState,
  role: string,
  signatures: readonly MetadataSignature[],
): RepositoryState {
  const file = state.staged.get(role)!;
  const ids = signatures.map(({ keyid }) => keyid);
  const kept = file.signatures.filter(({ keyid }) => !ids.includes(keyid));
  const all = [...kept, ...signatures].sort((a, b) => (a.keyid < b.keyid ? -1 : 1));
  return { ...state, staged: new Map(state.staged).set(role, { signed: file.signed, signatures: all }) };
}

/** Who signs for a role of a new repository. */
export interface RoleSetting {
  readonly keys: readonly NamedTufKey[];
  readonly threshold: number;
}

/**
 * A new repository: the first root, and targets that list nothing.
 *
 * @param roles - keys and threshold of each
 * @param expires - until when a role's metadata holds
 * @returns everything staged, nothing signed
 */
export function newRepository(
  roles: Readonly<Record<RoleType, RoleSetting>>,
  expires: ExpiresFor,
): RepositoryState {
  const keys: Record<string, Json> = {};
  for (const role of TOP_LEVEL_ROLES) for (const { id, key } of roles[role].keys) keys[id] = key;
  const root = {
    _type: "root",
    consistent_snapshot: true,
    keys,
    roles: Object.fromEntries(TOP_LEVEL_ROLES.map((role) => [role, roleJson(role, roles[role])])),
  };
  const empty = { published: new Map(), staged: new Map() };
  return stage(stage(empty, "root", root, expires), "targets", { _type: "targets", targets: {} }, expires);
}

function roleJson(role: string, { keys, threshold }: RoleSetting): JsonObject {
  const keyids = keys.map(({ id }) => id);
  mustBeReachable(role, keyids, threshold);
  return { keyids, threshold };
}

export function mustBeReachable(role: string, keyids: readonly string[], threshold: number): void {
  if (threshold >= 1 && threshold <= keyids.length) return;
  throw new TufRepositoryError(
    "bad-change",
    `The role ${role} would have ${keyids.length} keys and a threshold of ${threshold}.`,
    { hint: "A threshold is at least 1 and at most the number of keys." },
  );
}

/**
 * Stages a role with the content it has: a new version and expiry to sign.
 *
 * @param state - of the repository; not changed
 * @param role - its name
 * @param expires - until when a role's metadata holds
 * @returns with the role staged
 * @throws TufRepositoryError when there is no such role
 */
export function renew(state: RepositoryState, role: string, expires: ExpiresFor): RepositoryState {
  return stage(state, role, mustHave(state, role), expires);
}

/** Every targets role of the repository, the top-level one first. */
export function targetsRoles(state: RepositoryState): string[] {
  const top = currentMetadata(state, "targets", "targets")?.signed;
  return ["targets", ...delegatedNames(state, top)];
}

function delegatedNames(state: RepositoryState, top: TargetsSigned | undefined): string[] {
  const { roles, succinct } = top?.delegations ?? {};
  if (!succinct) return (roles ?? []).map(({ name }) => name);
  const all = new Set([...state.published.keys(), ...state.staged.keys()]);
  return [...all].filter((name) => name.startsWith(`${succinct.namePrefix}-`)).sort();
}

/** Stages the snapshot that lists the targets roles as they will be, unless the current one does. */
export function stageSnapshot(state: RepositoryState, expires: ExpiresFor, force: boolean): RepositoryState {
  const meta: Record<string, Json> = {};
  for (const role of targetsRoles(state)) meta[`${role}.json`] = { version: mustHave(state, role).version! };
  return stageWhenOther(state, "snapshot", { _type: "snapshot", meta }, expires, force);
}

/** Stages the timestamp that lists the snapshot as it will be, unless the current one does. */
export function stageTimestamp(state: RepositoryState, expires: ExpiresFor, force: boolean): RepositoryState {
  const meta = { "snapshot.json": { version: mustHave(state, "snapshot").version! } };
  return stageWhenOther(state, "timestamp", { _type: "timestamp", meta }, expires, force);
}

function stageWhenOther(
  state: RepositoryState,
  role: string,
  content: JsonObject,
  expires: ExpiresFor,
  force: boolean,
): RepositoryState {
  const current = currentFile(state, role)?.signed;
  const isSame = current !== undefined && sameJson(current.meta!, content.meta!);
  return isSame && !force ? state : stage(state, role, content, expires);
}

function sameJson(a: Json, b: Json): boolean {
  const [left, right] = [a, b].map((value) => new TextDecoder().decode(canonicalJson(value)));
  return left === right;
}

export function mustHave(state: RepositoryState, role: string): JsonObject {
  const file = currentFile(state, role);
  if (file) return file.signed;
  throw new TufRepositoryError("no-such-role", `The repository has no role ${role}.`, {
    hint: `Its roles: ${[...new Set([...state.published.keys(), ...state.staged.keys()])].join(", ")}`,
  });
}
