import { canonicalJson, isList, isObject, type Json, type JsonObject, parseJson } from "./canonical-json.js";
import { TufError } from "./error.js";

/**
 * Metadata files of TUF, section 4 of the specification: strict about what must be there, and silent about fields it
 * does not know. Those are kept in {@link Metadata.raw}, because they are signed too.
 */

/** The four roles of section 2.1 that every repository has. */
export const TOP_LEVEL_ROLES = ["root", "timestamp", "snapshot", "targets"] as const;
export type RoleType = (typeof TOP_LEVEL_ROLES)[number];

export interface TufKey {
  readonly keytype: string;
  readonly scheme: string;
  /** As `keyval.public` spells it: hex for Ed25519, PEM for all others. */
  readonly public: string;
  /** With all its fields. */
  readonly raw: JsonObject;
}

/** Who may sign for a role, and how many of them must. */
export interface RoleKeys {
  readonly keyids: readonly string[];
  /** At least 1. */
  readonly threshold: number;
}

/** What a role above says of a metadata file. */
export interface MetaFile {
  readonly version: number;
  /** Bytes; absent when it is not stated. */
  readonly length?: number;
  /** Hash name -> hex; absent when none is stated. */
  readonly hashes?: ReadonlyMap<string, string>;
}

/** What a targets role says of a target file. */
export interface TargetFile {
  readonly path: string;
  /** Bytes. */
  readonly length: number;
  /** Hash name -> hex; at least one. */
  readonly hashes: ReadonlyMap<string, string>;
  readonly custom?: JsonObject;
}

/** One role that a targets role delegates to. */
export interface Delegation extends RoleKeys {
  readonly name: string;
  readonly terminating: boolean;
  /** Exactly one of the two is there. */
  readonly paths?: readonly string[];
  readonly pathHashPrefixes?: readonly string[];
}

/** Hash bins: as many roles as `bitLength` bits count, all with the same keys. */
export interface SuccinctRoles extends RoleKeys {
  readonly bitLength: number;
  readonly namePrefix: string;
}

export interface Delegations {
  readonly keys: ReadonlyMap<string, TufKey>;
  /** Exactly one of the two is there. */
  readonly roles?: readonly Delegation[];
  readonly succinct?: SuccinctRoles;
}

interface SignedCommon {
  readonly specVersion: string;
  /** Above 0. */
  readonly version: number;
  /** `YYYY-MM-DDTHH:MM:SSZ`. */
  readonly expires: string;
}

export interface RootSigned extends SignedCommon {
  readonly type: "root";
  readonly consistentSnapshot: boolean;
  readonly keys: ReadonlyMap<string, TufKey>;
  readonly roles: Readonly<Record<RoleType, RoleKeys>>;
}
export interface TimestampSigned extends SignedCommon {
  readonly type: "timestamp";
  readonly snapshot: MetaFile;
}
export interface SnapshotSigned extends SignedCommon {
  readonly type: "snapshot";
  /** File name such as `targets.json` -> what is said of it. */
  readonly meta: ReadonlyMap<string, MetaFile>;
}
export interface TargetsSigned extends SignedCommon {
  readonly type: "targets";
  readonly targets: ReadonlyMap<string, TargetFile>;
  readonly delegations?: Delegations;
}

export interface SignedByType {
  root: RootSigned;
  timestamp: TimestampSigned;
  snapshot: SnapshotSigned;
  targets: TargetsSigned;
}

export interface MetadataSignature {
  readonly keyid: string;
  /** Hex. */
  readonly sig: string;
}

/** One metadata file. Nothing in it is verified yet. */
export interface Metadata<T extends RoleType = RoleType> {
  readonly signed: SignedByType[T];
  readonly signatures: readonly MetadataSignature[];
  /** Canonical form of the signed part: what the signatures are made over. */
  readonly signedBytes: Uint8Array;
  /** `signed` with every field that the file holds. */
  readonly raw: JsonObject;
  /** The file as it came. */
  readonly bytes: Uint8Array;
}

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

/** What reads metadata files: {@link parseMetadata}, or a reader of another spelling. */
export type MetadataParser = <T extends RoleType>(type: T, bytes: Uint8Array, name?: string) => Metadata<T>;

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

/** A value and where it stands in its file. */
class Place {
  readonly #role: string;
  readonly #path: string;
  readonly #value: Json | undefined;

  constructor(role: string, path: string, value?: Json) {
    this.#role = role;
    this.#path = path;
    this.#value = value;
  }

  field(object: JsonObject, name: string): Place {
    const place = this.optional(object, name);
    if (!place) throw this.wrong(`"${name}" is missing`);
    return place;
  }

  optional(object: JsonObject, name: string): Place | undefined {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    return value === undefined ? undefined : this.#child(name, value);
  }

  object(value: Json | undefined = this.#value): JsonObject {
    if (!isObject(value)) throw this.wrong("it is not an object");
    return value;
  }

  entries(): [string, Place][] {
    return Object.entries(this.object()).map(([name, value]) => [name, this.#child(name, value)]);
  }

  list(): Place[] {
    const value = this.#value;
    if (value === undefined || !isList(value)) throw this.wrong("it is not a list");
    return value.map((item, index) => this.#child(String(index), item));
  }

  text(): string {
    if (typeof this.#value !== "string") throw this.wrong("it is not text");
    return this.#value;
  }

  texts(): string[] {
    return this.list().map((item) => item.text());
  }

  hex(): string {
    const text = this.text();
    if (!/^([0-9a-f]{2})+$/i.test(text)) throw this.wrong("it is not hex");
    return text.toLowerCase();
  }

  whole(min: number, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#value;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max)
      throw this.wrong(`it is ${JSON.stringify(value)}, not a whole number of at least ${min}`);
    return value;
  }

  flag(): boolean {
    if (typeof this.#value !== "boolean") throw this.wrong("it is neither true nor false");
    return this.#value;
  }

  wrong(what: string): TufError {
    const where = this.#path === "" ? "" : ` at ${this.#path}`;
    return new TufError(
      "bad-metadata",
      this.#role,
      `The ${this.#role} metadata is malformed${where}: ${what}.`,
    );
  }

  #child(name: string, value: Json): Place {
    return new Place(this.#role, this.#path === "" ? name : `${this.#path}.${name}`, value);
  }
}
