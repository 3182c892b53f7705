import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type RepositoryState, renew } from "../../tuf/repository/draft.js";
import {
  completeStage,
  type MissingSignatures,
  missingSignatures,
  signStaged,
} from "../../tuf/repository/publish.js";
import { TufRepositoryError } from "../../tuf/repository/repository-error.js";
import { attachTufResponse, tufSigningRequest } from "../../tuf/repository/signing-request.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import type { RepositoryFolder } from "../../tuf-store/repository-folder.js";
import { currentTime } from "../current-time.js";
import { readInput, writeOutput } from "../files.js";
import { printable } from "../output.js";
import type { CommonOptions, Context } from "../verb-context.js";
import { type MetadataSigningOptions, withSigners } from "./metadata-signers.js";
import { openFolder, stagedFacts } from "./repository-inputs.js";

export interface PublishOptions extends CommonOptions, MetadataSigningOptions {
  request?: string;
  attach?: string[];
}

export async function publish(path: string, options: PublishOptions, context: Context): Promise<void> {
  const { folder, state, expires } = openFolder(path);
  if (state.staged.size === 0)
    throw new TufRepositoryError("nothing-staged", `Nothing is staged in ${path}.`, {
      hint: "Stage a change with tuf add, key, delegate or rotate; sign again with tuf resign.",
    });
  await signAndPublish(folder, await completeStage(state, expires, verifyNatively), options, context);
}

export async function resign(
  path: string,
  roles: readonly string[],
  options: PublishOptions,
  context: Context,
): Promise<void> {
  const { folder, state, expires } = openFolder(path);
  let next = state;
  for (const role of roles.length > 0 ? roles : ["timestamp"]) next = renew(next, role, expires);
  await signAndPublish(folder, await completeStage(next, expires, verifyNatively), options, context);
}

async function signAndPublish(
  folder: RepositoryFolder,
  state: RepositoryState,
  options: PublishOptions,
  context: Context,
): Promise<void> {
  let next = state;
  for (const file of options.attach ?? [])
    next = await attachTufResponse(next, readInput(file), verifyNatively);
  next = await withSigners(options, context.signal, (signers) => signStaged(next, signers));
  const missing = await missingSignatures(next, verifyNatively);
  if (missing.length > 0) return waiting(folder, next, missing, options, context);
  folder.publish(next);
  const list = stagedFacts(next).map(({ role, version }) => `${role} ${String(version)}`);
  context.out.result(
    { folder: folder.folder, published: stagedFacts(next) },
    `${folder.folder}: published ${printable(list.join(", "))}`,
  );
}

/** Keeps the signatures that are there, writes requests for the others, and ends in a way that a script sees. */
function waiting(
  folder: RepositoryFolder,
  state: RepositoryState,
  missing: readonly MissingSignatures[],
  { request }: PublishOptions,
  { out }: Context,
): void {
  folder.saveStaged(state);
  if (request !== undefined) {
    mkdirSync(request, { recursive: true });
    const byRole = new Map<string, string[]>();
    for (const { role, keyids } of missing) byRole.set(role, [...(byRole.get(role) ?? []), ...keyids]);
    for (const [role, keyids] of byRole) {
      const version = state.staged.get(role)!.signed.version as number;
      const file = tufSigningRequest(
        state,
        { role, version, keyids: [...new Set(keyids)] },
        currentTime().toISOString(),
      );
      const name = join(request, `${encodeURIComponent(role)}-${version}.request.json`);
      writeOutput(name, `${JSON.stringify(file, null, 2)}\n`);
      out.note(`${name}: take it to the machine with the key, and sign it there with bootproof tuf sign`);
    }
  }
  const list = missing.map(
    ({ role, count: more, keyids }) =>
      `${role} needs ${more} more of ${keyids.map((id) => id.slice(0, 12)).join(", ")}`,
  );
  throw new TufRepositoryError(
    "waits-for-signatures",
    `Nothing was published: ${[...new Set(list)].join("; ")}.`,
    {
      hint: "What is signed stays staged. Publish again with --key or --attach; --request FOLDER writes requests.",
    },
  );
}
