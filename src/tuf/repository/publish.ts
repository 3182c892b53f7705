import { canonicalJson, isObject, type JsonObject } from "../canonical-json.js";
import { trustIn } from "../delegations.js";
import { parseMetadata } from "../metadata.js";
import type { Metadata, MetadataSignature, RoleKeys, TufKey } from "../metadata-types.js";
import { identityOf, type RoleTrust, tallySignatures, type VerifySignature } from "../signatures.js";
import { rolesOf } from "../trusted-metadata.js";
import {
  currentMetadata,
  type ExpiresFor,
  fileBytes,
  isInRoot,
  isTopLevel,
  type RepositoryState,
  renew,
  stageSnapshot,
  stageTimestamp,
  targetsRoles,
  typeOf,
  withSignatures,
} from "./draft.js";
import { TufRepositoryError } from "./repository-error.js";
import { type MetadataSigner, signBytes } from "./tuf-key.js";

/** What a staged role still needs. */
export interface MissingSignatures {
  readonly role: string;
  readonly version: number;
  /** How many more keys must sign. */
  readonly count: number;
  /** Ids of the keys that could. */
  readonly keyids: readonly string[];
}

/**
 * Stages what follows from the staged changes: roles whose published files no longer have enough signatures by the keys
 * that count now, the snapshot that lists the targets roles, the timestamp that lists the snapshot.
 *
 * @param state - of the repository; not changed
 * @param expires - until when a role's metadata holds
 * @param verify - checks a signature
 * @returns with all that has to be signed staged
 */
export async function completeStage(
  state: RepositoryState,
  expires: ExpiresFor,
  verify: VerifySignature,
): Promise<RepositoryState> {
  let next = state;
  for (const role of targetsRoles(state))
    if (await needsSignatures(next, role, verify)) next = renew(next, role, expires);
  next = stageSnapshot(next, expires, await needsSignatures(next, "snapshot", verify));
  return stageTimestamp(next, expires, await needsSignatures(next, "timestamp", verify));
}

/** Is the published file of a role, if there is one and nothing newer, signed by too few of the keys that count now? */
async function needsSignatures(
  state: RepositoryState,
  role: string,
  verify: VerifySignature,
): Promise<boolean> {
  const file = state.published.get(role);
  if (!file || state.staged.has(role)) return false;
  const metadata = parseMetadata(typeOf(role), fileBytes(file), role);
  for (const { trust } of trustsFor(state, role))
    if (!(await tallySignatures(metadata, trust, verify)).reached) return true;
  return false;
}

/**
 * Every group of keys that must reach its threshold for a role: for a root its own and those of the root before.
 *
 * @param state - of the repository
 * @param role - its name
 * @returns each with who says so
 * @throws TufRepositoryError `no-such-role`
 */
export function trustsFor(state: RepositoryState, role: string): readonly { by: string; trust: RoleTrust }[] {
  const root = currentMetadata(state, "root", "root");
  if (!root) throw new TufRepositoryError("no-such-role", "The repository has no root.");
  if (!isInRoot(role)) return [{ by: "targets", trust: delegatedTrust(state, role) }];
  if (!isTopLevel(role)) return [{ by: `root ${root.signed.version}`, trust: offlineTrust(root, role) }];
  const own = { by: `root ${root.signed.version}`, trust: rolesOf(root.signed, role) };
  const published = state.published.get("root");
  if (role !== "root" || !published || !state.staged.has("root")) return [own];
  const before = parseMetadata("root", fileBytes(published)).signed;
  return [{ by: `root ${before.version}`, trust: rolesOf(before, "root") }, own];
}

function offlineTrust({ raw, signed }: Metadata<"root">, role: string): RoleTrust {
  const entry = (raw.roles as JsonObject)[role];
  if (isObject(entry)) return { ...(entry as unknown as RoleKeys), keys: signed.keys };
  throw new TufRepositoryError("no-such-role", `The root has no role ${role}.`, {
    hint: `bootproof tuf key FOLDER ${role} --add FILE stages it.`,
  });
}

