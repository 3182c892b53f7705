import { hostname, userInfo } from "node:os";
import type { JsonObject } from "../../tuf/canonical-json.js";
import { parseMetadata } from "../../tuf/metadata.js";
import { TOP_LEVEL_ROLES } from "../../tuf/metadata-types.js";
import {
  type DraftFile,
  newRepository,
  OFFLINE_ROLES,
  type RoleSetting,
} from "../../tuf/repository/draft.js";
import { addDelegation, addSuccinctBins } from "../../tuf/repository/draft-delegations.js";
import { changeKeys } from "../../tuf/repository/draft-keys.js";
import { trustsFor } from "../../tuf/repository/publish.js";
import { rehearseRotation } from "../../tuf/repository/rehearse.js";
import { TufRepositoryError } from "../../tuf/repository/repository-error.js";
import { answerTufRequest, openTufSigningRequest } from "../../tuf/repository/signing-request.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import { EXPIRY_DAYS, RepositoryFolder } from "../../tuf-store/repository-folder.js";
import { rehearseOfflineRotation } from "../../uptane/rehearse-offline.js";
import { currentTime } from "../current-time.js";
import { readInput, writeOutput } from "../files.js";
import { printable, table, tone } from "../output.js";
import { askLine } from "../secrets.js";
import { UsageError } from "../usage-error.js";
import type { CommonOptions, Context } from "../verb-context.js";
import { type MetadataSigningOptions, mustHaveSigners, withSigners } from "./metadata-signers.js";
import { expiresBy, namedKeys, openFolder, staged, stagedFacts } from "./repository-inputs.js";

export interface InitOptions extends CommonOptions {
  key?: string[];
  rootKey?: string[];
  targetsKey?: string[];
  snapshotKey?: string[];
  timestampKey?: string[];
  offlineKey?: string[];
  threshold?: string[];
  expires?: string[];
  passphraseFile?: string;
}

export interface KeyOptions extends CommonOptions {
  add?: string[];
  remove?: string[];
  threshold?: number;
}

export interface DelegateOptions extends CommonOptions {
  key?: string[];
  threshold: number;
  path?: string[];
  hashPrefix?: string[];
  bins?: number;
  terminating?: boolean;
}

export interface SignOptions extends CommonOptions, MetadataSigningOptions {
  keyId?: string;
  signer?: string;
  yes?: boolean;
  force?: boolean;
}

export interface RotateOptions extends KeyOptions {
  rehearse?: boolean;
}

/** `role=number` pairs. */
function perRole(pairs: readonly string[] = [], option: string): Record<string, number> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, role, number] = /^([\w.-]+)=(\d{1,5})$/.exec(pair) ?? [];
      if (role === undefined || Number(number) < 1)
        throw new UsageError(`${option} "${pair}" is not a role and a number, such as root=2.`);
      return [role, Number(number)];
    }),
  );
}

export async function init(path: string, options: InitOptions, { out }: Context): Promise<void> {
  const days = { ...EXPIRY_DAYS, ...perRole(options.expires, "--expires") };
  const thresholds = perRole(options.threshold, "--threshold");
  const settings = {} as Record<(typeof TOP_LEVEL_ROLES)[number], RoleSetting>;
  for (const role of TOP_LEVEL_ROLES) {
    const files = [...(options[`${role}Key`] ?? []), ...(options.key ?? [])];
    if (files.length === 0)
      throw new UsageError(
        `No key is named for ${role}.`,
        `Name it with --${role}-key FILE, or one for all with --key FILE.`,
      );
    settings[role] = { keys: await namedKeys(files, options), threshold: thresholds[role] ?? 1 };
  }
  const expires = expiresBy(days);
  let state = newRepository(settings, expires);
  if (options.offlineKey) {
    const offline = await namedKeys(options.offlineKey, options);
    for (const role of OFFLINE_ROLES)
      state = changeKeys(state, role, { add: offline, threshold: thresholds[role] }, expires);
  }
  const folder = new RepositoryFolder(path);
  folder.create(days);
  folder.saveStaged(state);
  out.result(
    { folder: path, staged: stagedFacts(state) },
    `${path}: a new repository; root 1 and targets 1 are staged\nNext: bootproof tuf publish ${path} --key FILE`,
  );
}

