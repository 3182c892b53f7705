import { canonicalJson, type Json, type JsonObject, parseJson } from "./canonical-json.js";
import { Place } from "./metadata-place.js";
import {
  type Delegation,
  type Delegations,
  type Metadata,
  type MetadataSignature,
  type MetaFile,
  type RoleKeys,
  type RoleType,
  type RootSigned,
  type SignedByType,
  type SignedCommon,
  type SuccinctRoles,
  type TargetFile,
  type TargetsSigned,
  TOP_LEVEL_ROLES,
  type TufKey,
} from "./metadata-types.js";

/**
 * Reads a metadata file of a type.
 *
 * @param type - of the role
 * @param bytes - the file, as it came
 * @param name - the role's name, for errors; a delegated role has the type `targets` and a name of its own
 * @returns its signed part, its signatures, and the bytes that they count over
 * @throws TufError `bad-metadata`
 */
export function parseMetadata<T extends RoleType>(
  type: T,
  bytes: Uint8Array,
  name: string = type,
): Metadata<T> {
  return readMetadata(type, parseJson(bytes, `The ${name} metadata`), bytes, name);
}

/**
 * Reads a metadata file of a type from its JSON.
 *
 * @param json - what `bytes` hold
 * @param bytes - the file as it came
 * @param name - as for {@link parseMetadata}
 * @throws TufError `bad-metadata`
 */
export function readMetadata<T extends RoleType>(
  type: T,
  json: Json,
  bytes: Uint8Array,
  name: string = type,
): Metadata<T> {
  const at = new Place(name, "");
  const file = at.object(json);
  const raw = at.field(file, "signed").object();
  const signatures = readSignatures(at.field(file, "signatures"));
  const signed = readSigned(type, new Place(name, "signed"), raw);
  return { signed, signatures, signedBytes: canonicalJson(raw), raw, bytes };
}

/** The parser of each type, behind the fields that all have. */
const PARSERS: {
  readonly [T in RoleType]: (at: Place, raw: JsonObject, common: SignedCommon) => SignedByType[T];
} = {
  root: readRoot,
  timestamp: (at, raw, common) => {
    const file = at.field(at.field(raw, "meta").object(), "snapshot.json");
    return { ...common, type: "timestamp", snapshot: readMetaFile(file) };
  },
  snapshot: (at, raw, common) => {
    const meta = new Map<string, MetaFile>();
    for (const [name, entry] of at.field(raw, "meta").entries()) meta.set(name, readMetaFile(entry));
    return { ...common, type: "snapshot", meta };
  },
  targets: readTargets,
};

function readSigned<T extends RoleType>(type: T, at: Place, raw: JsonObject): SignedByType[T] {
  const found = at.field(raw, "_type").text();
  if (found !== type) throw at.wrong(`_type is "${found}", not "${type}"`);
  const specVersion = at.field(raw, "spec_version").text();
  if (!/^1\.\d+(\.\d+)?$/.test(specVersion)) throw at.wrong(`spec_version is "${specVersion}", not 1.x.y`);
  const version = at.field(raw, "version").whole(1);
  return PARSERS[type](at, raw, { specVersion, version, expires: readExpiry(at.field(raw, "expires")) });
}

function readRoot(at: Place, raw: JsonObject, common: SignedCommon): RootSigned {
  const entries = at.field(raw, "roles");
  const role = (name: RoleType) => readRoleKeys(entries.field(entries.object(), name));
  return {
    ...common,
    type: "root",
    consistentSnapshot: at.optional(raw, "consistent_snapshot")?.flag() ?? false,
    keys: readKeys(at.field(raw, "keys")),
    roles: {
      root: role("root"),
      timestamp: role("timestamp"),
      snapshot: role("snapshot"),
      targets: role("targets"),
    },
  };
}

function readTargets(at: Place, raw: JsonObject, common: SignedCommon): TargetsSigned {
  const targets = new Map<string, TargetFile>();
  for (const [path, entry] of at.field(raw, "targets").entries())
    targets.set(path, readTargetFile(path, entry));
  const delegations = at.optional(raw, "delegations");
  return {
    ...common,
    type: "targets",
    targets,
    ...(delegations && { delegations: readDelegations(delegations) }),
  };
}

