import { isObject, type JsonObject } from "../canonical-json.js";
import { type ExpiresFor, mustHave, type RepositoryState, stage } from "./draft.js";
import { TufRepositoryError } from "./repository-error.js";

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
