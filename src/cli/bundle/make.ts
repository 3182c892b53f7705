import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { canonicalJson } from "../../tuf/canonical-json.js";
import { type RepositoryFetch, TUF_LIMITS, TufClient } from "../../tuf/client.js";
import { TufError } from "../../tuf/error.js";
import { metadataFileName } from "../../tuf/file-names.js";
import { trustRoot } from "../../tuf/first-trust.js";
import { mustMatch } from "../../tuf/hashes.js";
import type { Metadata, TargetFile } from "../../tuf/metadata-types.js";
import { type DraftFile, fileBytes } from "../../tuf/repository/draft.js";
import { memoryStore } from "../../tuf/repository/rehearse.js";
import { TufRepositoryError } from "../../tuf/repository/repository-error.js";
import { requestToSign } from "../../tuf/repository/signing-request.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import { repositoryFetch } from "../../tuf-store/open-repository.js";
import { RepositoryFolder } from "../../tuf-store/repository-folder.js";
import {
  attachToOfflineUpdate,
  draftOfflineUpdate,
  missingOfOfflineUpdate,
  type OfflineChoice,
  type OfflineFiles,
  signOfflineUpdate,
} from "../../uptane/make-offline.js";
import { OFFLINE_SNAPSHOT, parseOfflineSnapshot, parseOfflineTargets } from "../../uptane/offline-roles.js";
import { parseUptaneMetadata } from "../../uptane/reader.js";
import { uptaneDialect } from "../../uptane/verify.js";
import { verifyOffline } from "../../uptane/verify-offline.js";
import { BUNDLE_PARTS, type BundleFiles, bundleTar, halfOf } from "../../uptane-store/bundle-files.js";
import { currentTime, expiryAfter } from "../current-time.js";
import { FileError, readInput, writeOutput } from "../files.js";
import { hardwareOf } from "../many-boards/choose-boards.js";
import { printable } from "../output.js";
import { pair } from "../pair.js";
import { type MetadataSigningOptions, mustHaveSigners, withSigners } from "../tuf/metadata-signers.js";
import { refreshedByName } from "../tuf/repository-place.js";
import { UsageError } from "../usage-error.js";
import type { CommonOptions, Context } from "../verb-context.js";

export interface BundleMakeOptions extends CommonOptions, MetadataSigningOptions {
  director: string;
  images: string;
  target: string[];
  artifact?: string[];
  boards?: string;
  request?: string;
  attach?: string[];
  name: string;
  days: number;
  force?: boolean;
}

/** The Image repository, verified, and how to get its files as they are. */
interface Images {
  readonly client: TufClient;
  readonly fetch: RepositoryFetch;
}

export async function make(output: string, options: BundleMakeOptions, context: Context): Promise<void> {
  const { director: directorFolder, artifact: artifacts = [], name } = options;
  mustBeFree(output, options.force ?? false);
  const folder = new RepositoryFolder(directorFolder);
  folder.load();
  const roots = folder.roots();
  const newest = roots.at(-1);
  if (newest === undefined)
    throw new UsageError(`${directorFolder} has published no root.`, "bootproof tuf publish does.");
  const root = parseUptaneMetadata("root", newest);
  const images = await openImages(options.images, context);
  const choices = await chosen(options.target, images);
  if (options.boards !== undefined) await mustServe(options.boards, choices);
  const before = {
    snapshot: directorFile(directorFolder, OFFLINE_SNAPSHOT),
    targets: directorFile(directorFolder, name),
  };
  const drafted = draftOfflineUpdate({ name, choices, before, expires: expiryAfter(options.days) });
  const update = await signedOrWaiting(
    waitingOrNew(directorFolder, drafted, options),
    root,
    options,
    context,
  );
  const made = { targets: fileBytes(update.targets), snapshot: fileBytes(update.snapshot) };
  const facts = (file: DraftFile) => file.signed as { version: number; expires: string };
  const { version, expires } = facts(update.targets);
  const { version: snapshotVersion } = facts(update.snapshot);
  const files = new Map<string, Uint8Array>();
  for (const [at, bytes] of roots.entries())
    files.set(`${BUNDLE_PARTS.director}/${metadataFileName("root", at + 1)}`, bytes);
  files.set(`${BUNDLE_PARTS.director}/${OFFLINE_SNAPSHOT}.json`, made.snapshot);
  files.set(`${BUNDLE_PARTS.director}/${name}.json`, made.targets);
  await collectImageMetadata(images, files);
  const extra = await Promise.all(
    artifacts.map(async (path) => (await images.client.findTarget(path)).target),
  );
  for (const target of [...choices.map((choice) => choice.target), ...extra])
    files.set(`${BUNDLE_PARTS.images}/${target.path}`, await imageOf(target, images));
  await mustVerify(files);
  // The Director remembers the version first: a bundle that was handed out is never made again with another content.
  for (const [role, bytes] of [
    [name, made.targets],
    [OFFLINE_SNAPSHOT, made.snapshot],
  ] as const)
    writeOutput(join(directorFolder, "metadata", `${role}.json`), bytes);
  rmSync(join(directorFolder, WAITING), { force: true, recursive: true });
  write(output, files);
  context.out.result(
    {
      bundle: output,
      name,
      version,
      snapshotVersion,
      expires,
      images: choices.map(({ target, hardwareIds }) => ({ target: target.path, hardwareIds })),
      artifacts,
      files: files.size,
    },
    `${printable(output)}: ${printable(name)} ${version}, good until ${expires}; ${files.size} files\nNext, where there is no network: bootproof bundle verify ${printable(output)}`,
  );
}

