import type { Json, JsonObject } from "../canonical-json.js";
import {
  type ExpiresFor,
  isInRoot,
  mustBeReachable,
  mustHave,
  type RepositoryState,
  stage,
} from "./draft.js";
import { TufRepositoryError } from "./repository-error.js";
import type { NamedTufKey } from "./tuf-key.js";

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
export function keysInUse(
  roles: readonly JsonObject[],
  keys: JsonObject,
  added: readonly NamedTufKey[] = [],
): Record<string, Json> {
  const all: Record<string, Json> = { ...keys };
  for (const { id, key } of added) all[id] = key;
  const used = new Set(roles.flatMap(({ keyids }) => keyids as readonly string[]));
  return Object.fromEntries(Object.entries(all).filter(([id]) => used.has(id)));
}
