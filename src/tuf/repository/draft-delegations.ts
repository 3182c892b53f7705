import type { JsonObject } from "../canonical-json.js";
import {
  currentFile,
  type ExpiresFor,
  mustBeReachable,
  mustHave,
  type RepositoryState,
  type RoleSetting,
  stage,
} from "./draft.js";
import { keysInUse } from "./draft-keys.js";
import { TufRepositoryError } from "./repository-error.js";

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