/** Folder in the Director's in which an update waits for signatures. */
const WAITING = "waiting";

/** With `--attach` the update that waits, when it still directs what the command line says; else the new one. */
function waitingOrNew(
  folder: string,
  drafted: OfflineFiles,
  { attach = [] }: BundleMakeOptions,
): OfflineFiles {
  if (attach.length === 0) return drafted;
  const waits = (part: keyof OfflineFiles): DraftFile => {
    const path = join(folder, WAITING, `${part}.json`);
    if (!existsSync(path))
      throw new TufRepositoryError("nothing-staged", `No update waits for signatures in ${folder}.`, {
        hint: "bootproof bundle make --request FOLDER makes one.",
      });
    const bytes = readInput(path);
    const read = part === "targets" ? parseOfflineTargets(bytes, path) : parseOfflineSnapshot(bytes);
    return { signed: read.raw, signatures: read.signatures };
  };
  const waiting = { targets: waits("targets"), snapshot: waits("snapshot") };
  const without = ({ signed: { expires: _, ...rest } }: DraftFile) =>
    new TextDecoder().decode(canonicalJson(rest));
  if (
    without(waiting.targets) === without(drafted.targets) &&
    without(waiting.snapshot) === without(drafted.snapshot)
  )
    return waiting;
  throw new TufRepositoryError("other-ceremony", "The update that waits for signatures is another one.", {
    hint: "Repeat the command with which it was made, or write new requests with --request.",
  });
}

/** Signs with who is here. What is missing is asked for with `--request`, and the update waits. */
async function signedOrWaiting(
  drafted: OfflineFiles,
  root: Metadata<"root">,
  { request, attach = [], director, ...signing }: BundleMakeOptions,
  { out, signal }: Context,
): Promise<OfflineFiles> {
  let files = drafted;
  for (const file of attach)
    files = await attachToOfflineUpdate(files, root, readInput(file), verifyNatively);
  files = await withSigners(signing, signal, (signers) => {
    if (request === undefined && attach.length === 0) mustHaveSigners(signers);
    return signOfflineUpdate(files, root, signers);
  });
  const missing = await missingOfOfflineUpdate(files, root, verifyNatively);
  if (missing.length === 0) return files;
  if (request !== undefined || attach.length > 0) {
    mkdirSync(join(director, WAITING), { recursive: true });
    for (const part of ["targets", "snapshot"] as const)
      writeOutput(join(director, WAITING, `${part}.json`), fileBytes(files[part]));
  }
  if (request !== undefined) {
    mkdirSync(request, { recursive: true });
    for (const { signed, ...what } of missing) {
      const name = join(request, `${what.role}-${what.version}.request.json`);
      const asked = requestToSign(signed, what, currentTime().toISOString());
      writeOutput(name, `${JSON.stringify(asked, null, 2)}\n`);
      out.note(`${name}: take it to the machine with the key, and sign it there with bootproof tuf sign`);
    }
  }
  const list = missing.map(
    ({ role, count, keyids }) =>
      `${role} needs ${count} more of ${keyids.map((id) => id.slice(0, 12)).join(", ")}`,
  );
  throw new TufRepositoryError("waits-for-signatures", `No bundle was made: ${list.join("; ")}.`, {
    hint: "Name a key of each with --key; or --request FOLDER for keys that are elsewhere, then --attach FILE.",
  });
}

function mustBeFree(output: string, force: boolean): void {
  if (!existsSync(output) || force) return;
  if (statSync(output).isDirectory() && readdirSync(output).length === 0) return;
  throw new FileError("file-exists", output, `${output} exists and was not changed.`, {
    hint: "Choose another name, or add --force.",
  });
}

