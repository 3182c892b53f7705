import { equal } from "../bytes.js";
import { delegationsFor } from "./delegations.js";
import { TufError } from "./error.js";
import { metadataFileName, targetFilePath } from "./file-names.js";
import { mustMatch } from "./hashes.js";
import type { Metadata, MetadataParser, MetaFile, RootSigned, TargetFile } from "./metadata-types.js";
import { identityOf, type VerifySignature } from "./signatures.js";
import { type Delegator, rolesOf, TrustedMetadata } from "./trusted-metadata.js";

/**
 * Client workflow of the TUF specification 1.0.34, section 5. The numbers above the checks are the specification's; most
 * of the checks themselves are in trusted-metadata.ts.
 */

/** How to get the files of a repository. */
export interface RepositoryFetch {
  /**
   * A metadata file, such as `7.root.json`.
   *
   * @returns undefined when the repository says that it has no such file (404, 403)
   * @throws TufError `endless-data` for more than `maxLength` bytes, `slow-retrieval`; any other error ends the update
   */
  metadata(name: string, maxLength: number): Promise<Uint8Array | undefined>;
  /** A target file, by its path below the folder of targets. As for metadata. */
  target(path: string, maxLength: number): Promise<Uint8Array | undefined>;
}

/** The memory of a client: what it trusts, and what it compares new metadata with. Each write happens whole or not at all. */
export interface MetadataStore {
  /** Undefined when there is none. */
  read(role: string): Promise<Uint8Array | undefined>;
  write(role: string, bytes: Uint8Array): Promise<void>;
  remove(role: string): Promise<void>;
  /** Roots that were trusted before, by version. */
  readRoot(version: number): Promise<Uint8Array | undefined>;
  writeRoot(version: number, bytes: Uint8Array): Promise<void>;
}

/** Bounds that the specification leaves to the client. */
export interface TufLimits {
  /** Bytes of metadata whose length nothing states. */
  readonly root: number;
  readonly timestamp: number;
  readonly snapshot: number;
  readonly targets: number;
  /** New roots in one update, and roles that are visited in the search for a target. */
  readonly rootVersions: number;
  readonly roles: number;
}

export const TUF_LIMITS: TufLimits = {
  root: 512_000,
  timestamp: 16_384,
  snapshot: 2_000_000,
  targets: 5_000_000,
  rootVersions: 256,
  roles: 32,
};

export interface TufClientOptions {
  readonly fetch: RepositoryFetch;
  readonly store: MetadataStore;
  /** The fixed update start time (5.1), from a source that was never turned back: see trusted-time.ts. */
  readonly now: Date;
  readonly verify: VerifySignature;
  readonly limits?: Partial<TufLimits>;
  readonly dialect?: TufDialect;
  readonly onEvent?: (event: TufEvent) => void;
}

/** How a repository deviates from the specification. */
export interface TufDialect {
  /** What reads its files. */
  readonly parse: MetadataParser;
  /** As for {@link TrustedMetadata}. */
  readonly hashedForm: (bytes: Uint8Array) => Uint8Array;
  /** Does it have the targets role and nothing that lists it, or is nothing else looked at? */
  readonly hasTargetsAlone: (root: RootSigned) => boolean;
  /** As for {@link TrustedMetadata}. */
  readonly takesEqualVersions: boolean;
  /**
   * Is it a copy that was carried here without a timestamp? Then the newer of the carried and the stored snapshot counts,
   * whether or not it has expired.
   */
  readonly isCarried?: boolean;
}

/** What happens on the way, in the order in which it happens. */
export type TufEvent =
  /** New metadata is trusted and stored. */
  | { readonly kind: "updated"; readonly role: string; readonly version: number }
  /** The keys of timestamp or snapshot changed: their stored versions no longer count (5.3.11). */
  | { readonly kind: "recovered"; readonly role: string }
  /** Stored metadata is not what the repository's keys signed, so that it does not count against older metadata. */
  | { readonly kind: "stored-ignored"; readonly role: string; readonly why: string };