function readTargetFile(path: string, at: Place): TargetFile {
  const entry = at.object();
  const hashes = readHashes(at.field(entry, "hashes"));
  const custom = at.optional(entry, "custom")?.object();
  return { path, length: at.field(entry, "length").whole(0), hashes, ...(custom && { custom }) };
}

function readDelegations(at: Place): Delegations {
  const raw = at.object();
  const keys = readKeys(at.field(raw, "keys"));
  const list = at.optional(raw, "roles");
  const bins = at.optional(raw, "succinct_roles");
  if ((list === undefined) === (bins === undefined))
    throw at.wrong('there must be either "roles" or "succinct_roles"');
  if (bins) return { keys, succinct: readSuccinct(bins) };
  const roles = list!.list().map(readDelegation);
  const names = roles.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw at.wrong(`the role "${twice}" occurs twice`);
  return { keys, roles };
}

function readDelegation(at: Place): Delegation {
  const raw = at.object();
  const name = at.field(raw, "name").text();
  if (name === "" || (TOP_LEVEL_ROLES as readonly string[]).includes(name))
    throw at.wrong(`"${name}" cannot be the name of a delegated role`);
  const paths = at.optional(raw, "paths")?.texts();
  const pathHashPrefixes = at.optional(raw, "path_hash_prefixes")?.texts();
  if ((paths === undefined) === (pathHashPrefixes === undefined))
    throw at.wrong('there must be either "paths" or "path_hash_prefixes"');
  return {
    name,
    ...readRoleKeys(at),
    terminating: at.field(raw, "terminating").flag(),
    ...(paths && { paths }),
    ...(pathHashPrefixes && { pathHashPrefixes }),
  };
}

function readSuccinct(at: Place): SuccinctRoles {
  const raw = at.object();
  const namePrefix = at.field(raw, "name_prefix").text();
  return { ...readRoleKeys(at), bitLength: at.field(raw, "bit_length").whole(1, 32), namePrefix };
}

function readRoleKeys(at: Place): RoleKeys {
  const raw = at.object();
  const keyids = at.field(raw, "keyids").texts();
  if (new Set(keyids).size !== keyids.length) throw at.wrong("a key id occurs twice");
  return { keyids, threshold: at.field(raw, "threshold").whole(1) };
}

function readKeys(at: Place): ReadonlyMap<string, TufKey> {
  return new Map(at.entries().map(([id, entry]) => [id, readKey(entry)]));
}

function readKey(at: Place): TufKey {
  const raw = at.object();
  const keyval = at.field(raw, "keyval");
  return {
    keytype: at.field(raw, "keytype").text(),
    scheme: at.field(raw, "scheme").text(),
    public: keyval.field(keyval.object(), "public").text(),
    raw,
  };
}

function readMetaFile(at: Place): MetaFile {
  const raw = at.object();
  const length = at.optional(raw, "length")?.whole(0);
  const hashes = at.optional(raw, "hashes");
  return {
    version: at.field(raw, "version").whole(1),
    ...(length !== undefined && { length }),
    ...(hashes && { hashes: readHashes(hashes) }),
  };
}

function readHashes(at: Place): ReadonlyMap<string, string> {
  const hashes = new Map<string, string>();
  for (const [name, entry] of at.entries()) hashes.set(name, entry.hex());
  if (hashes.size === 0) throw at.wrong("it lists no hash");
  return hashes;
}

function readSignatures(at: Place): MetadataSignature[] {
  const signatures = at.list().map((entry) => {
    const raw = entry.object();
    return { keyid: entry.field(raw, "keyid").text(), sig: entry.field(raw, "sig").text() };
  });
  const ids = signatures.map(({ keyid }) => keyid);
  if (new Set(ids).size !== ids.length) throw at.wrong("one key id has signed twice");
  return signatures;
}

function readExpiry(at: Place): string {
  const text = at.text();
  const time = Date.parse(text);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) || Number.isNaN(time))
    throw at.wrong(`"${text}" is not a time as YYYY-MM-DDTHH:MM:SSZ`);
  return text;
}
