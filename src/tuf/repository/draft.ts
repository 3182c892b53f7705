import { canonicalJson, isObject, type Json, type JsonObject } from "../canonical-json.js";
import {
  type Metadata,
  type MetadataSignature,
  parseMetadata,
  type RoleType,
  type TargetsSigned,
  TOP_LEVEL_ROLES,
} from "../metadata.js";
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

function mustBeReachable(role: string, keyids: readonly string[], threshold: number): void {
  if (threshold >= 1 && threshold <= keyids.length) return;
  throw new TufRepositoryError(
    "bad-change",
    `The role ${role} would have ${keyids.length} keys and a threshold of ${threshold}.`,
    { hint: "A threshold is at least 1 and at most the number of keys." },
  );
}

export interface KeyChange {
  readonly add?: readonly NamedTufKey[];
  /** Key ids, or beginnings of them. */
  readonly remove?: readonly string[];
  readonly threshold?: number | undefined;
}

/**
 * Changes the keys of a role: of a top-level one in the root, of a delegated one in the targets role.
 *
 * @param state - of the repository; not changed
 * @param role - its name
 * @param change - keys to add and to remove, and the threshold
 * @param expires - until when a role's metadata holds
 * @returns with the change staged
 * @throws TufRepositoryError when there is no such role, or its threshold could not be reached
 */
export function changeKeys(
  state: RepositoryState,
  role: string,
  change: KeyChange,
  expires: ExpiresFor,
): RepositoryState {
  if (!isInRoot(role)) return changeDelegatedKeys(state, role, change, expires);
  const root = mustHave(state, "root");
  const roles = root.roles as JsonObject;
  const before = (roles[role] ?? { keyids: [], threshold: 1 }) as JsonObject;
  const next = { ...roles, [role]: changedRole(role, before, change) };
  const keys = keysInUse(Object.values(next) as JsonObject[], root.keys as JsonObject, change.add);
  return stage(state, "root", { ...root, roles: next, keys }, expires);
}

function changeDelegatedKeys(
  state: RepositoryState,
  role: string,
  change: KeyChange,
  expires: ExpiresFor,
): RepositoryState {
  const targets = mustHave(state, "targets");
  const delegations = targets.delegations as JsonObject | undefined;
  const roles = (delegations?.roles ?? []) as readonly JsonObject[];
  if (!roles.some(({ name }) => name === role))
    throw new TufRepositoryError("no-such-role", `The role targets does not delegate to ${role}.`);
  const next = roles.map((entry) => (entry.name === role ? changedRole(role, entry, change) : entry));
  const keys = keysInUse(next, delegations!.keys as JsonObject, change.add);
  return stage(state, "targets", { ...targets, delegations: { keys, roles: next } }, expires);
}

function changedRole(
  role: string,
  before: JsonObject,
  { add = [], remove = [], threshold }: KeyChange,
): JsonObject {
  const known = before.keyids as readonly string[];
  const gone = remove.map((id) => fullId(known, id));
  const added = add.map(({ id }) => id).filter((id) => !known.includes(id));
  const keyids = [...known.filter((id) => !gone.includes(id)), ...added];
  const count = threshold ?? (before.threshold as number);
  mustBeReachable(role, keyids, count);
  return { ...before, keyids, threshold: count };
}

function fullId(known: readonly string[], start: string): string {
  const found = known.filter((id) => id.startsWith(start));
  if (found.length === 1) return found[0]!;
  throw new TufRepositoryError(
    "no-such-key",
    `${found.length === 0 ? "No key" : "More than one key"} of the role has an id that begins with ${start}.`,
    { hint: `Its keys: ${known.join(", ")}` },
  );
}

/** The keys that some role names; those that none needs any more are left out. */
function keysInUse(
  roles: readonly JsonObject[],
  keys: JsonObject,
  added: readonly NamedTufKey[] = [],
): Record<string, Json> {
  const all: Record<string, Json> = { ...keys };
  for (const { id, key } of added) all[id] = key;
  const used = new Set(roles.flatMap(({ keyids }) => keyids as readonly string[]));
  return Object.fromEntries(Object.entries(all).filter(([id]) => used.has(id)));
}

/** A target to list. */
export interface NewTarget {
  readonly path: string;
  readonly length: number;
  readonly sha256: string;
  readonly custom?: JsonObject | undefined;
}

/**
 * Lists a target in a targets role, in place of one of the same path.
 *
 * @param state - of the repository; not changed
 * @param role - its name
 * @param target - path with `/` between its parts, length in bytes, SHA-256 in hex
 * @param expires - until when a role's metadata holds
 * @returns with the change staged
 * @throws TufRepositoryError when there is no such role, or the path is none
 */
export function addTarget(
  state: RepositoryState,
  role: string,
  { path, length, sha256, custom }: NewTarget,
  expires: ExpiresFor,
): RepositoryState {
  const targets = mustHave(state, role);
  mustBePath(path);
  const entry = { length, hashes: { sha256 }, ...(custom && { custom }) };
  return stage(
    state,
    role,
    { ...targets, targets: { ...(targets.targets as JsonObject), [path]: entry } },
    expires,
  );
}

