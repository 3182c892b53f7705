import {
  type FoundTarget,
  type MetadataStore,
  type RepositoryFetch,
  TUF_LIMITS,
  TufClient,
} from "../tuf/client.js";
import { TufError } from "../tuf/error.js";
import { mustMatch } from "../tuf/hashes.js";
import type { Metadata, TargetFile } from "../tuf/metadata-types.js";
import { mustBeSigned, type VerifySignature } from "../tuf/signatures.js";
import { mustFollow } from "../tuf/trusted-metadata.js";
import { UptaneError } from "./error.js";
import { mustAgree } from "./match.js";
import {
  hardwareIdsOf,
  OFFLINE_SNAPSHOT,
  OFFLINE_TARGETS,
  offlineTrust,
  parseOfflineSnapshot,
  parseOfflineTargets,
} from "./offline-roles.js";
import { uptaneDialect } from "./verify.js";

/** What is checked: the two halves of a bundle, and what is trusted of their repositories. */
export interface OfflineUpdate {
  readonly director: RepositoryFetch;
  readonly images: RepositoryFetch;
  readonly stores: { readonly director: MetadataStore; readonly images: MetadataStore };
  readonly now: Date;
  readonly verify: VerifySignature;
  /** Which update, where a bundle holds several. */
  readonly name?: string | undefined;
  /** Paths of all images that are carried: those that the update does not direct are checked as well. */
  readonly paths?: readonly string[] | undefined;
}

/** A file that the Image repository vouches for, and that is directed to nobody. */
export interface CarriedFile {
  readonly target: TargetFile;
  /** The role of the Image repository that lists it. */
  readonly role: string;
  readonly bytes: Uint8Array;
}

/** An image of an offline update that both repositories vouch for, with its bytes. */
export interface CarriedImage extends CarriedFile {
  readonly hardwareIds: readonly string[];
  /** Absent when no repository states one. */
  readonly releaseCounter?: number;
}

/** What a bundle directs, verified. */
export interface OfflineDirections {
  /** Name of the update: `EMEA-standard`. */
  readonly name: string;
  /** Version of the update's targets file, and of the snapshot that lists it. */
  readonly version: number;
  readonly snapshotVersion: number;
  /** When the first of the two expires. */
  readonly expires: string;
  readonly images: readonly CarriedImage[];
  readonly artifacts: readonly CarriedFile[];
  /** Versions of all metadata that counted: `director root`, `images snapshot`, ... */
  readonly versions: Readonly<Record<string, number>>;
  /** Where this computer knew newer metadata than the bundle carries, which counted instead: roles, in words. */
  readonly newerHere: readonly string[];
}

/** Bound for the two kinds of files of the Director's. */
const MAX_LENGTH = 65_536;

/**
 * Full verification of an offline update: the Director's roots and its two offline roles, the Image repository without
 * its timestamp, that the two agree about every image, and the images themselves. What is newer counts, of what the
 * bundle carries and what is stored. The expiry of the Image repository's snapshot does not count; that of all else does.
 *
 * Source: PURE-2, "Download and verify metadata from the well-known location"; the numbers are its steps
 *
 * @param update - the bundle, the stores, the vehicle, and the time
 * @returns what the Director directs, each with its image
 * @throws TufError, UptaneError; what was verified before stays stored
 */
export async function verifyOffline(update: OfflineUpdate): Promise<OfflineDirections> {
  const newerHere: string[] = [];
  // 1 is whoever gives `now`. 2:
  const root = (await directorClient(update).refreshRoot()).root;
  const snapshot = await updateSnapshot(update, root, newerHere);
  const { name, targets } = await updateTargets(update, root, snapshot);
  const directed = [...targets.signed.targets.values()].map((target) => ({
    target,
    hardwareIds: hardwareIdsOf(target),
  }));
  // 4.4
  mustBeUnambiguous(directed);
  const client = imageClient(update);
  const trusted = await refreshImages(client, update, newerHere);
  const images: CarriedImage[] = [];
  for (const { target, hardwareIds } of directed) {
    const { role, ...found } = await vouchedFor(target, hardwareIds, client, newerHere);
    images.push({ target, hardwareIds, role, ...found, bytes: await imageOf(target, update.images) });
  }
  const artifacts: CarriedFile[] = [];
  for (const path of (update.paths ?? []).filter((one) => !targets.signed.targets.has(one))) {
    const { target, role } = await find(path, client, newerHere);
    artifacts.push({ target, role, bytes: await imageOf(target, update.images) });
  }
  return {
    name,
    artifacts,
    version: targets.signed.version,
    snapshotVersion: snapshot.signed.version,
    expires: [targets, snapshot].map(({ signed }) => signed.expires).sort()[0]!,
    images,
    newerHere,
    versions: {
      "director root": root.signed.version,
      [`director ${OFFLINE_SNAPSHOT}`]: snapshot.signed.version,
      [`director ${name}`]: targets.signed.version,
      "images root": trusted.root.signed.version,
      "images snapshot": trusted.snapshot!.signed.version,
      "images targets": trusted.targets()!.signed.version,
    },
  };
}