/** A target that a role vouches for, and which role that is. */
export interface FoundTarget {
  readonly target: TargetFile;
  readonly role: string;
}

/** One update of one repository. */
export class TufClient {
  readonly #options: TufClientOptions;
  readonly #limits: TufLimits;
  #trusted: TrustedMetadata | undefined;

  constructor(options: TufClientOptions) {
    this.#options = options;
    this.#limits = { ...TUF_LIMITS, ...options.limits };
  }

  /** What is trusted after {@link refresh}. */
  get trusted(): TrustedMetadata {
    if (!this.#trusted) throw new Error("Refresh first.");
    return this.#trusted;
  }

  /**
   * Brings the metadata of the four top-level roles up to date: 5.1 to 5.6.6.
   *
   * @throws TufError; whatever was verified before it stays stored
   */
  async refresh(): Promise<TrustedMetadata> {
    const { dialect } = this.#options;
    const trusted = await this.refreshRoot();
    if (dialect?.isCarried) {
      await this.#updateCarriedSnapshot(trusted);
      await this.#loadTargets(trusted, "targets", undefined);
    } else if (dialect?.hasTargetsAlone(trusted.root.signed)) {
      await this.#updateUnlistedTargets(trusted);
    } else {
      await this.#updateTimestamp(trusted);
      await this.#updateSnapshot(trusted);
      await this.#loadTargets(trusted, "targets", undefined);
    }
    this.#trusted = trusted;
    return trusted;
  }

  /** Brings the root up to date and nothing else: 5.1 to 5.3. @throws TufError */
  async refreshRoot(): Promise<TrustedMetadata> {
    const { store, now, verify, dialect } = this.#options;
    // 5.2
    const root = await store.read("root");
    if (!root) throw new TufError("no-trusted-root", "root", "No root is trusted for this repository yet.");
    const trusted = await TrustedMetadata.from(root, { now, verify, ...dialect });
    await this.#updateRoot(trusted);
    return trusted;
  }

  /**
   * Looks for a target, beginning at the top-level targets role: 5.6.7.
   *
   * @throws TufError `no-such-target`; others when a role on the way cannot be had or verified, which ends the search
   */
  async findTarget(path: string): Promise<FoundTarget> {
    const visited = new Set<string>();
    const toVisit: { role: string; delegator: Delegator | undefined }[] = [
      { role: "targets", delegator: undefined },
    ];
    for (let next = toVisit.pop(); next; next = toVisit.pop()) {
      const { role, delegator } = next;
      // 5.6.7.1: a role twice is a circle, and too many are an attack.
      if (visited.has(role)) continue;
      if (visited.size >= this.#limits.roles) break;
      visited.add(role);
      const { signed } = await this.#loadTargets(this.trusted, role, delegator);
      const target = signed.targets.get(path);
      if (target) return { target, role };
      if (!signed.delegations) continue;
      // 5.6.7.2: in order of appearance; behind a terminating delegation nothing else is looked at.
      const children = [...delegationsFor(signed.delegations, path)];
      const last = children.findIndex(({ terminating }) => terminating);
      if (last >= 0) {
        children.length = last + 1;
        toVisit.length = 0;
      }
      const parent = { name: role, signed };
      for (const { name } of children.reverse()) toVisit.push({ role: name, delegator: parent });
    }
    throw new TufError("no-such-target", path, `No role that is responsible for ${path} lists it.`, {
      step: "5.7.2",
      hint: "Look at the spelling of the path; bootproof tuf status lists the targets.",
    });
  }

  /**
   * Downloads a target and checks length and hashes: 5.7.
   *
   * @param cached - bytes of an earlier download; they are returned, and nothing is fetched, when they are the target's
   * @throws TufError `arbitrary-software` for other bytes than the role lists
   */
  async download({ target }: FoundTarget, cached?: Uint8Array): Promise<Uint8Array> {
    const { path, length, hashes } = target;
    const check = {
      what: `The target ${path}`,
      subject: path,
      code: "arbitrary-software",
      step: "5.7.3",
    } as const;
    if (cached && (await this.#isGood(async () => mustMatch(cached, target, check)))) return cached;
    const prefix = this.trusted.root.signed.consistentSnapshot ? [...hashes.values()][0] : undefined;
    // 5.7.3
    const bytes = await this.#options.fetch.target(targetFilePath(path, prefix), length);
    if (!bytes) throw notThere(path, "5.7.3");
    mustMatch(bytes, target, check);
    return bytes;
  }

  /** 5.3 */
  async #updateRoot(trusted: TrustedMetadata): Promise<void> {
    const { fetch, store } = this.#options;
    // Several versions may have come in before an update that was cut short: the chain goes on where it stopped.
    for (let rounds = 0; rounds < this.#limits.rootVersions; rounds++) {
      const before = trusted.root.signed;
      const version = before.version + 1;
      const stored = await store.readRoot(version);
      if (!(stored && (await this.#tryStored("root", () => trusted.updateRoot(stored))))) {
        // 5.3.3
        const bytes = await fetch.metadata(metadataFileName("root", version), this.#limits.root);
        if (!bytes) break;
        await trusted.updateRoot(bytes);
        await store.writeRoot(version, bytes);
      }
      // 5.3.11 comes before 5.3.8: were the program ended in between, the rotation would be forgotten. The root
      // that is kept above makes sure that the chain goes on to this version in any case.
      await this.#recover(before, trusted.root.signed);
      // 5.3.8
      await store.write("root", trusted.root.bytes);
      this.#report({ kind: "updated", role: "root", version });
    }
    // 5.3.10
    trusted.finishRoot();
  }

  /** 5.3.11: after a rotation of their keys, stored timestamp and snapshot are no measure: they may be an attacker's. */
  async #recover(before: RootSigned, after: RootSigned): Promise<void> {
    const rotated = (["timestamp", "snapshot"] as const).filter(
      (role) => trustOf(before, role) !== trustOf(after, role),
    );
    if (rotated.length === 0) return;
    for (const role of ["timestamp", "snapshot"]) await this.#options.store.remove(role);
    for (const role of rotated) this.#report({ kind: "recovered", role });
  }

  /** 5.4 */
  async #updateTimestamp(trusted: TrustedMetadata): Promise<void> {
    const { fetch, store } = this.#options;
    const stored = await store.read("timestamp");
    if (stored) await this.#tryStored("timestamp", () => trusted.restoreTimestamp(stored));
    // 5.4.1
    const bytes = await fetch.metadata(metadataFileName("timestamp"), this.#limits.timestamp);
    if (!bytes) throw notThere("timestamp", "5.4.1");
    // 5.4.5
    if (await trusted.updateTimestamp(bytes)) await this.#keep("timestamp", trusted.timestamp!);
  }

  /** 5.5 */
  async #updateSnapshot(trusted: TrustedMetadata): Promise<void> {
    const { fetch, store } = this.#options;
    const stored = await store.read("snapshot");
    if (stored) await this.#tryStored("snapshot", () => trusted.restoreSnapshot(stored));
    if (trusted.isSnapshotCurrent) return trusted.finishSnapshot();
    const listed = trusted.timestamp!.signed.snapshot;
    // 5.5.1
    const bytes = await fetch.metadata(...this.#request(trusted, "snapshot", listed, this.#limits.snapshot));
    if (!bytes) throw notThere("snapshot", "5.5.1");
    await trusted.updateSnapshot(bytes);
    // 5.5.7
    await this.#keep("snapshot", trusted.snapshot!);
  }

  /** A snapshot that nothing lists: the newer of the stored and the carried one. */
  async #updateCarriedSnapshot(trusted: TrustedMetadata): Promise<void> {
    const { fetch, store } = this.#options;
    const stored = await store.read("snapshot");
    if (stored) await this.#tryStored("snapshot", () => trusted.restoreSnapshot(stored));
    const bytes = await fetch.metadata(metadataFileName("snapshot"), this.#limits.snapshot);
    if (!bytes) throw notThere("snapshot", "5.5.1");
    if (await trusted.updateCarriedSnapshot(bytes)) await this.#keep("snapshot", trusted.snapshot!);
  }

  /** 5.6.1 to 5.6.6, for the top-level role and for delegated ones. */
  async #loadTargets(
    trusted: TrustedMetadata,
    role: string,
    delegator: Delegator | undefined,
  ): Promise<Metadata<"targets">> {
    const known = trusted.targets(role, delegator?.name);
    if (known) return known;
    const { fetch, store } = this.#options;
    const listed = trusted.listedTargets(role);
    const stored = await store.read(role);
    // Another version is no news: the snapshot says that there is a newer one.
    if (stored && (await this.#isGood(() => trusted.updateTargets(stored, role, delegator))))
      return trusted.targets(role, delegator?.name)!;
    // 5.6.1
    const bytes = await fetch.metadata(...this.#request(trusted, role, listed, this.#limits.targets));
    if (!bytes) throw notThere(role, "5.6.1");
    const metadata = await trusted.updateTargets(bytes, role, delegator);
    // 5.6.6
    await this.#keep(role, metadata);
    return metadata;
  }

  /** The targets role that nothing lists. */
  async #updateUnlistedTargets(trusted: TrustedMetadata): Promise<void> {
    const { fetch, store } = this.#options;
    const stored = await store.read("targets");
    if (stored) await this.#tryStored("targets", () => trusted.restoreUnlistedTargets(stored));
    const bytes = await fetch.metadata(metadataFileName("targets"), this.#limits.targets);
    if (!bytes) throw notThere("targets", "5.6.1");
    const metadata = await trusted.updateUnlistedTargets(bytes);
    if (!(stored && equal(stored, bytes))) await this.#keep("targets", metadata);
  }

  /** Name and greatest length of a file that a role above lists. */
  #request(trusted: TrustedMetadata, role: string, listed: MetaFile, limit: number): [string, number] {
    const version = trusted.root.signed.consistentSnapshot ? listed.version : undefined;
    // A length of another form says nothing of how long the file is.
    const length = this.#options.dialect ? undefined : listed.length;
    return [metadataFileName(role, version), length ?? limit];
  }

  async #keep(role: string, metadata: Metadata): Promise<void> {
    await this.#options.store.write(role, metadata.bytes);
    this.#report({ kind: "updated", role, version: metadata.signed.version });
  }

  /** Takes stored metadata over; false, and an event that says why, when it is not to be trusted. */
  async #tryStored(role: string, take: () => Promise<unknown>): Promise<boolean> {
    try {
      await take();
      return true;
    } catch (error) {
      if (!(error instanceof TufError)) throw error;
      this.#report({ kind: "stored-ignored", role, why: error.message });
      return false;
    }
  }

  async #isGood(take: () => Promise<unknown>): Promise<boolean> {
    try {
      await take();
      return true;
    } catch (error) {
      if (error instanceof TufError) return false;
      throw error;
    }
  }

  #report(event: TufEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Everything that makes two definitions of a role different, as one text. */
function trustOf(root: RootSigned, role: "timestamp" | "snapshot"): string {
  const { keyids, threshold, keys } = rolesOf(root, role);
  const ids = [...keyids].sort().map((id) => [id, keys.has(id) ? identityOf(keys.get(id)!) : ""]);
  return JSON.stringify([threshold, ids]);
}

function notThere(subject: string, step: string): TufError {
  return new TufError("not-in-repository", subject, `The repository has no file for ${subject}.`, {
    step,
    hint: "Is the address right, and is the repository complete?",
  });
}