/**
 * Says something of a role itself, beside its targets: for which vehicle a Director's targets are.
 *
 * @param state - of the repository; not changed
 * @param role - its name
 * @param custom - fields for `custom` of the signed part; those of the same name are replaced
 * @param expires - until when a role's metadata holds
 * @returns with the change staged
 * @throws TufRepositoryError when there is no such role
 */
export function describeRole(
  state: RepositoryState,
  role: string,
  custom: JsonObject,
  expires: ExpiresFor,
): RepositoryState {
  const content = mustHave(state, role);
  const before = isObject(content.custom) ? content.custom : {};
  return stage(state, role, { ...content, custom: { ...before, ...custom } }, expires);
}

/**
 * Takes a target file out of a role and stages the role.
 *
 * @param state - of the repository; not changed
 * @param role - its name
 * @param path - as in the metadata, relative, parts separated by `/`
 * @param expires - until when a role's metadata holds
 * @returns with the change staged
 * @throws TufRepositoryError when there is no such role or target
 */
export function removeTarget(
  state: RepositoryState,
  role: string,
  path: string,
  expires: ExpiresFor,
): RepositoryState {
  const targets = mustHave(state, role);
  const { [path]: gone, ...rest } = targets.targets as JsonObject;
  if (gone === undefined)
    throw new TufRepositoryError("target-not-published", `The role ${role} lists no target ${path}.`);
  return stage(state, role, { ...targets, targets: rest }, expires);
}

/** Section 4.5, TARGETPATH: relative, without steps out of its folder, and nothing that a terminal obeys. */
function mustBePath(path: string): void {
  const parts = path.split("/");
  if (parts.every((part) => part !== "" && part !== "." && part !== ".." && !/[\\:\p{Cc}]/u.test(part)))
    return;
  throw new TufRepositoryError("bad-change", `"${path}" is not a path of a target.`, {
    hint: "A path is relative, with / between its parts: app/update.bin",
  });
}

export interface NewDelegation extends RoleSetting {
  readonly name: string;
  readonly terminating: boolean;
  readonly paths?: readonly string[] | undefined;
  readonly pathHashPrefixes?: readonly string[] | undefined;
}

/**
 * Has the targets role delegate to another, in place of one of the same name.
 *
 * @param state - of the repository; not changed
 * @param delegation - name, keys and threshold of the role, and which paths are its
 * @param expires - until when a role's metadata holds
 * @returns with the change staged
 * @throws TufRepositoryError
 */
export function addDelegation(
  state: RepositoryState,
  { name, keys, threshold, terminating, paths, pathHashPrefixes }: NewDelegation,
  expires: ExpiresFor,
): RepositoryState {
  const targets = mustHave(state, "targets");
  const before = targets.delegations as JsonObject | undefined;
  if (before?.succinct_roles !== undefined)
    throw new TufRepositoryError("bad-change", "The role targets delegates to hash bins already.");
  const keyids = keys.map(({ id }) => id);
  mustBeReachable(name, keyids, threshold);
  const entry = {
    name,
    keyids,
    threshold,
    terminating,
    ...(paths ? { paths } : { path_hash_prefixes: pathHashPrefixes ?? [] }),
  };
  const roles = [
    ...((before?.roles ?? []) as readonly JsonObject[]).filter((role) => role.name !== name),
    entry,
  ];
  const delegations = { keys: keysInUse(roles, (before?.keys ?? {}) as JsonObject, keys), roles };
  return stageEmpty(stage(state, "targets", { ...targets, delegations }, expires), name, expires);
}

/**
 * Has the targets role delegate everything to 2 to the power of `bitLength` hash bins. TAP 15.
 *
 * @param state - of the repository; not changed
 * @param bins - how many, as a number of bits; their names, keys and threshold
 * @param expires - until when a role's metadata holds
 * @returns with the change staged
 * @throws TufRepositoryError when there are delegations already
 */
export function addSuccinctBins(
  state: RepositoryState,
  { namePrefix, bitLength, keys, threshold }: RoleSetting & { namePrefix: string; bitLength: number },
  expires: ExpiresFor,
): RepositoryState {
  const targets = mustHave(state, "targets");
  if (targets.delegations !== undefined)
    throw new TufRepositoryError("bad-change", "The role targets delegates to others already.");
  const keyids = keys.map(({ id }) => id);
  mustBeReachable(namePrefix, keyids, threshold);
  const delegations = {
    keys: keysInUse([{ keyids }], {}, keys),
    succinct_roles: { keyids, threshold, bit_length: bitLength, name_prefix: namePrefix },
  };
  const digits = (2 ** bitLength - 1).toString(16).length;
  let next = stage(state, "targets", { ...targets, delegations }, expires);
  for (let bin = 0; bin < 2 ** bitLength; bin++)
    next = stageEmpty(next, `${namePrefix}-${bin.toString(16).padStart(digits, "0")}`, expires);
  return next;
}

function stageEmpty(state: RepositoryState, role: string, expires: ExpiresFor): RepositoryState {
  if (currentFile(state, role)) return state;
  return stage(state, role, { _type: "targets", targets: {} }, expires);
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

function mustHave(state: RepositoryState, role: string): JsonObject {
  const file = currentFile(state, role);
  if (file) return file.signed;
  throw new TufRepositoryError("no-such-role", `The repository has no role ${role}.`, {
    hint: `Its roles: ${[...new Set([...state.published.keys(), ...state.staged.keys()])].join(", ")}`,
  });
}
