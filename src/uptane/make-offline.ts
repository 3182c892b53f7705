import { fromHex } from "../bytes.js";
import { canonicalJson, type Json, type JsonObject } from "../tuf/canonical-json.js";
import { sha256Hex } from "../tuf/hashes.js";
import type { Metadata, MetadataSignature, TargetFile } from "../tuf/metadata-types.js";
import { type DraftFile, fileBytes } from "../tuf/repository/draft.js";
import { type MissingSignatures, signaturesFor } from "../tuf/repository/publish.js";
import { TufRepositoryError } from "../tuf/repository/repository-error.js";
import { openTufSigningResponse } from "../tuf/repository/signing-request.js";
import type { MetadataSigner } from "../tuf/repository/tuf-key.js";
import { tallySignatures, type VerifySignature } from "../tuf/signatures.js";
import { UptaneError } from "./error.js";
import {
  isUpdateName,
  OFFLINE_SNAPSHOT,
  OFFLINE_TARGETS,
  OFFLINE_TYPES,
  offlineTrust,
  parseOfflineSnapshot,
  parseOfflineTargets,
} from "./offline-roles.js";

/** An image of an offline update, and for which hardware the Director means it. */
export interface OfflineChoice {
  /** As the Image repository lists it. */
  readonly target: TargetFile;
  readonly hardwareIds: readonly string[];
}

export interface OfflineDraft {
  /** Of the update: `EMEA-standard`. */
  readonly name: string;
  readonly choices: readonly OfflineChoice[];
  /** The files of the update before, when there are some. */
  readonly before: { readonly snapshot?: Uint8Array | undefined; readonly targets?: Uint8Array | undefined };
  /** `YYYY-MM-DDTHH:MM:SSZ`, of both files. */
  readonly expires: string;
}

/** The two new files of a Director, signed by some, by enough or by nobody. */
export interface OfflineFiles {
  readonly targets: DraftFile;
  readonly snapshot: DraftFile;
}

/** Which role signs which file. */
const ROLES = [
  ["targets", OFFLINE_TARGETS],
  ["snapshot", OFFLINE_SNAPSHOT],
] as const;

/**
 * Makes the next version of an offline update and of the snapshot that lists it, without signatures.
 *
 * @param draft - name, choices of images for hardware, and what was there before
 * @param signers - of the Director's offline roles
 * @returns names and contents of the files
 * @throws UptaneError `bad-assignment` for hardware twice, `wrong-hardware-id` for hardware that the Image repository does
 *   not name; TufRepositoryError `bad-change`; TufError
 */
export function draftOfflineUpdate({ name, choices, before, expires }: OfflineDraft): OfflineFiles {
  if (!isUpdateName(name))
    throw new TufRepositoryError("bad-change", `"${name}" cannot be the name of an offline update.`, {
      hint: "A letter, then letters, digits, dashes and underscores: EMEA-standard.",
    });
  mustFit(choices);
  const last = before.targets && parseOfflineTargets(before.targets, name).signed.version;
  const lastSnapshot = before.snapshot && parseOfflineSnapshot(before.snapshot);
  const version = (last ?? 0) + 1;
  const snapshotVersion = (lastSnapshot?.signed.version ?? 0) + 1;
  const common = { spec_version: "1.0.34", expires };
  const targets = {
    _type: OFFLINE_TYPES.targets,
    ...common,
    version,
    targets: Object.fromEntries(choices.map((choice) => [choice.target.path, entryOf(choice)])),
  };
  const meta = { ...((lastSnapshot?.raw.meta ?? {}) as JsonObject), [`${name}.json`]: { version } };
  const snapshot = { _type: OFFLINE_TYPES.snapshot, ...common, version: snapshotVersion, meta };
  return { targets: { signed: targets, signatures: [] }, snapshot: { signed: snapshot, signatures: [] } };
}

/**
 * Adds the signatures of all signers whose keys the Director's root lists for the two roles.
 *
 * @param files - both, signed or not
 * @param root - of the Director
 * @param signers - whoever is at hand
 * @returns with their signatures
 * @throws TufError
 */
export async function signOfflineUpdate(
  files: OfflineFiles,
  root: Metadata<"root">,
  signers: readonly MetadataSigner[],
): Promise<OfflineFiles> {
  const signed = { ...files };
  for (const [part, role] of ROLES) {
    const { signed: content } = files[part];
    const trust = offlineTrust(root, role);
    signed[part] = withMore(files[part], await signaturesFor(content, trust, signers));
  }
  return signed;
}

