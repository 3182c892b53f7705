import { generateKey } from "../../crypto/keys.js";
import { keySigner } from "../../crypto/signer.js";
import { canonicalJson, type Json, type JsonObject } from "../canonical-json.js";
import type { VerifySignature } from "../signatures.js";
import { type DraftFile, type ExpiresFor, type RepositoryState, renew, withSignatures } from "./draft.js";
import { completeStage, published, trustsFor } from "./publish.js";
import { type MetadataSigner, metadataSigner, type NamedTufKey, signBytes } from "./tuf-key.js";

/** The keys of the rehearsal: one for each key id. */
export class StandIns {
  readonly #signers = new Map<string, Promise<MetadataSigner>>();

  #for(id: string): Promise<MetadataSigner> {
    const known = this.#signers.get(id);
    if (known) return known;
    const made = generateKey("ed25519").then((key) => metadataSigner(keySigner(key)));
    this.#signers.set(id, made);
    return made;
  }

  /** The stand-in of a key id, for a repository that is made up. */
  async named(id: string): Promise<NamedTufKey> {
    return { id, key: (await this.#for(id)).key };
  }

  /** The chain of roots, the staged one included, each signed by its own keys and those of the one before. */
  async playRoots(roots: readonly DraftFile[], after: RepositoryState): Promise<DraftFile[]> {
    const staged = after.staged.get("root");
    const all = staged ? [...roots, staged] : [...roots];
    const ids = (root: DraftFile | undefined) =>
      root ? (((root.signed.roles as JsonObject).root as JsonObject).keyids as readonly string[]) : [];
    return Promise.all(
      all.map(async (root, index) => {
        const signed = await this.#withStandIns(root.signed);
        return this.signFile({ signed, signatures: [] }, new Set([...ids(root), ...ids(all[index - 1])]));
      }),
    );
  }

  /** The state with stand-ins in place of all keys, signed by all who may. */
  async play(
    state: RepositoryState,
    rootCount: number,
    roots: readonly DraftFile[],
  ): Promise<RepositoryState> {
    const swap = async (files: RepositoryState["published"]) =>
      new Map(
        await Promise.all(
          [...files].map(async ([role, file]): Promise<[string, DraftFile]> => {
            if (role === "root")
              return [role, roots[(file.signed.version as number) - 1] ?? roots[rootCount - 1]!];
            return [role, { signed: await this.#withStandIns(file.signed), signatures: [] }];
          }),
        ),
      );
    const played = { published: await swap(state.published), staged: await swap(state.staged) };
    // What was published was signed by those who counted then.
    const old = await this.sign({ published: new Map(), staged: played.published });
    return { published: old.staged, staged: played.staged };
  }

  /** Signs all that is staged with all keys that count. */
  async sign(state: RepositoryState): Promise<RepositoryState> {
    let next = state;
    for (const [role, file] of state.staged) {
      if (role === "root") continue;
      const ids = trustsFor(state, role).flatMap(({ trust }) => [...trust.keyids]);
      next = withSignatures(next, role, (await this.signFile(file, new Set(ids))).signatures);
    }
    return next;
  }

  /** The next version of a role signed by these keys only, and what follows from it signed as it should be. */
  async signNext(
    state: RepositoryState,
    role: string,
    ids: readonly string[],
    { expires, verify }: { readonly expires: ExpiresFor; readonly verify: VerifySignature },
  ): Promise<RepositoryState> {
    const next = renew(state, role, expires);
    const complete = role === "root" ? next : await completeStage(next, expires, verify);
    const signed = await this.sign(complete);
    const file = complete.staged.get(role)!;
    const only = {
      ...file,
      signatures: (await this.signFile({ ...file, signatures: [] }, new Set(ids))).signatures,
    };
    return published({ ...signed, staged: new Map(signed.staged).set(role, only) });
  }

  /** A file signed by the stand-ins of these keys, and by nobody else. */
  async signFile({ signed }: DraftFile, ids: ReadonlySet<string>): Promise<DraftFile> {
    const bytes = canonicalJson(signed);
    const signatures = await Promise.all(
      [...ids].map(async (id) => signBytes(bytes, await this.#for(id), id)),
    );
    return { signed, signatures };
  }

  async #withStandIns(signed: JsonObject): Promise<JsonObject> {
    const delegations = signed.delegations as JsonObject | undefined;
    return {
      ...signed,
      ...(signed.keys !== undefined && { keys: await this.#keys(signed.keys as JsonObject) }),
      ...(delegations && {
        delegations: { ...delegations, keys: await this.#keys(delegations.keys as JsonObject) },
      }),
    };
  }

  async #keys(keys: JsonObject): Promise<JsonObject> {
    const entries = Object.keys(keys).map(
      async (id): Promise<[string, Json]> => [id, (await this.#for(id)).key],
    );
    return Object.fromEntries(await Promise.all(entries));
  }
}
