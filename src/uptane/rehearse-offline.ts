import type { RepositoryFetch } from "../tuf/client.js";
import { TufError } from "../tuf/error.js";
import { trustRoot } from "../tuf/first-trust.js";
import { sha256Hex } from "../tuf/hashes.js";
import { parseMetadata } from "../tuf/metadata.js";
import { type TargetFile, TOP_LEVEL_ROLES } from "../tuf/metadata-types.js";
import {
  type DraftFile,
  fileBytes,
  newRepository,
  type RoleSetting,
  stageSnapshot,
} from "../tuf/repository/draft.js";
import { addTarget } from "../tuf/repository/draft-targets.js";
import {
  keyidsOf,
  memoryStore,
  type Rehearsal,
  type RehearsalOutcome,
  windowOf,
} from "../tuf/repository/rehearse.js";
import { StandIns } from "../tuf/repository/stand-ins.js";
import type { VerifySignature } from "../tuf/signatures.js";
import { draftOfflineUpdate } from "./make-offline.js";
import { OFFLINE_SNAPSHOT, OFFLINE_TARGETS } from "./offline-roles.js";
import { parseUptaneMetadata } from "./reader.js";
import { verifyOffline } from "./verify-offline.js";

/**
 * A rotation of a Director's offline roles, tried out before it is made: bundles with a stand-in update and a stand-in
 * Image repository, read as laptops without a network read them.
 */

const UPDATE = "rehearsal";
const IMAGE = new TextEncoder().encode("a stand-in for an image");
const PATH = "rehearsal.bin";
const HARDWARE = "rehearsal";

type Files = ReadonlyMap<string, Uint8Array>;

/** A bundle: the Director's half; the other is the same in all. */
interface Bundle {
  readonly director: Files;
  readonly snapshot: Uint8Array;
  readonly targets: Uint8Array;
}

/** Who signs the two files of an update: ids of keys, by role. */
type Signers = Readonly<Record<string, readonly string[]>>;

/**
 * What every kind of laptop makes of the rotation of a Director's offline role.
 *
 * @param rehearsal - the Director before and after, its roots so far, and the time
 * @returns for each kind of laptop whether it takes a bundle; signed with stand-ins for the keys
 * @throws TufRepositoryError `no-such-role` when the root has no offline roles; TufError
 */
export async function rehearseOfflineRotation(rehearsal: Rehearsal): Promise<RehearsalOutcome[]> {
  const { before, after, role } = rehearsal;
  const cast = new StandIns();
  const roots = await cast.playRoots(rehearsal.roots, after);
  const oldRoots = roots.slice(0, rehearsal.roots.length);
  const images = await standInImages(cast, rehearsal);
  const signers = (state: typeof before, own = keyidsOf(state, role)): Signers => {
    const other = role === OFFLINE_TARGETS ? OFFLINE_SNAPSHOT : OFFLINE_TARGETS;
    return { [role]: own, [other]: keyidsOf(state, other) };
  };
  const make = (withRoots: readonly DraftFile[], by: Signers, last?: Bundle) =>
    makeBundle(cast, { roots: withRoots, by, last, expires: rehearsal.expires(role), target: images.target });
  const old = await make(oldRoots, signers(before));
  const fresh = await make(roots, signers(after), old);
  const next = await make(roots, signers(after), fresh);
  const read = (client: string, given: string, wanted: boolean, bundles: readonly Bundle[]) =>
    visit({ client, given, wanted, bundles, images, first: roots[0]!, rehearsal });
  const outcomes = [
    await read("a laptop that knows the last bundle", "the first bundle after the rotation", true, [
      old,
      fresh,
    ]),
    await read("a laptop that begins with root 1", "the first bundle after the rotation", true, [fresh]),
    await read(
      "a laptop after the rotation",
      `the next bundle, its ${role} signed by the keys that stay and the new ones`,
      true,
      [fresh, next],
    ),
  ];
  const removed = keyidsOf(before, role).filter((id) => !keyidsOf(after, role).includes(id));
  if (removed.length === 0) return outcomes;
  const byRemoved = `its ${role} signed by the removed key`;
  const carried = await make(oldRoots, signers(before, removed), old);
  outcomes.push(
    await read("a laptop after the rotation", `a newer bundle, ${byRemoved}`, false, [
      fresh,
      await make(roots, signers(after, removed), fresh),
    ]),
    await read("a laptop after the rotation", `a bundle from before the rotation, ${byRemoved}`, false, [
      fresh,
      carried,
    ]),
  );
  const kept = await read(
    "a laptop that is kept from new bundles",
    `a newer bundle with the old roots, ${byRemoved}`,
    false,
    [old, carried],
  );
  outcomes.push(
    kept.accepted ? { ...kept, outcome: `${kept.outcome}; ${windowOf(before, role, true)}` } : kept,
  );
  return outcomes;
}