/**
 * Takes over the signatures that somebody made elsewhere.
 *
 * @param files - both; not changed
 * @param root - of the Director
 * @param response - as `answerTufRequest` makes it
 * @param verify - checks a signature
 * @returns with the signatures
 * @throws TufRepositoryError `other-ceremony` when something else was signed, or by others; `bad-ceremony-file`
 */
export async function attachToOfflineUpdate(
  files: OfflineFiles,
  root: Metadata<"root">,
  response: Uint8Array,
  verify: VerifySignature,
): Promise<OfflineFiles> {
  const { role, sha256, signatures } = openTufSigningResponse(response);
  const [part] = ROLES.find(([, name]) => name === role) ?? [];
  const message = part && canonicalJson(files[part].signed);
  if (!part || !message || sha256Hex(message) !== sha256)
    throw new TufRepositoryError(
      "other-ceremony",
      `The response signs another ${role} than the one that waits.`,
      {
        hint: "The update was made again in between: write new requests with bootproof bundle make --request.",
      },
    );
  const trust = offlineTrust(root, role);
  for (const { keyid, sig } of signatures) {
    const key = trust.keyids.includes(keyid) ? trust.keys.get(keyid) : undefined;
    if (!key || !(await verify(key, message, fromHex(sig))))
      throw new TufRepositoryError(
        "other-ceremony",
        `The signature by key ${keyid} was not made by a key of ${role}.`,
      );
  }
  return { ...files, [part]: withMore(files[part], signatures) };
}

/**
 * What the two files still need before they can go into a bundle.
 *
 * @param files - both
 * @param root - of the Director
 * @param verify - checks a signature
 * @returns for each file how many signatures are missing, and whose would count
 */
export async function missingOfOfflineUpdate(
  files: OfflineFiles,
  root: Metadata<"root">,
  verify: VerifySignature,
): Promise<(MissingSignatures & { readonly signed: JsonObject })[]> {
  const missing = [];
  for (const [part, role] of ROLES) {
    const bytes = fileBytes(files[part]);
    const file = part === "targets" ? parseOfflineTargets(bytes, role) : parseOfflineSnapshot(bytes);
    const trust = offlineTrust(root, role);
    const { reached, signedBy } = await tallySignatures(file, trust, verify);
    if (reached) continue;
    const keyids = trust.keyids.filter((id) => !signedBy.includes(id));
    const count = trust.threshold - signedBy.length;
    missing.push({ role, version: file.signed.version, count, keyids, signed: files[part].signed });
  }
  return missing;
}

function withMore({ signed, signatures }: DraftFile, more: readonly MetadataSignature[]): DraftFile {
  const kept = signatures.filter(({ keyid }) => !more.some((other) => other.keyid === keyid));
  return { signed, signatures: [...kept, ...more].sort((a, b) => (a.keyid < b.keyid ? -1 : 1)) };
}

/** What both repositories must say alike is copied; hardware is the Director's own word. */
function entryOf({ target, hardwareIds }: OfflineChoice): JsonObject {
  const { length, hashes, custom } = target;
  const counter = custom?.releaseCounter;
  return {
    length,
    hashes: Object.fromEntries(hashes),
    custom: { hardwareIds, ...(counter !== undefined && { releaseCounter: counter as Json }) },
  };
}

function mustFit(choices: readonly OfflineChoice[]): void {
  const all = choices.flatMap(({ hardwareIds }) => hardwareIds);
  const twice = all.find((id, at) => all.indexOf(id) !== at);
  if (twice !== undefined)
    throw new UptaneError("bad-assignment", twice, `Two targets are named for ${twice}; it can get one.`);
  for (const { target, hardwareIds } of choices) {
    const listed = target.custom?.hardwareIds;
    const stranger = Array.isArray(listed) ? hardwareIds.find((id) => !listed.includes(id)) : undefined;
    if (stranger !== undefined)
      throw new UptaneError(
        "wrong-hardware-id",
        target.path,
        `The Image repository lists ${target.path} for ${(listed as readonly string[]).join(", ")}, not for ${stranger}.`,
      );
  }
}