function directorClient({ director, stores, now, verify }: OfflineUpdate): TufClient {
  return new TufClient({ fetch: director, store: stores.director, now, verify, dialect: uptaneDialect() });
}

function imageClient({ images, stores, now, verify }: OfflineUpdate): TufClient {
  const dialect = { ...uptaneDialect(), isCarried: true };
  return new TufClient({ fetch: images, store: stores.images, now, verify, dialect });
}

/** 3: the newer of the stored and the carried snapshot. */
async function updateSnapshot(
  { director, stores, now, verify }: OfflineUpdate,
  root: Metadata<"root">,
  newerHere: string[],
): Promise<Metadata<"snapshot">> {
  const signed = { name: OFFLINE_SNAPSHOT, by: `root ${root.signed.version}`, step: "PURE-2 3.2" };
  const trust = offlineTrust(root, OFFLINE_SNAPSHOT);
  const stored = await storedSnapshot(stores.director, (file) => mustBeSigned(file, trust, verify, signed));
  const bytes = await director.metadata(`${OFFLINE_SNAPSHOT}.json`, MAX_LENGTH);
  if (!bytes) throw partial(`${OFFLINE_SNAPSHOT}.json of the Director`);
  const carried = parseOfflineSnapshot(bytes);
  // 3.2 comes before 3.1 here: what is carried must be the Director's even where it is not needed.
  await mustBeSigned(carried, trust, verify, signed);
  const isNewer = !stored || carried.signed.version > stored.signed.version;
  // 3.3
  if (isNewer) mustFollow(stored, carried);
  if (stored && carried.signed.version < stored.signed.version)
    newerHere.push(`${OFFLINE_SNAPSHOT} ${stored.signed.version} (carried: ${carried.signed.version})`);
  const current = isNewer ? carried : stored;
  // 3.4, for a stored one too: whoever carries a bundle again is told that it is old.
  mustBeFresh(OFFLINE_SNAPSHOT, current, now, "PURE-2 3.4");
  if (isNewer) await stores.director.write(OFFLINE_SNAPSHOT, carried.bytes);
  return current;
}

/** What is stored counts as long as the root's keys have signed it. */
async function storedSnapshot(
  store: MetadataStore,
  check: (file: Metadata<"snapshot">) => Promise<unknown>,
): Promise<Metadata<"snapshot"> | undefined> {
  const bytes = await store.read(OFFLINE_SNAPSHOT);
  if (!bytes) return undefined;
  try {
    const stored = parseOfflineSnapshot(bytes);
    await check(stored);
    return stored;
  } catch (error) {
    if (error instanceof TufError) return undefined;
    throw error;
  }
}

/** 4: the one update that the bundle carries. */
async function updateTargets(
  { director, now, verify, name: wanted }: OfflineUpdate,
  root: Metadata<"root">,
  snapshot: Metadata<"snapshot">,
): Promise<{ name: string; targets: Metadata<"targets"> }> {
  const found: { name: string; bytes: Uint8Array }[] = [];
  for (const file of snapshot.signed.meta.keys()) {
    const name = file.replace(/\.json$/, "");
    const bytes = await director.metadata(`${name}.json`, MAX_LENGTH);
    if (bytes && (wanted === undefined || wanted === name)) found.push({ name, bytes });
  }
  const [one, other] = found;
  if (!one)
    throw partial(`none of the updates that the Director's snapshot ${snapshot.signed.version} lists`);
  if (other)
    throw new UptaneError(
      "mixed-bundle",
      other.name,
      `The bundle holds the updates ${found.map(({ name }) => name).join(" and ")}; it must hold one.`,
      { hint: "Choose one with --update NAME, or have a bundle made for each." },
    );
  const { name, bytes } = one;
  const listed = snapshot.signed.meta.get(`${name}.json`)!;
  const targets = parseOfflineTargets(bytes, name);
  // 4.1
  const { version } = targets.signed;
  if (version < listed.version)
    throw new TufError(
      "rollback",
      name,
      `The bundle carries version ${version} of the update ${name}; version ${listed.version} is known to exist.`,
      { step: "PURE-2 4.1", hint: "This is an old bundle, used again. Get the current one." },
    );
  if (version !== listed.version)
    throw new TufError(
      "mix-and-match",
      name,
      `The bundle carries version ${version} of the update ${name}; its snapshot lists ${listed.version}.`,
      { step: "PURE-2 4.1" },
    );
  const what = { what: `The ${name} metadata`, subject: name, code: "mix-and-match" } as const;
  mustMatch(bytes, listed, { ...what, step: "PURE-2 4.1" });
  // 4.2
  await mustBeSigned(targets, offlineTrust(root, OFFLINE_TARGETS), verify, {
    name,
    by: `root ${root.signed.version}`,
    step: "PURE-2 4.2",
  });
  // 4.3
  mustBeFresh(name, targets, now, "PURE-2 4.3");
  if (targets.signed.delegations)
    throw new UptaneError("director-delegates", name, `The offline update ${name} delegates to other roles.`);
  return { name, targets };
}

