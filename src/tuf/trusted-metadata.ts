import { equal } from "../bytes.js";
import { trustIn } from "./delegations.js";
import { TufError } from "./error.js";
import { mustMatch } from "./hashes.js";
import { parseMetadata } from "./metadata.js";
import type {
  Delegations,
  Metadata,
  MetadataParser,
  MetaFile,
  RoleType,
  RootSigned,
  TargetsSigned,
  TufKey,
} from "./metadata-types.js";
import { identityOf, mustBeSigned, type RoleTrust, type VerifySignature } from "./signatures.js";

/**
 * The metadata that is trusted so far, and the only way into it: each `update` does all the checks that section 5 of the
 * specification (1.0.34) demands of one file, and throws before anything is taken over. No I/O, no clock.
 */
export class TrustedMetadata {
  readonly #now: number;
  readonly #verify: VerifySignature;
  readonly #parse: MetadataParser;
  readonly #hashedForm: ((bytes: Uint8Array) => Uint8Array) | undefined;
  readonly #takesEqualVersions: boolean;
  #root: Metadata<"root">;
  #timestamp: Metadata<"timestamp"> | undefined;
  #snapshot: Metadata<"snapshot"> | undefined;
  /** By parent and role: another parent may demand other keys of the same role. */
  readonly #targets = new Map<string, Metadata<"targets">>();

  private constructor(root: Metadata<"root">, options: TrustOptions) {
    const { now, verify, parse, hashedForm, takesEqualVersions } = options;
    this.#root = root;
    this.#now = now.getTime();
    this.#verify = verify;
    this.#parse = parse ?? parseMetadata;
    this.#hashedForm = hashedForm;
    this.#takesEqualVersions = takesEqualVersions ?? false;
  }

  /**
   * 5.2: begins with a root that is trusted already, because it was stored or came with the software. That it has
   * expired does not matter yet; that its own keys have signed it does.
   */
  static async from(rootBytes: Uint8Array, options: TrustOptions): Promise<TrustedMetadata> {
    const root = (options.parse ?? parseMetadata)("root", rootBytes);
    const trusted = new TrustedMetadata(root, options);
    await mustBeSigned(root, rolesOf(root.signed, "root"), options.verify, {
      name: "root",
      by: "it",
      step: "5.2",
    });
    return trusted;
  }

