import { fromBase64, toHex } from "../bytes.js";
import {
  canonicalJson,
  isList,
  isObject,
  type Json,
  type JsonObject,
  parseJson,
} from "../tuf/canonical-json.js";
import { TufError } from "../tuf/error.js";
import { sha256Hex } from "../tuf/hashes.js";
import { readMetadata } from "../tuf/metadata.js";
import type { Metadata, RoleType } from "../tuf/metadata-types.js";

/**
 * Reads Uptane metadata: in the spelling of the standard, which is TUF's, and in the one that aktualizr and its servers
 * use. That one writes `_type` with a capital and signatures in base64 beside a `method`, has no `spec_version` and no
 * `scheme`, and its Director has neither timestamp nor snapshot. The two may be mixed; the signatures always count over
 * the file as it is spelled.
 *
 * A key without `scheme` must have the id that its content gives it. Ids of other keys are labels, as in TUF.
 *
 * Source: Uptane Standard 2.1.0, section 5.2; github.com/uptane/aktualizr
 *
 * @param type - of the role
 * @param bytes - the file, as it came
 * @param name - the role's name, for errors
 * @returns its signed part, its signatures, and the bytes that they count over
 * @throws TufError `bad-metadata`
 */
export function parseUptaneMetadata<T extends RoleType>(
  type: T,
  bytes: Uint8Array,
  name: string = type,
): Metadata<T> {
  return parseSpelled(type, bytes, name, type[0]!.toUpperCase() + type.slice(1));
}

/**
 * The same for a file whose `_type` is a word of its own, which stands for a type of TUF.
 *
 * @param word - `_type` of the file, such as `Offline-Snapshot`
 * @throws TufError `bad-metadata`, also for a file of the type itself
 */
export function parseUptaneVariant<T extends RoleType>(
  type: T,
  bytes: Uint8Array,
  name: string,
  word: string,
): Metadata<T> {
  const json = parseJson(bytes, `The ${name} metadata`);
  const found = isObject(json) && isObject(json.signed) ? json.signed._type : undefined;
  if (found !== word)
    throw new TufError(
      "bad-metadata",
      name,
      `The ${name} metadata is malformed at signed._type: it is ${JSON.stringify(found)}, not "${word}".`,
    );
  return parseSpelled(type, bytes, name, word);
}

function parseSpelled<T extends RoleType>(
  type: T,
  bytes: Uint8Array,
  name: string,
  word: string,
): Metadata<T> {
  const json = parseJson(bytes, `The ${name} metadata`);
  if (!isObject(json) || !isObject(json.signed)) return readMetadata(type, json, bytes, name);
  const { signed, signatures } = json;
  const spelled = {
    signed: asInTuf(type, signed, name, word),
    ...(signatures !== undefined && { signatures: signaturesAsInTuf(signatures) }),
  };
  const metadata = readMetadata(type, spelled, bytes, name);
  return { ...metadata, raw: signed, signedBytes: canonicalJson(signed) };
}

/** Does the root leave out timestamp and snapshot, as the Director's does where the standard's spelling is not used? */
export function definesTargetsAlone(root: Metadata<"root">["signed"]): boolean {
  return [root.roles.timestamp, root.roles.snapshot].every(({ keyids }) => keyids.length === 0);
}

/** A whole metadata file, signatures included, in canonical form. */
export function canonicalFile(bytes: Uint8Array): Uint8Array {
  return canonicalJson(parseJson(bytes, "The metadata"));
}

/** Nobody can sign for it. */
const NOBODY: JsonObject = { keyids: [], threshold: 1 };

function asInTuf(type: RoleType, signed: JsonObject, name: string, word: string): JsonObject {
  const common = {
    ...signed,
    ...(signed._type === word && { _type: type }),
    ...(signed.spec_version === undefined && { spec_version: "1.0" }),
  };
  if (type === "root") return { ...common, ...rolesAsInTuf(signed), ...keysAsInTuf(signed, name) };
  const { delegations } = signed;
  if (type !== "targets" || !isObject(delegations)) return common;
  return {
    ...common,
    delegations: { ...delegations, ...keysAsInTuf(delegations, name), ...listAsInTuf(delegations) },
  };
}

function rolesAsInTuf({ roles }: JsonObject): JsonObject {
  if (!isObject(roles)) return {};
  // One of the two alone is a root with a fault, which is left for the reader to say.
  if (roles.timestamp !== undefined || roles.snapshot !== undefined) return {};
  return { roles: { ...roles, timestamp: NOBODY, snapshot: NOBODY } };
}

function listAsInTuf({ roles }: JsonObject): JsonObject {
  if (roles === undefined || !isList(roles)) return {};
  const list = roles.map((role) =>
    isObject(role) && role.terminating === undefined ? { ...role, terminating: false } : role,
  );
  return { roles: list };
}

function keysAsInTuf({ keys }: JsonObject, name: string): JsonObject {
  if (!isObject(keys)) return {};
  const spelled = Object.entries(keys).map(([id, key]) => [id, keyAsInTuf(id, key, name)]);
  return { keys: Object.fromEntries(spelled) as JsonObject };
}

const SCHEMES: Readonly<Record<string, string>> = {
  ed25519: "ed25519",
  rsa: "rsassa-pss-sha256",
  ecdsa: "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp256": "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384": "ecdsa-sha2-nistp384",
};

function keyAsInTuf(id: string, key: Json, name: string): Json {
  if (!isObject(key) || typeof key.keytype !== "string" || key.scheme !== undefined) return key;
  const keytype = key.keytype.toLowerCase();
  const scheme = Object.hasOwn(SCHEMES, keytype) ? SCHEMES[keytype]! : keytype;
  if (!idsOf(key).includes(id))
    throw new TufError(
      "bad-metadata",
      name,
      `The ${name} metadata gives a key the id ${id}, which is another key's.`,
    );
  return { ...key, keytype, scheme };
}

/** The id as aktualizr makes it, from the public part alone, and as TUF does, from the whole key. */
function idsOf(key: JsonObject): string[] {
  const text = isObject(key.keyval) ? key.keyval.public : undefined;
  const ids = [sha256Hex(canonicalJson(key))];
  if (typeof text === "string") ids.push(sha256Hex(canonicalJson(text.replace(/\n+$/, ""))));
  return ids;
}

function signaturesAsInTuf(signatures: Json): Json {
  if (!isList(signatures)) return signatures;
  return signatures.map((entry) =>
    isObject(entry) && typeof entry.sig === "string" ? { ...entry, sig: hexOf(entry.sig) } : entry,
  );
}

/** No base64 of a signature is hex by chance: too few of its characters are. */
function hexOf(sig: string): string {
  if (/^([0-9a-f]{2})+$/i.test(sig)) return sig;
  try {
    return toHex(fromBase64(sig));
  } catch {
    // Neither: a bad signature, and no reason to refuse the good ones beside it.
    return sig;
  }
}