/** 4.4: one target at most for each kind of hardware. */
function mustBeUnambiguous(
  directed: readonly { target: TargetFile; hardwareIds: readonly string[] }[],
): void {
  const taken = new Map<string, string>();
  for (const { target, hardwareIds } of directed)
    for (const id of hardwareIds) {
      const other = taken.get(id);
      if (other !== undefined)
        throw new UptaneError(
          "ecu-twice",
          id,
          `The offline update has ${other} and ${target.path} for ${id}; which one is meant cannot be told.`,
        );
      taken.set(id, target.path);
    }
}

/** 6 to 8. */
async function refreshImages(client: TufClient, { images }: OfflineUpdate, newerHere: string[]) {
  const carried = await images.metadata("snapshot.json", TUF_LIMITS.snapshot);
  const version = carried && uptaneDialect().parse("snapshot", carried).signed.version;
  try {
    const trusted = await client.refresh();
    noteNewer(trusted.snapshot!.signed.version, version, newerHere);
    return trusted;
  } catch (error) {
    throw ofTheBundle(error, newerHere);
  }
}

function noteNewer(used: number, carried: number | undefined, newerHere: string[]): void {
  if (carried !== undefined && used > carried)
    newerHere.push(`snapshot ${used} of the Image repository (carried: ${carried})`);
}

/** 9: the Image repository says the same of the image. */
async function vouchedFor(
  target: TargetFile,
  hardwareIds: readonly string[],
  client: TufClient,
  newerHere: readonly string[],
) {
  const { target: image, role } = await find(target.path, client, newerHere);
  let releaseCounter: number | undefined;
  for (const id of hardwareIds) {
    const ecu = { serial: id, hardwareId: id };
    try {
      ({ releaseCounter } = mustAgree({ ecu, target }, image));
    } catch (error) {
      throw ofTheBundle(error, newerHere);
    }
  }
  return { role, ...(releaseCounter !== undefined && { releaseCounter }) };
}

async function find(path: string, client: TufClient, newerHere: readonly string[]): Promise<FoundTarget> {
  try {
    return await client.findTarget(path);
  } catch (error) {
    if (!(error instanceof TufError) || error.code !== "no-such-target") throw ofTheBundle(error, newerHere);
    throw mixed(path, `the Image repository lists no ${path}.`, newerHere, error);
  }
}

/** An error of the metadata's, in the words that fit what was carried. */
function ofTheBundle(error: unknown, newerHere: readonly string[]): unknown {
  if (error instanceof UptaneError && error.code === "repositories-disagree")
    return mixed(error.subject, error.message, newerHere, error);
  if (!(error instanceof TufError)) return error;
  if (error.code === "mix-and-match" && newerHere.length > 0)
    return new TufError("rollback", error.subject, `${error.message} ${knownHere(newerHere)}`, {
      cause: error,
      step: error.step,
      hint: "This is an old bundle. Get the current one.",
    });
  if (error.code !== "not-in-repository") return error;
  return partial(`the ${error.subject} metadata of the Image repository`, newerHere, error);
}

function knownHere(newerHere: readonly string[]): string {
  return newerHere.length > 0 ? `This computer knows newer metadata: ${newerHere.join(", ")}.` : "";
}

async function imageOf(target: TargetFile, images: RepositoryFetch): Promise<Uint8Array> {
  const { path, length } = target;
  const bytes = await images.target(path, length);
  if (!bytes) throw partial(`the image ${path}`);
  const what = { what: `The image ${path}`, subject: path, code: "arbitrary-software" } as const;
  mustMatch(bytes, target, { ...what, step: "5.7.3" });
  return bytes;
}

function mustBeFresh(name: string, { signed }: Metadata, now: Date, step: string): void {
  if (Date.parse(signed.expires) > now.getTime()) return;
  throw new TufError(
    "freeze",
    name,
    `The ${name} metadata of the bundle expired at ${signed.expires}; it is ${now.toISOString()}.`,
    { step, hint: "This bundle may no longer be installed. Have a new one made: bootproof bundle make." },
  );
}

function partial(what: string, newerHere: readonly string[] = [], cause?: unknown): UptaneError {
  return new UptaneError(
    "partial-bundle",
    "bundle",
    `A partial bundle: it does not hold ${what}. ${knownHere(newerHere)}`.trim(),
    { cause },
  );
}

/** The two repositories say different things: an old bundle where newer metadata is known here, else a mixed one. */
function mixed(
  subject: string,
  how: string,
  newerHere: readonly string[],
  cause: unknown,
): UptaneError | TufError {
  if (newerHere.some((what) => what.includes("Image repository")))
    return new TufError("rollback", subject, `An old bundle: ${how} ${knownHere(newerHere)}`, {
      cause,
      hint: "Get the current bundle.",
    });
  return new UptaneError(
    "mixed-bundle",
    subject,
    `The parts of the bundle do not belong together: ${how.replace(/\.$/, "")}. ${knownHere(newerHere)}`.trim(),
    { cause },
  );
}