function delegatedTrust(state: RepositoryState, role: string): RoleTrust {
  const targets = currentMetadata(state, "targets", "targets");
  const trust = targets && trustIn(targets.signed, role);
  if (trust) return trust;
  throw new TufRepositoryError("no-such-role", `The role targets does not delegate to ${role}.`);
}

/**
 * Signs every staged role with each signer whose key the role lists.
 *
 * @param state - of the repository; not changed
 * @param signers - whoever is at hand
 * @returns with their signatures, in place of older ones of the same keys
 * @throws what a signer throws
 */
export async function signStaged(
  state: RepositoryState,
  signers: readonly MetadataSigner[],
): Promise<RepositoryState> {
  let next = state;
  for (const [role, { signed }] of state.staged) {
    const bytes = canonicalJson(signed);
    const signatures: MetadataSignature[] = [];
    for (const signer of signers)
      for (const id of idsOf(signer, trustsFor(state, role)))
        signatures.push(await signBytes(bytes, signer, id));
    if (signatures.length > 0) next = withSignatures(next, role, signatures);
  }
  return next;
}

/** Signs content with each signer whose key a role lists. */
export async function signaturesFor(
  signed: JsonObject,
  trust: RoleTrust,
  signers: readonly MetadataSigner[],
): Promise<MetadataSignature[]> {
  const bytes = canonicalJson(signed);
  const signatures: MetadataSignature[] = [];
  for (const signer of signers)
    for (const id of idsOf(signer, [{ trust }])) signatures.push(await signBytes(bytes, signer, id));
  return signatures;
}

/** The ids under which a role lists a signer's key: repositories choose them as they like. */
function idsOf(signer: MetadataSigner, trusts: readonly { trust: RoleTrust }[]): Set<string> {
  const own = identityOf(publicOf(signer.key));
  const ids = trusts.flatMap(({ trust }) =>
    trust.keyids.filter((id) => {
      const key = trust.keys.get(id);
      return key !== undefined && identityOf(key) === own;
    }),
  );
  return new Set(ids);
}

function publicOf(raw: JsonObject): TufKey {
  const { public: text } = raw.keyval as { public: string };
  return { keytype: raw.keytype as string, scheme: raw.scheme as string, public: text, raw };
}

/**
 * What the staged roles still need before they can be published. Nothing when all is signed.
 *
 * @param state - of the repository
 * @param verify - checks a signature
 * @returns for each role how many signatures are missing, and whose would count
 */
export async function missingSignatures(
  state: RepositoryState,
  verify: VerifySignature,
): Promise<MissingSignatures[]> {
  const missing: MissingSignatures[] = [];
  for (const [role, file] of state.staged) {
    const metadata = parseMetadata(typeOf(role), fileBytes(file), role);
    for (const { trust } of trustsFor(state, role)) {
      const { reached, signedBy } = await tallySignatures(metadata, trust, verify);
      if (reached) continue;
      const keyids = trust.keyids.filter((id) => !signedBy.includes(id));
      missing.push({
        role,
        version: metadata.signed.version,
        count: trust.threshold - signedBy.length,
        keyids,
      });
    }
  }
  return missing;
}

/** The files to write, the timestamp last: until it is there, clients see the repository as it was. */
export function filesToPublish(
  state: RepositoryState,
): { readonly role: string; readonly version: number; readonly bytes: Uint8Array }[] {
  const order = (role: string) => ["root", "targets", "snapshot", "timestamp"].indexOf(role);
  const rank = (role: string) => (order(role) < 0 ? 1 : order(role));
  return [...state.staged]
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([role, file]) => ({ role, version: file.signed.version as number, bytes: fileBytes(file) }));
}

/** The state after the files were written. */
export function published(state: RepositoryState): RepositoryState {
  return { published: new Map([...state.published, ...state.staged]), staged: new Map() };
}
