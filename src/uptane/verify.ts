import type { RepositoryFetch, TufClient, TufDialect, TufLimits } from "../tuf/client.js";
import { TufError } from "../tuf/error.js";
import { metadataFileName } from "../tuf/file-names.js";
import type { RootSigned } from "../tuf/metadata-types.js";
import { type Assignment, readAssignments, type Vehicle } from "./director.js";
import { UptaneError } from "./error.js";
import { type Match, mustAgree } from "./match.js";
import { canonicalFile, definesTargetsAlone, parseUptaneMetadata } from "./reader.js";

/** How far the metadata is checked: all of both repositories, or the Director's root and targets alone. */
export type Extent = "full" | "partial";

/**
 * How a TUF client reads an Uptane repository. A timestamp of the same version and another content is taken: Uptane
 * forbids lower versions only. Lengths and hashes of metadata may be those of its canonical form, as
 * aktualizr's servers list them.
 *
 * @param extent - `partial` reads root and targets alone
 * @returns to be given to a TUF client
 */
export function uptaneDialect(extent: Extent = "full"): TufDialect {
  return {
    parse: parseUptaneMetadata,
    hashedForm: canonicalFile,
    hasTargetsAlone: extent === "partial" ? () => true : (root: RootSigned) => definesTargetsAlone(root),
    takesEqualVersions: true,
  };
}

/** Bounds for the Director's files: one vehicle's directions are short. */
export const DIRECTOR_LIMITS: Partial<TufLimits> = { root: 65_536, snapshot: 65_536, targets: 65_536 };
/** Bounds for the Image repository's. */
export const IMAGE_LIMITS: Partial<TufLimits> = { targets: 8_388_608 };

/**
 * The same repository with delegated roles looked for in `delegations/` too, where aktualizr's servers keep them.
 *
 * @param fetch - reads the repository
 * @returns reads it in both places
 */
export function withDelegationsFolder(fetch: RepositoryFetch): RepositoryFetch {
  return {
    metadata: async (name, maxLength) =>
      (await fetch.metadata(name, maxLength)) ??
      (isTopLevel(name) ? undefined : fetch.metadata(`delegations/${name}`, maxLength)),
    target: (path, maxLength) => fetch.target(path, maxLength),
  };
}

/**
 * The same repository for partial verification, which asks for `targets.json`. Where files carry their version in their
 * name, the newest one's is what timestamp and snapshot say. They are not verified: they lead to the file, and the file is
 * checked as ever.
 *
 * @param fetch - of a Director
 * @returns a fetch that finds `targets.json` in both layouts
 * @throws TufError `bad-metadata` from its `metadata`, for a timestamp or snapshot that cannot be read
 */
export function withNewestTargets(fetch: RepositoryFetch): RepositoryFetch {
  const newest = async (maxLength: number) => {
    const timestamp = await fetch.metadata("timestamp.json", maxLength);
    if (!timestamp) return undefined;
    const { snapshot } = parseUptaneMetadata("timestamp", timestamp, "timestamp").signed;
    const bytes = await fetch.metadata(metadataFileName("snapshot", snapshot.version), maxLength);
    const listed =
      bytes && parseUptaneMetadata("snapshot", bytes, "snapshot").signed.meta.get("targets.json");
    return listed && fetch.metadata(metadataFileName("targets", listed.version), maxLength);
  };
  return {
    metadata: async (name, maxLength) =>
      (await fetch.metadata(name, maxLength)) ??
      (name === metadataFileName("targets") ? newest(maxLength) : undefined),
    target: (path, maxLength) => fetch.target(path, maxLength),
  };
}

function isTopLevel(name: string): boolean {
  return /^(?:\d+\.)?(?:root|timestamp|snapshot|targets)\.json$/.test(name);
}

/** An assignment that both repositories vouch for. */
export interface DirectedImage extends Assignment, Match {
  /** The role of the Image repository that lists it. */
  readonly role: string;
}

/** What may be installed, and how it was found out. */
export interface Directions<A extends Assignment = Assignment> {
  readonly assignments: readonly A[];
  /** Were the Director's timestamp and snapshot checked, or has it none? */
  readonly directorRoles: readonly string[];
}

/**
 * Full verification, which a Primary owes its vehicle: the Director's metadata, then the Image repository's with its
 * delegations for each directed image, then that the two agree. The Image repository is not asked when nothing is
 * directed.
 *
 * Expiry forbids to begin an installation, and so to come through here; what was begun may be finished and reported.
 *
 * Source: Uptane Standard 2.1.0, section 5.4
 *
 * @param clients - made with {@link uptaneDialect}; nothing of them is refreshed yet
 * @param vehicle - its id, and its ECUs with their hardware
 * @returns what the Director directs, each with the target that the Image repository vouches for
 * @throws TufError for metadata, UptaneError for directions
 */
export async function verifyInFull(
  { director, images }: { director: TufClient; images: TufClient },
  vehicle: Vehicle,
): Promise<Directions<DirectedImage>> {
  const { assignments, directorRoles } = await verifyInPart(director, vehicle);
  if (assignments.length === 0) return { assignments: [], directorRoles };
  await images.refresh();
  const directed: DirectedImage[] = [];
  for (const assignment of assignments) directed.push(await vouchedFor(assignment, images));
  return { assignments: directed, directorRoles };
}

/**
 * Partial verification, the least for a Secondary: what the Director says, and nothing of the Image repository. Whoever
 * holds the Director's key can then install anything that the image's own signature allows. With a client for `partial`,
 * nothing but root and targets is looked at.
 *
 * @param director - made with {@link uptaneDialect}; nothing of it is refreshed yet
 * @param vehicle - its id, and its ECUs with their hardware
 * @returns what the Director directs
 * @throws TufError, UptaneError
 */
export async function verifyInPart(director: TufClient, vehicle: Vehicle): Promise<Directions> {
  const trusted = await director.refresh();
  const directorRoles = trusted.timestamp
    ? ["root", "timestamp", "snapshot", "targets"]
    : ["root", "targets"];
  return { assignments: readAssignments(trusted.targets()!, vehicle), directorRoles };
}

async function vouchedFor(assignment: Assignment, images: TufClient): Promise<DirectedImage> {
  const { path } = assignment.target;
  try {
    const { target, role } = await images.findTarget(path);
    return { ...assignment, ...mustAgree(assignment, target), role };
  } catch (cause) {
    if (!(cause instanceof TufError) || cause.code !== "no-such-target") throw cause;
    throw new UptaneError(
      "repositories-disagree",
      path,
      `The Director directs ECU ${assignment.ecu.serial} to ${path}; the Image repository lists no such image.`,
      { cause },
    );
  }
}