async function makeBundle(
  cast: StandIns,
  {
    roots,
    by,
    last,
    expires,
    target,
  }: {
    roots: readonly DraftFile[];
    by: Signers;
    last: Bundle | undefined;
    expires: string;
    target: TargetFile;
  },
): Promise<Bundle> {
  const choices = [{ target, hardwareIds: [HARDWARE] }];
  const before = { snapshot: last?.snapshot, targets: last?.targets };
  const draft = draftOfflineUpdate({ name: UPDATE, choices, before, expires });
  const sign = async (file: DraftFile, role: string) =>
    fileBytes(await cast.signFile(file, new Set(by[role])));
  const targets = await sign(draft.targets, OFFLINE_TARGETS);
  const snapshot = await sign(draft.snapshot, OFFLINE_SNAPSHOT);
  const director = new Map(rootFiles(roots))
    .set(`${OFFLINE_SNAPSHOT}.json`, snapshot)
    .set(`${UPDATE}.json`, targets);
  return { director, targets, snapshot };
}

const rootFiles = (roots: readonly DraftFile[]): [string, Uint8Array][] =>
  roots.map((root, index) => [`${index + 1}.root.json`, fileBytes(root)]);

interface StandInImages {
  readonly files: Files;
  readonly root: Uint8Array;
  readonly target: TargetFile;
}

/** An Image repository that lists the one image. */
async function standInImages(cast: StandIns, { expires }: Rehearsal): Promise<StandInImages> {
  const key = await cast.named("image repository");
  const setting: RoleSetting = { keys: [key], threshold: 1 };
  const roles = Object.fromEntries(TOP_LEVEL_ROLES.map((role) => [role, setting])) as Record<
    (typeof TOP_LEVEL_ROLES)[number],
    RoleSetting
  >;
  const entry = {
    path: PATH,
    length: IMAGE.length,
    sha256: sha256Hex(IMAGE),
    custom: { hardwareIds: [HARDWARE] },
  };
  const state = stageSnapshot(
    addTarget(newRepository(roles, expires), "targets", entry, expires),
    expires,
    false,
  );
  const files = new Map<string, Uint8Array>();
  for (const role of ["root", "snapshot", "targets"]) {
    const signed = await cast.signFile(state.staged.get(role)!, new Set([key.id]));
    files.set(role === "root" ? "1.root.json" : `${role}.json`, fileBytes(signed));
  }
  const { signed } = parseMetadata("targets", files.get("targets.json")!);
  return { files, root: files.get("1.root.json")!, target: signed.targets.get(PATH)! };
}

interface Visit {
  readonly client: string;
  readonly given: string;
  readonly wanted: boolean;
  /** What the laptop is brought, one after the other. */
  readonly bundles: readonly Bundle[];
  readonly images: StandInImages;
  readonly first: DraftFile;
  readonly rehearsal: Pick<Rehearsal, "now" | "verify">;
}

async function visit({ client, given, wanted, bundles, images, first, rehearsal }: Visit) {
  const attempt = { client, given, wanted };
  const { now, verify } = rehearsal;
  const stores = { director: memoryStore(), images: memoryStore() };
  await trust(fileBytes(first), stores.director, verify);
  await trust(images.root, stores.images, verify);
  let outcome = "";
  for (const [index, bundle] of bundles.entries()) {
    try {
      const { versions } = await verifyOffline({
        director: fetchOf(bundle.director),
        images: fetchOf(images.files),
        stores,
        now,
        verify,
      });
      const roles = ["root", OFFLINE_SNAPSHOT, UPDATE];
      outcome = roles.map((role) => `${role} ${versions[`director ${role}`] ?? "-"}`).join(", ");
    } catch (error) {
      if (!(error instanceof TufError) || index < bundles.length - 1) throw error;
      return { ...attempt, accepted: false, outcome: error.message, ...(error.step && { step: error.step }) };
    }
  }
  return { ...attempt, accepted: true, outcome };
}

function trust(root: Uint8Array, store: ReturnType<typeof memoryStore>, verify: VerifySignature) {
  return trustRoot(root, store, { verify, parse: parseUptaneMetadata });
}

/** As in a bundle, only roots carry their version in their name. */
const fetchOf = (files: Files): RepositoryFetch => ({
  metadata: async (name) => files.get(name) ?? files.get(name.replace(/^\d+\./, "")),
  target: async (path) => (path === PATH ? IMAGE : undefined),
});
