import type { JsonObject } from "./canonical-json.js";

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

export interface SignedCommon {
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

/** What reads metadata files: {@link parseMetadata}, or a reader of another spelling. */
export type MetadataParser = <T extends RoleType>(type: T, bytes: Uint8Array, name?: string) => Metadata<T>;
