import { BootproofError } from "../errors.js";
import type { Transport } from "../http/download.js";

export type SourceErrorCode =
  /** A manifest or build folder is incomplete or contradicts its files. */
  | "bad-source"
  /** Who should vouch for it does not, or not for this. */
  | "not-vouched"
  /** It could not be fetched. */
  | "not-fetched"
  /** A server or a network that breaks the rules that were set. */
  | "fetch-refused";

/** Where an update should have come from cannot be used. */
export class SourceError extends BootproofError {
  declare readonly code: SourceErrorCode;
}

export type SourceKind = "file" | "bundle" | "build-folder" | "mender" | "tuf" | "offline-bundle";

/** Something that was compared, or that could not be. */
export interface SourceCheck {
  readonly name: string;
  readonly result: "pass" | "fail" | "warn" | "not-checked";
  readonly message: string;
}

/** One image of an update. */
export interface Payload {
  /** Its file, as the source calls it. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Image number; absent when the source does not say. */
  readonly image?: number;
  /** Of two builds for execute in place: the slot that this one runs in, 0 or 1. */
  readonly slot?: number;
  /** What the image is for: `application`, `mcuboot`, … as the source calls it. */
  readonly type?: string;
}

/** What an update is bound to. An empty list: the source does not say. */
export interface Binding {
  /** Zephyr board names, with qualifiers. */
  readonly boards: readonly string[];
  readonly socs: readonly string[];
  /** Mender's device types. */
  readonly deviceTypes: readonly string[];
}

/** What signed metadata says of an update beside its bytes, to be remembered of the board that gets it. */
export interface Release {
  /** Release counter; absent when the metadata states none. */
  readonly release?: number;
  /** Which repository, by the hash of its first root, and the versions of its roles. */
  readonly metadata: { readonly by: string; readonly versions: Readonly<Record<string, number>> };
}

/** How a build was configured, as far as its files say. */
export interface BuildFacts {
  /** MCUboot's upgrade mode, by the name of Kconfig's choice. */
  readonly mode?: string;
  readonly signatureType?: string;
  /** As the build names it; it need not be on this machine. */
  readonly keyFile?: string;
  /** SHA-256 of the public half, as images name keys, hex; absent when the key cannot be read here. */
  readonly keyHash?: string;
  /** Bytes of the application's slot, as its build was told. */
  readonly slotSize?: number;
}

/** An update from wherever: images, what they are bound to, and who vouches for them besides their own signatures. */
export interface Source {
  readonly kind: SourceKind;
  /** As the user named it. */
  readonly name: string;
  readonly payloads: readonly Payload[];
  readonly binding: Binding;
  readonly checks: readonly SourceCheck[];
  /** Who vouches for the whole, besides the signature in each image; absent: nobody. */
  readonly vouchedBy?: string;
  readonly transport?: Transport;
  readonly build?: BuildFacts;
  /** Absent when no metadata vouches for it. */
  readonly release?: Release;
}

export const UNBOUND: Binding = { boards: [], socs: [], deviceTypes: [] };

/**
 * The first check that failed.
 *
 * @param source - by {@link openSource}
 * @returns undefined when none failed
 */
export function failedCheck({ checks }: Source): SourceCheck | undefined {
  return checks.find(({ result }) => result === "fail");
}
