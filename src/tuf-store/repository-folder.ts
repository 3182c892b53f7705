import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { renameOver } from "../rename-over.js";
import { isObject, parseJson } from "../tuf/canonical-json.js";
import { metadataFileName, targetFilePath } from "../tuf/file-names.js";
import { parseMetadata } from "../tuf/metadata.js";
import { type DraftFile, fileBytes, type RepositoryState, typeOf } from "../tuf/repository/draft.js";
import { filesToPublish, published } from "../tuf/repository/publish.js";
import { TufRepositoryError } from "../tuf/repository/repository-error.js";

/** How long what is signed stays valid, days by role; `delegated` for all delegated roles. */
export type ExpiryDays = Readonly<Record<string, number>>;

export const EXPIRY_DAYS: ExpiryDays = {
  root: 365,
  targets: 180,
  delegated: 180,
  snapshot: 30,
  timestamp: 7,
};

const SETTINGS = "tuf.json";

/**
 * A repository in a folder: `metadata` and `targets` are what a web server serves, `staged` are changes that wait for
 * their signatures, `tuf.json` says how long signatures stay valid.
 */
export class RepositoryFolder {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  get exists(): boolean {
    return existsSync(join(this.folder, SETTINGS));
  }

  /** Makes the folders. @throws TufRepositoryError `is-a-repository` */
  create(days: ExpiryDays): void {
    if (this.exists)
      throw new TufRepositoryError("is-a-repository", `${this.folder} is a TUF repository already.`, {
        hint: "Choose another folder.",
      });
    for (const name of ["metadata", "targets", "staged"])
      mkdirSync(join(this.folder, name), { recursive: true });
    writeWhole(join(this.folder, SETTINGS), `${JSON.stringify({ expiryDays: days }, null, 2)}\n`);
  }

  /** Newest published files and staged changes. @throws TufRepositoryError, TufError */
  load(): { state: RepositoryState; days: ExpiryDays } {
    if (!this.exists)
      throw new TufRepositoryError("not-a-repository", `${this.folder} is not a TUF repository.`, {
        hint: "bootproof tuf init makes one.",
      });
    const settings = parseJson(this.#read(SETTINGS), SETTINGS);
    const days = isObject(settings) && isObject(settings.expiryDays) ? settings.expiryDays : {};
    return {
      state: { published: this.#readPublished(), staged: this.#readStaged() },
      days: { ...EXPIRY_DAYS, ...(days as ExpiryDays) },
    };
  }

  /** Keeps changes that are not published yet. */
  saveStaged({ staged }: RepositoryState): void {
    const folder = join(this.folder, "staged");
    mkdirSync(folder, { recursive: true });
    for (const [role, file] of staged) writeWhole(join(folder, metadataFileName(role)), fileBytes(file));
    const wanted = new Set([...staged.keys()].map((role) => metadataFileName(role)));
    for (const name of readdirSync(folder)) if (!wanted.has(name)) rmSync(join(folder, name));
  }

  /** Writes the staged files for clients, the timestamp last, and forgets that they were staged. */
  publish(state: RepositoryState): void {
    for (const { role, version, bytes } of filesToPublish(state)) {
      const name = metadataFileName(role, role === "timestamp" ? undefined : version);
      writeWhole(join(this.folder, "metadata", name), bytes);
    }
    this.saveStaged(published(state));
  }

  /** Puts a target where clients look for it: under its hash. */
  addTarget(path: string, sha256: string, bytes: Uint8Array): void {
    const file = join(this.folder, "targets", ...targetFilePath(path, sha256).split("/"));
    mkdirSync(dirname(file), { recursive: true });
    if (!existsSync(file)) writeWhole(file, bytes);
  }

  /** Every published root, oldest first. */
  roots(): Uint8Array[] {
    return this.#metadataNames("root").map((name) => this.#read(join("metadata", name)));
  }

  #readPublished(): Map<string, DraftFile> {
    const files = new Map<string, DraftFile>();
    const roles = new Set(
      readdirSync(join(this.folder, "metadata")).flatMap((name) => {
        const found = /^(?:\d+\.)?(.+)\.json$/.exec(name);
        return found ? [decodeURIComponent(found[1]!)] : [];
      }),
    );
    for (const role of roles) {
      const name = role === "timestamp" ? "timestamp.json" : this.#metadataNames(role).at(-1);
      if (name !== undefined) files.set(role, this.#readDraft(join("metadata", name), role));
    }
    return files;
  }

  /** Names of all versions of a role's file, oldest first. */
  #metadataNames(role: string): string[] {
    const end = `.${metadataFileName(role)}`;
    return readdirSync(join(this.folder, "metadata"))
      .filter((name) => name.endsWith(end) && /^\d+$/.test(name.slice(0, -end.length)))
      .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  }

  #readStaged(): Map<string, DraftFile> {
    const folder = join(this.folder, "staged");
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
    return new Map(
      names.map((name) => {
        const role = decodeURIComponent(name.slice(0, -".json".length));
        return [role, this.#readDraft(join("staged", name), role)];
      }),
    );
  }

  #readDraft(name: string, role: string): DraftFile {
    const { raw, signatures } = parseMetadata(typeOf(role), this.#read(name), role);
    return { signed: raw, signatures };
  }

  #read(name: string): Uint8Array {
    return new Uint8Array(readFileSync(join(this.folder, name)));
  }
}

/** A file as a whole or not at all. */
function writeWhole(path: string, content: Uint8Array | string): void {
  const neighbour = `${path}.${process.pid}.part`;
  const file = openSync(neighbour, "w", 0o644);
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameOver(neighbour, path);
}
