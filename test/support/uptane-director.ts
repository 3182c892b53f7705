import { canonicalJson, type JsonObject } from "../../src/tuf/canonical-json.js";
import type { RepositoryFetch } from "../../src/tuf/client.js";
import { fileBytes } from "../../src/tuf/repository/draft.js";
import { type MetadataSigner, signBytes } from "../../src/tuf/repository/tuf-key.js";
import { newSigner } from "./tuf-repository.js";

/** A Director with root and targets only, in the standard's spelling but for those two. */
export class Director implements RepositoryFetch {
  readonly files = new Map<string, Uint8Array>();
  readonly #targetsSigner: MetadataSigner;
  #version = 0;

  private constructor(targetsSigner: MetadataSigner) {
    this.#targetsSigner = targetsSigner;
  }

  static async create(): Promise<Director> {
    const [root, targets] = [await newSigner(), await newSigner()];
    const director = new Director(targets);
    const role = ({ id }: MetadataSigner) => ({ keyids: [id], threshold: 1 });
    const signed = {
      _type: "root",
      spec_version: "1.0.34",
      version: 1,
      expires: "2027-01-01T00:00:00Z",
      keys: { [root.id]: root.key, [targets.id]: targets.key },
      roles: { root: role(root), targets: role(targets) },
    };
    await director.#put("1.root.json", signed, root);
    return director;
  }

  async direct(
    targets: JsonObject,
    {
      more = {},
      by = this.#targetsSigner,
      version = ++this.#version,
    }: { more?: JsonObject; by?: MetadataSigner; version?: number } = {},
  ): Promise<void> {
    const expires = "2026-07-01T00:00:00Z";
    const signed = { _type: "targets", spec_version: "1.0.34", version, expires, targets, ...more };
    await this.#put("targets.json", signed, by);
  }

  async #put(name: string, signed: JsonObject, signer: MetadataSigner): Promise<void> {
    const signatures = [await signBytes(canonicalJson(signed), signer)];
    this.files.set(name, fileBytes({ signed, signatures }));
  }

  metadata = async (name: string) => this.files.get(name);
  target = async () => undefined;
}