export async function changeRoleKeys(
  path: string,
  role: string,
  { add: added = [], remove = [], threshold }: KeyOptions,
  context: Context,
): Promise<void> {
  const { folder, state, expires } = openFolder(path);
  if (added.length === 0 && remove.length === 0 && threshold === undefined) {
    const { trust } = trustsFor(state, role).at(-1)!;
    const keys = trust.keyids.map((id) => ({ id, scheme: trust.keys.get(id)?.scheme ?? "-" }));
    const rows = keys.map(({ id, scheme }) => [id, scheme]);
    context.out.result(
      { role, threshold: trust.threshold, keys },
      `${role}: ${trust.threshold} of ${keys.length} must sign\n${table(["key id", "scheme"], rows)}`,
    );
    return;
  }
  const next = changeKeys(state, role, { add: await namedKeys(added), remove, threshold }, expires);
  staged(folder, next, context, `The keys of ${role} change.`);
}

export async function delegate(
  path: string,
  role: string,
  { key: files = [], threshold, path: paths, hashPrefix, bins, terminating = false }: DelegateOptions,
  context: Context,
): Promise<void> {
  const ways = [paths, hashPrefix, bins].filter((way) => way !== undefined);
  if (ways.length !== 1)
    throw new UsageError(
      "Say in one way what is delegated.",
      "With --path, with --hash-prefix, or with --bins.",
    );
  if (files.length === 0) throw new UsageError("Name a key of the role: --key FILE.");
  const { folder, state, expires } = openFolder(path);
  const keys = await namedKeys(files);
  const next =
    bins === undefined
      ? addDelegation(
          state,
          { name: role, keys, threshold, terminating, paths, pathHashPrefixes: hashPrefix },
          expires,
        )
      : addSuccinctBins(state, { namePrefix: role, bitLength: bins, keys, threshold }, expires);
  staged(folder, next, context, `targets delegates to ${role}.`);
}

export async function sign(
  requestFile: string,
  responseFile: string,
  options: SignOptions,
  { out, signal }: Context,
): Promise<void> {
  const request = openTufSigningRequest(readInput(requestFile));
  const { role, version, signed } = request;
  out.note(`${tone("strong", `${printable(role)} ${version}`)}, asked at ${printable(request.createdAt)}`);
  out.note(printableJson(signed));
  await withSigners(options, signal, async (signers) => {
    mustHaveSigners(signers);
    if (!options.yes && (await askLine(`To sign this, type ${version}: `)) !== String(version))
      throw new UsageError(
        "Not signed: it was not approved.",
        "Type the version at a terminal; elsewhere add --yes.",
      );
    const response = await answerTufRequest(request, signers, {
      signedAt: currentTime().toISOString(),
      signer: options.signer ?? `${userInfo().username}@${hostname()}`,
      as: options.keyId,
    });
    writeOutput(responseFile, `${JSON.stringify(response, null, 2)}\n`, {
      overwrite: options.force ?? false,
    });
    out.result(
      { file: responseFile, ...response },
      `${responseFile}: ${printable(role)} ${version} is signed; take it back, and use it with bootproof tuf publish --attach`,
    );
  });
}

const printableJson = (value: JsonObject) =>
  JSON.stringify(value, null, 2)
    .split("\n")
    .map((line) => printable(line))
    .join("\n");

export async function rotate(
  path: string,
  role: string,
  { add: added = [], remove = [], threshold, rehearse = false }: RotateOptions,
  context: Context,
): Promise<void> {
  if (added.length === 0 || remove.length === 0)
    throw new UsageError("A rotation needs an old key and a new key.", "Name --remove ID and --add FILE.");
  const { folder, state, expires } = openFolder(path);
  const next = changeKeys(state, role, { add: await namedKeys(added), remove, threshold }, expires);
  if (!rehearse) return staged(folder, next, context, `The keys of ${role} are exchanged.`);
  if (state.published.size === 0)
    throw new TufRepositoryError(
      "nothing-staged",
      "There is nothing to rehearse: the repository was never published.",
    );
  const roots: DraftFile[] = folder.roots().map((bytes) => {
    const { raw, signatures } = parseMetadata("root", bytes);
    return { signed: raw, signatures };
  });
  const before = { published: state.published, staged: new Map<string, DraftFile>() };
  const now = currentTime();
  const isOffline = (OFFLINE_ROLES as readonly string[]).includes(role);
  const outcomes = await (isOffline ? rehearseOfflineRotation : rehearseRotation)({
    roots,
    before,
    after: next,
    role,
    now,
    expires,
    verify: verifyNatively,
  });
  const rows = outcomes.map(({ client, given, accepted, wanted, outcome, step }) => [
    client,
    given,
    tone(accepted === wanted ? "good" : "bad", accepted ? "accepted" : "refused"),
    `${outcome}${step === undefined ? "" : ` (${step})`}`,
  ]);
  context.out.result({ role, outcomes }, table(["client", "given", "", "outcome"], rows));
}
