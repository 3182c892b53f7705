import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { generateKey } from "../../src/crypto/keys.js";
import { keySigner } from "../../src/crypto/signer.js";
import type { JsonObject } from "../../src/tuf/canonical-json.js";
import { canonicalJson } from "../../src/tuf/canonical-json.js";
import { type MetadataStore, type RepositoryFetch, TufClient, type TufEvent } from "../../src/tuf/client.js";
import { TufError } from "../../src/tuf/error.js";
import { metadataFileName, targetFilePath } from "../../src/tuf/file-names.js";
import { trustRoot } from "../../src/tuf/first-trust.js";
import { sha256Hex } from "../../src/tuf/hashes.js";
import {
  type DraftFile,
  fileBytes,
  newRepository,
  type RepositoryState,
  renew,
} from "../../src/tuf/repository/draft.js";
import { addTarget } from "../../src/tuf/repository/draft-targets.js";
import { completeStage, filesToPublish, published, signStaged } from "../../src/tuf/repository/publish.js";
import { memoryStore } from "../../src/tuf/repository/rehearse.js";
import { type MetadataSigner, metadataSigner, signBytes } from "../../src/tuf/repository/tuf-key.js";
import { verifyNatively } from "../../src/tuf-store/native-signatures.js";

/** The moment at which the repositories of the tests begin. */
export const START = new Date("2026-06-01T00:00:00Z");
const DAYS: Readonly<Record<string, number>> = { root: 365, targets: 180, snapshot: 30, timestamp: 7 };

export async function newSigner(): Promise<MetadataSigner> {
  return metadataSigner(keySigner(await generateKey("ed25519")));
}

/** A repository in memory, with a key of its own for each role, and everything it ever published. */
export class TestRepository implements RepositoryFetch {
  state: RepositoryState;
  now = START;
  readonly signers: Record<string, MetadataSigner[]>;
  /** What a server would serve now; tests put other bytes in. */
  readonly files = new Map<string, Uint8Array>();
  readonly targets = new Map<string, Uint8Array>();
  readonly asked: string[] = [];

  private constructor(state: RepositoryState, signers: Record<string, MetadataSigner[]>) {
    this.state = state;
    this.signers = signers;
  }

  static async create(now = START): Promise<TestRepository> {
    const signers = {
      root: [await newSigner()],
      timestamp: [await newSigner()],
      snapshot: [await newSigner()],
      targets: [await newSigner()],
    };
    const role = ([signer]: MetadataSigner[]) => ({ keys: [signer!], threshold: 1 });
    const state = newRepository(
      {
        root: role(signers.root),
        timestamp: role(signers.timestamp),
        snapshot: role(signers.snapshot),
        targets: role(signers.targets),
      },
      expiresFrom(now),
    );
    const repository = new TestRepository(state, signers);
    repository.now = now;
    repository.add("fw.bin", new TextEncoder().encode("firmware 1"));
    await repository.publish();
    return repository;
  }

  get expires() {
    return expiresFrom(this.now);
  }

  add(path: string, bytes: Uint8Array, role = "targets", custom?: JsonObject): void {
    const sha256 = sha256Hex(bytes);
    this.targets.set(targetFilePath(path, sha256), bytes);
    this.state = addTarget(this.state, role, { path, length: bytes.length, sha256, custom }, this.expires);
  }

  /** Signs all that is staged with all keys, and serves it. */
  async publish(): Promise<void> {
    await this.publishBy(Object.values(this.signers).flat());
  }

  async publishBy(signers: readonly MetadataSigner[]): Promise<void> {
    this.state = await completeStage(this.state, this.expires, verifyNatively);
    this.state = await signStaged(this.state, signers);
    for (const { role, version, bytes } of filesToPublish(this.state)) {
      this.files.set(metadataFileName(role, role === "timestamp" ? undefined : version), bytes);
    }
    this.state = published(this.state);
  }

  async renew(...roles: string[]): Promise<void> {
    for (const role of roles) this.state = renew(this.state, role, this.expires);
    await this.publish();
  }

  /** Serves other content as a role's published file, signed by these. */
  async forge(role: string, change: (signed: JsonObject) => JsonObject, signers: readonly MetadataSigner[]) {
    const signed = change(this.state.published.get(role)!.signed);
    const bytes = canonicalJson(signed);
    const signatures = await Promise.all(signers.map((signer) => signBytes(bytes, signer)));
    const file: DraftFile = { signed, signatures };
    const version = role === "timestamp" ? undefined : (signed.version as number);
    this.files.set(metadataFileName(role, version), fileBytes(file));
    return file;
  }

  metadata = async (name: string, maxLength: number) => this.#serve(this.files, name, maxLength);
  target = async (path: string, maxLength: number) => this.#serve(this.targets, path, maxLength);

  #serve(from: ReadonlyMap<string, Uint8Array>, name: string, maxLength: number): Uint8Array | undefined {
    this.asked.push(name);
    const bytes = from.get(name);
    if (bytes && bytes.length > maxLength) throw new TufError("endless-data", name, `${name} is too long.`);
    return bytes;
  }

  /** What is served now, to be served again later. */
  snapshot(): { metadata: Map<string, Uint8Array>; targets: Map<string, Uint8Array> } {
    return { metadata: new Map(this.files), targets: new Map(this.targets) };
  }

  serve({ metadata, targets }: ReturnType<TestRepository["snapshot"]>): void {
    this.files.clear();
    this.targets.clear();
    for (const [name, bytes] of metadata) this.files.set(name, bytes);
    for (const [name, bytes] of targets) this.targets.set(name, bytes);
  }

  /** Puts all that is served into a folder, as a web server or a stick would hold it. */
  writeTo(folder: string): void {
    for (const [name, files] of [
      ["metadata", this.files],
      ["targets", this.targets],
    ] as const)
      for (const [file, bytes] of files) {
        const path = join(folder, name, file);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, bytes);
      }
  }
}

function expiresFrom(now: Date) {
  return (role: string) =>
    new Date(now.getTime() + (DAYS[role] ?? 180) * 86_400_000).toISOString().replace(/\.\d+Z$/, "Z");
}

/** A user of a repository, who trusts its first root. */
export class TestUser {
  readonly store: MetadataStore;
  readonly events: TufEvent[] = [];
  now: Date;
  readonly #repository: RepositoryFetch;

  private constructor(repository: RepositoryFetch, store: MetadataStore) {
    this.#repository = repository;
    this.store = store;
    this.now = START;
  }

  static async of(repository: TestRepository, store: MetadataStore = memoryStore()): Promise<TestUser> {
    await trustRoot(repository.files.get("1.root.json")!, store, { verify: verifyNatively });
    return new TestUser(repository, store);
  }

  client(): TufClient {
    const { store, now } = this;
    const onEvent = (event: TufEvent) => this.events.push(event);
    return new TufClient({ fetch: this.#repository, store, now, verify: verifyNatively, onEvent });
  }

  async refresh() {
    return this.client().refresh();
  }

  async get(path: string): Promise<string> {
    const client = this.client();
    await client.refresh();
    return new TextDecoder().decode(await client.download(await client.findTarget(path)));
  }
}

export const days = (count: number, from = START) => new Date(from.getTime() + count * 86_400_000);

/** What a refusal says of itself: `rollback 5.4.3.1`. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "accepted";
  } catch (error) {
    if (!(error instanceof TufError)) throw error;
    return `${error.code} ${error.step ?? "-"}`;
  }
}