  get root(): Metadata<"root"> {
    return this.#root;
  }
  get timestamp(): Metadata<"timestamp"> | undefined {
    return this.#timestamp;
  }
  get snapshot(): Metadata<"snapshot"> | undefined {
    return this.#snapshot;
  }
  /** A targets role as it was verified for this parent; the top-level one belongs to `root`. */
  targets(role = "targets", parent = "root"): Metadata<"targets"> | undefined {
    return this.#targets.get(pair(parent, role));
  }
  /** Every targets role that was verified, with its parent. */
  get allTargets(): readonly { parent: string; role: string; metadata: Metadata<"targets"> }[] {
    return [...this.#targets].map(([key, metadata]) => {
      const [parent, role] = JSON.parse(key) as [string, string];
      return { parent, role, metadata };
    });
  }

  /** 5.3.4 to 5.3.7: the next root. */
  async updateRoot(bytes: Uint8Array): Promise<Metadata<"root">> {
    const next = this.#parse("root", bytes);
    const { version } = this.#root.signed;
    // 5.3.4: the old keys hand over to the new ones, which must be in use.
    for (const [holder, by] of [
      [this.#root, `root ${version}`],
      [next, "it"],
    ] as const)
      await mustBeSigned(next, rolesOf(holder.signed, "root"), this.#verify, {
        name: "root",
        by,
        step: "5.3.4",
      });
    // 5.3.5: one version after the other.
    if (next.signed.version !== version + 1)
      throw new TufError(
        "rollback",
        "root",
        `The new root has version ${next.signed.version}; ${version + 1} must follow ${version}.`,
        { step: "5.3.5" },
      );
    // 5.3.6, 5.3.7: its expiry does not matter before it is the last one.
    this.#root = next;
    return next;
  }

  /** 5.3.10: the last root must not have expired. */
  finishRoot(): void {
    this.#mustBeFresh("root", this.#root, "5.3.10");
  }

  /**
   * A timestamp that was stored. Its expiry does not matter: it is what new ones are compared with. Throws when the
   * root's keys have not signed it.
   */
  async restoreTimestamp(bytes: Uint8Array): Promise<void> {
    const stored = this.#parse("timestamp", bytes);
    await this.#mustBeSignedByRoot(stored, "timestamp", "5.4.2");
    this.#timestamp = stored;
  }

  /**
   * 5.4.2 to 5.4.4: a timestamp from the repository.
   *
   * @returns false when it is the version that is trusted already, which is no error: the stored one stays
   */
  async updateTimestamp(bytes: Uint8Array): Promise<boolean> {
    const next = this.#parse("timestamp", bytes);
    await this.#mustBeSignedByRoot(next, "timestamp", "5.4.2");
    const trusted = this.#timestamp;
    if (trusted) {
      // 5.4.3.1
      mustNotBeOlder("timestamp", next.signed.version, trusted.signed.version, "5.4.3.1");
      const isOther = this.#takesEqualVersions && !equal(next.bytes, trusted.bytes);
      if (next.signed.version === trusted.signed.version && !isOther) {
        this.#mustBeFresh("timestamp", trusted, "5.4.4");
        return false;
      }
      // 5.4.3.2
      const [before, after] = [trusted.signed.snapshot.version, next.signed.snapshot.version];
      mustNotBeOlder("snapshot", after, before, "5.4.3.2");
    }
    this.#mustBeFresh("timestamp", next, "5.4.4");
    this.#timestamp = next;
    return true;
  }

  /** A snapshot that was stored: what new ones are compared with, whether or not it has expired or is the current one. */
  async restoreSnapshot(bytes: Uint8Array): Promise<void> {
    const stored = this.#parse("snapshot", bytes);
    await this.#mustBeSignedByRoot(stored, "snapshot", "5.5.3");
    this.#snapshot = stored;
  }

  /** Is the trusted snapshot the one that the timestamp lists? Then it need not be downloaded. */
  get isSnapshotCurrent(): boolean {
    const listed = this.#timestamp?.signed.snapshot;
    const snapshot = this.#snapshot;
    return listed !== undefined && snapshot !== undefined && this.#isListed(snapshot, listed);
  }

  /** 5.5.6 for a stored snapshot that is the current one. */
  finishSnapshot(): void {
    this.#mustBeFresh("snapshot", this.#mustHaveSnapshot(), "5.5.6");
  }

  /** 5.5.2 to 5.5.6: a snapshot from the repository. */
  async updateSnapshot(bytes: Uint8Array): Promise<void> {
    const listed = this.#mustHaveTimestamp().signed.snapshot;
    // 5.5.2: before the signatures, as the hash comes from what is trusted.
    this.#mustBeListed(bytes, listed, "snapshot", "5.5.2");
    const next = this.#parse("snapshot", bytes);
    await this.#mustBeSignedByRoot(next, "snapshot", "5.5.3");
    mustHaveVersion("snapshot", next.signed.version, listed.version, "the timestamp", "5.5.4");
    mustFollow(this.#snapshot, next);
    this.#mustBeFresh("snapshot", next, "5.5.6");
    this.#snapshot = next;
  }

  /**
   * A snapshot that was carried here without a timestamp. Nothing lists its version, and its expiry does not count.
   *
   * @returns false when the one that is trusted already is as new: it stays
   */
  async updateCarriedSnapshot(bytes: Uint8Array): Promise<boolean> {
    const next = this.#parse("snapshot", bytes);
    await this.#mustBeSignedByRoot(next, "snapshot", "5.5.3");
    if (this.#snapshot && next.signed.version <= this.#snapshot.signed.version) return false;
    mustFollow(this.#snapshot, next);
    this.#snapshot = next;
    return true;
  }

  /** What the snapshot lists for a targets role. Throws when it lists nothing. */
  listedTargets(role: string): MetaFile {
    const listed = this.#mustHaveSnapshot().signed.meta.get(`${role}.json`);
    if (listed) return listed;
    throw new TufError("mix-and-match", role, `The snapshot does not list ${role}.json.`, { step: "5.6" });
  }

  /** 5.6.2 to 5.6.5: a targets role, stored or from the repository, as one parent delegates to it. */
  async updateTargets(
    bytes: Uint8Array,
    role = "targets",
    delegator?: Delegator,
  ): Promise<Metadata<"targets">> {
    const trust = this.#trustFor(role, delegator);
    const parent = delegator?.name ?? "root";
    const listed = this.listedTargets(role);
    this.#mustBeListed(bytes, listed, role, "5.6.2");
    const next = this.#parse("targets", bytes, role);
    await mustBeSigned(next, trust, this.#verify, { name: role, by: parent, step: "5.6.3" });
    mustHaveVersion(role, next.signed.version, listed.version, "the snapshot", "5.6.4");
    this.#mustBeFresh(role, next, "5.6.5");
    this.#mustNameKeysOnce(role, next.signed.delegations);
    this.#targets.set(pair(parent, role), next);
    return next;
  }

  /** A top-level targets role that was stored, of a repository without snapshot: what new ones are compared with. */
  async restoreUnlistedTargets(bytes: Uint8Array): Promise<void> {
    const stored = this.#parse("targets", bytes);
    await this.#mustBeSignedByRoot(stored, "targets", "5.6.3");
    this.#targets.set(pair("root", "targets"), stored);
  }

  /**
   * The top-level targets role of a repository without snapshot, or for a client that looks at nothing else: signed,
   * not older than the stored one, not expired. Nothing lists its version.
   */
  async updateUnlistedTargets(bytes: Uint8Array): Promise<Metadata<"targets">> {
    const next = this.#parse("targets", bytes);
    await this.#mustBeSignedByRoot(next, "targets", "5.6.3");
    const trusted = this.targets();
    if (trusted) mustNotBeOlder("targets", next.signed.version, trusted.signed.version, "5.6.4");
    this.#mustBeFresh("targets", next, "5.6.5");
    this.#mustNameKeysOnce("targets", next.signed.delegations);
    this.#targets.set(pair("root", "targets"), next);
    return next;
  }

  #trustFor(role: string, delegator: Delegator | undefined): RoleTrust {
    const trust = delegator ? trustIn(delegator.signed, role) : rolesOf(this.#root.signed, "targets");
    if (trust) return trust;
    throw new TufError("bad-metadata", role, `The role ${delegator!.name} does not delegate to ${role}.`, {
      step: "5.6.7",
    });
  }

  /** Ids are labels that repositories choose; one label for two keys would let a signature be read in two ways. */
  #mustNameKeysOnce(role: string, delegations: Delegations | undefined): void {
    if (!delegations) return;
    const others: ReadonlyMap<string, TufKey>[] = [this.#root.signed.keys];
    for (const { role: name, metadata } of this.allTargets)
      if (name !== role && metadata.signed.delegations) others.push(metadata.signed.delegations.keys);
    for (const [id, key] of delegations.keys)
      for (const keys of others) {
        const other = keys.get(id);
        if (other && identityOf(other) !== identityOf(key))
          throw new TufError("bad-metadata", role, `The key id ${id} stands for two different keys.`, {
            step: "4.5",
          });
      }
  }

  /** Length and hashes as the role above lists them. */
  #mustBeListed(bytes: Uint8Array, listed: MetaFile, role: string, step: string): void {
    const mismatch = { what: `The ${role} metadata`, subject: role, code: "mix-and-match", step } as const;
    const form = this.#hashedForm?.(bytes);
    const { length, hashes } = listed;
    // Each of the two on its own: writers of that form give the length of one and the hash of the other.
    if (length !== undefined && length !== form?.length) mustMatch(bytes, { length }, mismatch);
    if (!hashes) return;
    if (!form) {
      mustMatch(bytes, { hashes }, mismatch);
      return;
    }
    try {
      mustMatch(form, { hashes }, mismatch);
    } catch {
      mustMatch(bytes, { hashes }, mismatch);
    }
  }

  #isListed(snapshot: Metadata<"snapshot">, listed: MetaFile): boolean {
    if (snapshot.signed.version !== listed.version) return false;
    try {
      this.#mustBeListed(snapshot.bytes, listed, "snapshot", "5.5.2");
      return true;
    } catch (error) {
      if (error instanceof TufError) return false;
      throw error;
    }
  }

  #mustBeSignedByRoot(metadata: Metadata, name: RoleType, step: string) {
    return mustBeSigned(metadata, rolesOf(this.#root.signed, name), this.#verify, { name, by: "root", step });
  }

  #mustBeFresh(name: string, metadata: Metadata, step: string): void {
    const { expires } = metadata.signed;
    if (Date.parse(expires) > this.#now) return;
    const now = new Date(this.#now).toISOString();
    throw new TufError("freeze", name, `The ${name} metadata expired at ${expires}; it is ${now}.`, { step });
  }

  #mustHaveTimestamp(): Metadata<"timestamp"> {
    if (this.#timestamp) return this.#timestamp;
    throw new Error("The snapshot comes after the timestamp.");
  }

  #mustHaveSnapshot(): Metadata<"snapshot"> {
    if (this.#snapshot) return this.#snapshot;
    throw new Error("Targets come after the snapshot.");
  }
}

/** The targets role that delegates to another, as it was verified. */
export interface Delegator {
  readonly name: string;
  readonly signed: TargetsSigned;
}

export interface TrustOptions {
  /** The fixed update start time (5.1). */
  readonly now: Date;
  readonly verify: VerifySignature;
  /** What reads the files; {@link parseMetadata} when absent. */
  readonly parse?: MetadataParser | undefined;
  /** A form of a file of which listed lengths and hashes may be, instead of the file's. */
  readonly hashedForm?: ((bytes: Uint8Array) => Uint8Array) | undefined;
  /** Also takes a timestamp of the version that is trusted when its content is another, as Uptane does. */
  readonly takesEqualVersions?: boolean | undefined;
}

/** Keys and threshold of a top-level role. */
export function rolesOf(root: RootSigned, name: RoleType): RoleTrust {
  return { ...root.roles[name], keys: root.keys };
}

/** 5.5.5: nothing older, and nothing that was listed may vanish. @throws TufError `rollback` */
export function mustFollow(before: Metadata<"snapshot"> | undefined, next: Metadata<"snapshot">): void {
  for (const [file, listed] of before?.signed.meta ?? []) {
    const after = next.signed.meta.get(file);
    if (!after)
      throw new TufError("rollback", file, `The new snapshot no longer lists ${file}.`, { step: "5.5.5" });
    mustNotBeOlder(file, after.version, listed.version, "5.5.5");
  }
}

function pair(parent: string, role: string): string {
  return JSON.stringify([parent, role]);
}

function mustNotBeOlder(name: string, after: number, before: number, step: string): void {
  if (after >= before) return;
  const message = `The new version of ${name} is ${after}, older than ${before}, which was trusted before.`;
  throw new TufError("rollback", name, message, { step });
}

function mustHaveVersion(name: string, found: number, listed: number, by: string, step: string): void {
  if (found === listed) return;
  const message = `The ${name} metadata has version ${found}; ${by} lists ${listed}.`;
  throw new TufError("mix-and-match", name, message, { step });
}