/** A folder is the owner's own and is trusted by its first root; a repository elsewhere as it is trusted here. */
async function openImages(place: string, context: Context): Promise<Images> {
  if (!(statSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false))
    return refreshedByName(place, context);
  const now = currentTime();
  const fetch = repositoryFetch({ from: place });
  const first = await fetch.metadata("1.root.json", TUF_LIMITS.root);
  if (!first)
    throw new TufError("not-in-repository", "root", `${place} contains no metadata/1.root.json.`, {
      hint: "A bundle contains all roots, beginning with the first.",
    });
  const store = memoryStore();
  await trustRoot(first, store, { verify: verifyNatively, parse: parseUptaneMetadata });
  const client = new TufClient({ fetch, store, now, verify: verifyNatively, dialect: uptaneDialect() });
  await client.refresh();
  return { client, fetch };
}

/** `HARDWARE-ID=PATH` pairs; one path may be for several kinds of hardware. */
async function chosen(pairs: readonly string[], { client }: Images): Promise<OfflineChoice[]> {
  const byPath = new Map<string, string[]>();
  for (const text of pairs) {
    const [hardwareId, path] = pair(text, "--target", "HARDWARE-ID=PATH");
    byPath.set(path, [...(byPath.get(path) ?? []), hardwareId]);
  }
  const choices: OfflineChoice[] = [];
  for (const [path, hardwareIds] of byPath) {
    const { target } = await client.findTarget(path);
    choices.push({ target, hardwareIds });
  }
  return choices;
}

/** A board that is forgotten would be found out where there is no network. */
async function mustServe(file: string, choices: readonly OfflineChoice[]): Promise<void> {
  const served = new Set(choices.flatMap(({ hardwareIds }) => hardwareIds));
  const forgotten = (await hardwareOf(file)).find(({ hardwareId }) => !served.has(hardwareId));
  if (forgotten)
    throw new UsageError(
      `${file}: ${forgotten.name} is ${forgotten.hardwareId}, for which the bundle has no image.`,
      `Add --target ${forgotten.hardwareId}=PATH.`,
    );
}

function directorFile(folder: string, role: string): Uint8Array | undefined {
  const path = join(folder, "metadata", `${role}.json`);
  return existsSync(path) ? readInput(path) : undefined;
}

/** All roots, the snapshot, and every targets file that it lists. */
async function collectImageMetadata(
  { client, fetch }: Images,
  files: Map<string, Uint8Array>,
): Promise<void> {
  const { root, snapshot } = client.trusted;
  for (let version = 1; version <= root.signed.version; version++) {
    const name = metadataFileName("root", version);
    files.set(`${BUNDLE_PARTS.imageRepo}/${name}`, await mustFetch(fetch, name, TUF_LIMITS.root));
  }
  files.set(`${BUNDLE_PARTS.imageRepo}/snapshot.json`, snapshot!.bytes);
  for (const [file, { version }] of snapshot!.signed.meta) {
    const role = file.replace(/\.json$/, "");
    const name = metadataFileName(role, root.signed.consistentSnapshot ? version : undefined);
    files.set(
      `${BUNDLE_PARTS.imageRepo}/${metadataFileName(role)}`,
      await mustFetch(fetch, name, TUF_LIMITS.targets),
    );
  }
}

async function mustFetch(fetch: RepositoryFetch, name: string, limit: number): Promise<Uint8Array> {
  const bytes = await fetch.metadata(name, limit);
  if (bytes) return bytes;
  throw new TufError("not-in-repository", name, `The Image repository does not contain ${name}.`);
}

async function imageOf(target: TargetFile, { client }: Images): Promise<Uint8Array> {
  const bytes = await client.download({ target, role: "" });
  mustMatch(bytes, target, {
    what: `The image ${target.path}`,
    subject: target.path,
    code: "arbitrary-software",
    step: "5.7.3",
  });
  return bytes;
}

/** What is handed out is what a stranger's laptop accepts. */
async function mustVerify(made: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const files: BundleFiles = {
    place: "the new bundle",
    paths: [...made.keys()],
    read: (path) => made.get(path),
  };
  const stores = { director: memoryStore(), images: memoryStore() };
  for (const [store, part] of [
    [stores.director, BUNDLE_PARTS.director],
    [stores.images, BUNDLE_PARTS.imageRepo],
  ] as const)
    await trustRoot(made.get(`${part}/1.root.json`)!, store, {
      verify: verifyNatively,
      parse: parseUptaneMetadata,
    });
  await verifyOffline({
    director: halfOf(files, "director"),
    images: halfOf(files, "imageRepo"),
    stores,
    now: currentTime(),
    verify: verifyNatively,
  });
}

/** One file where the name ends in `.tar` or `.bundle`, else a folder. */
function write(output: string, files: ReadonlyMap<string, Uint8Array>): void {
  if (/\.(tar|bundle)$/i.test(output)) {
    writeOutput(output, bundleTar(files));
    return;
  }
  for (const [path, bytes] of files) {
    const file = join(output, ...path.split("/"));
    mkdirSync(dirname(file), { recursive: true });
    writeOutput(file, bytes);
  }
}
