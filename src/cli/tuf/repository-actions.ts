import { mkdirSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { basename, join } from "node:path";
import { toHex } from "../../bytes.js";
import { ImageError } from "../../mcuboot/header.js";
import { parseImage } from "../../mcuboot/image.js";
import { formatVersion } from "../../mcuboot/version.js";
import type { Json, JsonObject } from "../../tuf/canonical-json.js";
import { sha256Hex } from "../../tuf/hashes.js";
import { parseMetadata } from "../../tuf/metadata.js";
import { TOP_LEVEL_ROLES } from "../../tuf/metadata-types.js";
import {
  type DraftFile,
  newRepository,
  OFFLINE_ROLES,
  type RepositoryState,
  type RoleSetting,
  renew,
} from "../../tuf/repository/draft.js";
import { addDelegation, addSuccinctBins } from "../../tuf/repository/draft-delegations.js";
import { changeKeys } from "../../tuf/repository/draft-keys.js";
import { addTarget, describeRole, removeTarget } from "../../tuf/repository/draft-targets.js";
import {
  completeStage,
  type MissingSignatures,
  missingSignatures,
  signStaged,
  trustsFor,
} from "../../tuf/repository/publish.js";
import { rehearseRotation } from "../../tuf/repository/rehearse.js";
import { TufRepositoryError } from "../../tuf/repository/repository-error.js";
import {
  answerTufRequest,
  attachTufResponse,
  openTufSigningRequest,
  tufSigningRequest,
} from "../../tuf/repository/signing-request.js";
import { type NamedTufKey, tufKeyOf } from "../../tuf/repository/tuf-key.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import { EXPIRY_DAYS, type ExpiryDays, RepositoryFolder } from "../../tuf-store/repository-folder.js";
import { rehearseOfflineRotation } from "../../uptane/rehearse-offline.js";
import { currentTime, expiryAfter } from "../current-time.js";
import { readInput, writeOutput } from "../files.js";
import { printable, table, tone } from "../output.js";
import { pair } from "../pair.js";
import { askLine, readKey } from "../secrets.js";
import { UsageError } from "../usage-error.js";
import type { CommonOptions, Context } from "../verb-context.js";
import { type MetadataSigningOptions, mustHaveSigners, withSigners } from "./metadata-signers.js";

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

export interface AddOptions extends CommonOptions {
  path?: string;
  role: string;
  hardware?: string[];
  releaseCounter?: number;
  ecu?: string[];
  vehicle?: string;
  custom?: string;
  remove?: string[];
}

export interface DelegateOptions extends CommonOptions {
  key?: string[];
  threshold: number;
  path?: string[];
  hashPrefix?: string[];
  bins?: number;
  terminating?: boolean;
}

export interface PublishOptions extends CommonOptions, MetadataSigningOptions {
  request?: string;
  attach?: string[];
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

const expiresBy = (days: ExpiryDays) => (role: string) => expiryAfter(days[role] ?? days.delegated ?? 0);

function openFolder(path: string) {
  const folder = new RepositoryFolder(path);
  const { state, days } = folder.load();
  return { folder, state, expires: expiresBy(days) };
}

async function namedKeys(
  files: readonly string[],
  options: { passphraseFile?: string } = {},
): Promise<NamedTufKey[]> {
  return Promise.all(files.map(async (file) => tufKeyOf((await readKey(file, options)).publicKey)));
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

const stagedFacts = ({ staged }: RepositoryState) =>
  [...staged].map(([role, { signed }]) => ({ role, version: signed.version, expires: signed.expires }));

/** Keeps a staged change and tells what is staged now. */
function staged(folder: RepositoryFolder, state: RepositoryState, { out }: Context, what: string): void {
  folder.saveStaged(state);
  const list = stagedFacts(state).map(({ role, version }) => `${role} ${String(version)}`);
  out.result(
    { folder: folder.folder, staged: stagedFacts(state) },
    `${what}\nStaged: ${printable(list.join(", "))}\nNext: bootproof tuf publish ${folder.folder} --key FILE`,
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

export async function add(
  path: string,
  files: readonly string[],
  options: AddOptions,
  context: Context,
): Promise<void> {
  const { remove = [], role, vehicle } = options;
  if (files.length === 0 && remove.length === 0 && vehicle === undefined)
    throw new UsageError("Name a file to add, or --remove PATH.");
  if (options.path !== undefined && files.length > 1) throw new UsageError("--path is the path of one file.");
  const { folder, state, expires } = openFolder(path);
  let next = state;
  for (const gone of remove) next = removeTarget(next, role, gone, expires);
  const contents = files.map((file) => ({ file, bytes: readInput(file) }));
  const added = contents.map(({ file, bytes }) => {
    const target = { path: options.path ?? basename(file), length: bytes.length, sha256: sha256Hex(bytes) };
    return { target: { ...target, custom: customOf(bytes, options) }, bytes };
  });
  for (const { target } of added) next = addTarget(next, role, target, expires);
  if (vehicle !== undefined) next = describeRole(next, role, { vehicleId: vehicle }, expires);
  for (const { target, bytes } of added) folder.addTarget(target.path, target.sha256, bytes);
  staged(
    folder,
    next,
    context,
    `${role} lists ${added.map(({ target }) => printable(target.path)).join(", ") || "less"}.`,
  );
}

/** What the role says of a target besides its content: what the image says of itself, and what the command line says. */
function customOf(bytes: Uint8Array, options: AddOptions): JsonObject | undefined {
  const { hardware, releaseCounter, ecu, custom } = options;
  const all: Record<string, Json> = {
    ...imageFacts(bytes),
    ...(hardware && { hardwareIds: hardware }),
    ...(ecu && { ecuIdentifiers: ecuIdentifiers(ecu) }),
    ...(releaseCounter !== undefined && { releaseCounter }),
    ...(custom !== undefined && parseCustom(custom)),
  };
  return Object.keys(all).length > 0 ? all : undefined;
}

function ecuIdentifiers(pairs: readonly string[]): JsonObject {
  return Object.fromEntries(
    pairs.map((text) => {
      const [serial, hardwareId] = pair(text, "--ecu", "SERIAL=HARDWARE-ID");
      return [serial, { hardwareId }];
    }),
  );
}

function imageFacts(bytes: Uint8Array): JsonObject {
  try {
    const { version, securityCounter, imageHash } = parseImage(bytes);
    return {
      version: formatVersion(version),
      ...(securityCounter !== undefined && { securityCounter }),
      ...(imageHash && { mcubootHash: toHex(imageHash.value) }),
    };
  } catch (error) {
    // Any file can be a target; only images have something to tell.
    if (error instanceof ImageError) return {};
    throw error;
  }
}

function parseCustom(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch {
    // Not JSON: said below, as for JSON that is no object.
  }
  throw new UsageError(`--custom "${text}" is not a JSON object.`);
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
