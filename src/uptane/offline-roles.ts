import { isList, isObject, type JsonObject } from "../tuf/canonical-json.js";
import { TufError } from "../tuf/error.js";
import type { Metadata, TargetFile } from "../tuf/metadata-types.js";
import { OFFLINE_ROLES } from "../tuf/repository/draft.js";
import type { RoleTrust } from "../tuf/signatures.js";
import { UptaneError } from "./error.js";
import { parseUptaneVariant } from "./reader.js";

/**
 * The two roles that a Director's root has for offline updates, and their files. A targets file lists images that are
 * installed together, by hardware id and not by ECU; the snapshot lists the version of each such file.
 *
 * Source: github.com/uptane/pures, PURE-2
 */

export const [OFFLINE_TARGETS, OFFLINE_SNAPSHOT] = OFFLINE_ROLES;
/** `_type` of the two kinds of files. */
export const OFFLINE_TYPES = { targets: "Offline-Targets", snapshot: "Offline-Snapshot" } as const;

/**
 * Reads the file that lists the version of each offline update.
 *
 * @param bytes - the file, as it came
 * @returns its signed part, its signatures, and the bytes that they count over
 * @throws TufError `bad-metadata`
 */
export function parseOfflineSnapshot(bytes: Uint8Array): Metadata<"snapshot"> {
  return parseUptaneVariant("snapshot", bytes, OFFLINE_SNAPSHOT, OFFLINE_TYPES.snapshot);
}

/**
 * Reads the file of one offline update.
 *
 * @param bytes - the file, as it came
 * @param name - of the update
 * @returns its signed part, its signatures, and the bytes that they count over
 * @throws TufError `bad-metadata`
 */
export function parseOfflineTargets(bytes: Uint8Array, name: string): Metadata<"targets"> {
  return parseUptaneVariant("targets", bytes, name, OFFLINE_TYPES.targets);
}

/** May an update be called so? Its file must not be taken for one of another role. */
export function isUpdateName(name: string): boolean {
  return /^[A-Za-z][\w-]{0,63}$/.test(name) && !/^(root|timestamp|snapshot|targets|offline-.*)$/i.test(name);
}

/**
 * Keys and threshold of an offline role, as the Director's root defines them.
 *
 * @throws TufError `arbitrary-software` when the root has no such role: nobody may sign for it
 */
export function offlineTrust(root: Metadata<"root">, role: string): RoleTrust {
  const roles = isObject(root.raw.roles) ? root.raw.roles : {};
  const entry = Object.hasOwn(roles, role) ? roles[role] : undefined;
  if (entry === undefined)
    throw new TufError(
      "arbitrary-software",
      role,
      `Root ${root.signed.version} of the Director has no role ${role}, so no key may sign offline updates.`,
      { hint: `The Director's owner must add it: bootproof tuf key FOLDER ${role} --add FILE.` },
    );
  const { keyids, threshold } = isObject(entry) ? entry : ({} as JsonObject);
  const isGood =
    keyids !== undefined &&
    isList(keyids) &&
    keyids.every((id) => typeof id === "string") &&
    new Set(keyids).size === keyids.length &&
    Number.isSafeInteger(threshold) &&
    (threshold as number) >= 1;
  if (!isGood)
    throw new TufError("bad-metadata", "root", `The root metadata is malformed at signed.roles.${role}.`);
  return { keyids: keyids as readonly string[], threshold: threshold as number, keys: root.signed.keys };
}

/** The hardware that a target of an offline update is for. @throws UptaneError `bad-assignment` */
export function hardwareIdsOf({ path, custom }: TargetFile): readonly string[] {
  const ids = custom?.hardwareIds;
  if (ids !== undefined && isList(ids) && ids.length > 0 && ids.every((id) => typeof id === "string"))
    return ids as readonly string[];
  throw new UptaneError("bad-assignment", path, `The offline update names no hardware for ${path}.`);
}
