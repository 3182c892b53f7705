import { type MetadataStore, type RepositoryFetch, TufClient } from "../client.js";
import { TufError } from "../error.js";
import { metadataFileName } from "../file-names.js";
import { trustRoot } from "../first-trust.js";
import type { VerifySignature } from "../signatures.js";
import { type DraftFile, type ExpiresFor, fileBytes, isInRoot, type RepositoryState } from "./draft.js";
import { completeStage, filesToPublish, published, trustsFor } from "./publish.js";
import { StandIns } from "./stand-ins.js";

/**
 * A rotation tried out before it is made. Every key of the repository gets a stand-in of the same id, and real clients
 * read the repository that the stand-ins signed: no real key is needed, and nothing is written.
 */

export interface RehearsalOutcome {
  /** Who reads. */
  readonly client: string;
  /** What it is given. */
  readonly given: string;
  readonly accepted: boolean;
  /** Should it be accepted? */
  readonly wanted: boolean;
  /** The versions that are trusted afterwards, or why nothing was taken. */
  readonly outcome: string;
  /** Section of the specification whose check refused. */
  readonly step?: string;
}

export interface Rehearsal {
  /** Every published root, oldest first. */
  readonly roots: readonly DraftFile[];
  readonly before: RepositoryState;
  /** With the rotation staged. */
  readonly after: RepositoryState;
  readonly role: string;
  readonly now: Date;
  readonly expires: ExpiresFor;
  readonly verify: VerifySignature;
}

type Files = ReadonlyMap<string, Uint8Array>;

/**
 * What every kind of client makes of the rotation of a role that TUF knows.
 *
 * @param rehearsal - the repository before and after, the roots so far, and the time
 * @returns for each kind of client whether it takes the new metadata; signed with stand-ins for the keys
 */
export async function rehearseRotation(rehearsal: Rehearsal): Promise<RehearsalOutcome[]> {
  const cast = new StandIns();
  const { before, after, role, expires, verify, now } = rehearsal;
  const roots = await cast.playRoots(rehearsal.roots, after);
  const rotated = roots.length > rehearsal.roots.length;
  const oldState = await cast.play(before, rehearsal.roots.length, roots);
  const staged = await completeStage(await cast.play(after, roots.length, roots), expires, verify);
  const newState = published(await cast.sign(staged));
  const oldFiles = filesOf(oldState, roots.slice(0, rehearsal.roots.length));
  const newFiles = filesOf(newState, roots);

  const removed = keyidsOf(before, role).filter((id) => !keyidsOf(after, role).includes(id));
  const read = (client: string, given: string, wanted: boolean, visits: readonly Files[]) =>
    visit({ client, given, wanted, first: roots[0]!, visits, now, verify });
  const outcomes = [
    await read("a client that is up to date", "the repository after the rotation", true, [
      oldFiles,
      newFiles,
    ]),
    await read("a client that begins with root 1", "the repository after the rotation", true, [newFiles]),
  ];
  const byNew = filesOf(await cast.signNext(newState, role, keyidsOf(after, role), rehearsal), roots);
  outcomes.push(
    await read(
      "a client after the rotation",
      `the next ${role}, signed by the keys that stay and the new ones`,
      true,
      [newFiles, byNew],
    ),
  );
  if (removed.length === 0) return outcomes;
  const byRemoved = filesOf(await cast.signNext(newState, role, removed, rehearsal), roots);
  outcomes.push(
    await read("a client after the rotation", `a newer ${role}, signed by the removed key`, false, [
      newFiles,
      byRemoved,
    ]),
  );
  const oldByRemoved = filesOf(
    await cast.signNext(oldState, role, removed, rehearsal),
    roots.slice(0, rehearsal.roots.length),
  );
  const kept = await read(
    "a client from which the new metadata is withheld",
    `a newer ${role}, signed by the removed key`,
    false,
    [oldFiles, oldByRemoved],
  );
  outcomes.push(
    kept.accepted ? { ...kept, outcome: `${kept.outcome}; ${windowOf(before, role, rotated)}` } : kept,
  );
  return outcomes;
}

/** How long a removed key can still do harm where the rotation does not arrive. */
export function windowOf({ published: files }: RepositoryState, role: string, rotated: boolean): string {
  const holder = isInRoot(role) || rotated ? "root" : "targets";
  const expires = files.get(holder)?.signed.expires as string | undefined;
  return `this lasts until the rotation arrives, and at most until the old ${holder} expires at ${expires ?? "-"}`;
}

/** Ids of the keys that count for a role. */
export function keyidsOf(state: RepositoryState, role: string): readonly string[] {
  return trustsFor(state, role).at(-1)!.trust.keyids;
}

/** What a server would serve. */
function filesOf(state: RepositoryState, roots: readonly DraftFile[]): Files {
  const files = new Map<string, Uint8Array>();
  for (const root of roots)
    files.set(metadataFileName("root", root.signed.version as number), fileBytes(root));
  for (const { role, version, bytes } of filesToPublish({ published: new Map(), staged: state.published }))
    files.set(metadataFileName(role, role === "timestamp" ? undefined : version), bytes);
  return files;
}

interface Visit {
  readonly client: string;
  readonly given: string;
  readonly wanted: boolean;
  readonly first: DraftFile;
  /** What the client finds, one time after the other. */
  readonly visits: readonly Files[];
  readonly now: Date;
  readonly verify: VerifySignature;
}

async function visit({
  client,
  given,
  wanted,
  first,
  visits,
  now,
  verify,
}: Visit): Promise<RehearsalOutcome> {
  const store = memoryStore();
  const attempt = { client, given, wanted };
  await trustRoot(fileBytes(first), store, { verify });
  let versions = "";
  for (const [index, files] of visits.entries()) {
    const fetch: RepositoryFetch = {
      metadata: async (name) => files.get(name),
      target: async () => undefined,
    };
    try {
      const tuf = new TufClient({ fetch, store, now, verify });
      const trusted = await tuf.refresh();
      for (const role of trusted.targets()!.signed.delegations?.roles ?? []) {
        // Delegated roles are read when a target is looked for; here all are.
        const bytes = files.get(metadataFileName(role.name, trusted.listedTargets(role.name).version));
        if (bytes)
          await trusted.updateTargets(bytes, role.name, {
            name: "targets",
            signed: trusted.targets()!.signed,
          });
      }
      versions = versionsOf(trusted);
    } catch (error) {
      if (!(error instanceof TufError) || index < visits.length - 1) throw error;
      return { ...attempt, accepted: false, outcome: error.message, ...(error.step && { step: error.step }) };
    }
  }
  return { ...attempt, accepted: true, outcome: versions };
}

function versionsOf({
  root,
  timestamp,
  snapshot,
  allTargets,
}: Awaited<ReturnType<TufClient["refresh"]>>): string {
  const rest = allTargets.map(({ role, metadata }) => `${role} ${metadata.signed.version}`).join(", ");
  return `root ${root.signed.version}, timestamp ${timestamp!.signed.version}, snapshot ${snapshot!.signed.version}, ${rest}`;
}

/**
 * A store that lasts as long as it is held.
 *
 * @returns empty
 */
export function memoryStore(): MetadataStore {
  const files = new Map<string, Uint8Array>();
  return {
    read: async (role) => files.get(role),
    write: async (role, bytes) => void files.set(role, bytes),
    remove: async (role) => void files.delete(role),
    readRoot: async (version) => files.get(`${version}.root`),
    writeRoot: async (version, bytes) => void files.set(`${version}.root`, bytes),
  };
}
