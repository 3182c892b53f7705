import { type RepositoryFetch, TufClient, type TufEvent } from "../tuf/client.js";
import { TufError } from "../tuf/error.js";
import { trustRoot } from "../tuf/first-trust.js";
import { mustMatch } from "../tuf/hashes.js";
import type { TrustedMetadata } from "../tuf/trusted-metadata.js";
import { type TimeFloor, type TrustedTime, trustedTime } from "../tuf/trusted-time.js";
import type { FileStore } from "../tuf-store/file-store.js";
import { verifyNatively } from "../tuf-store/native-signatures.js";
import type { Ecu } from "../uptane/director.js";
import { UptaneError } from "../uptane/error.js";
import { parseUptaneMetadata } from "../uptane/reader.js";
import {
  DIRECTOR_LIMITS,
  type DirectedImage,
  IMAGE_LIMITS,
  uptaneDialect,
  verifyInFull,
} from "../uptane/verify.js";
import { storeFetch } from "./store-fetch.js";
import type { VehicleState } from "./vehicle-state.js";

/** The vehicle whose Primary this bench is. */
export interface VehicleFacts {
  readonly id: string;
  /** Serial of the Primary. */
  readonly primary: string;
  readonly ecus: readonly Pick<Ecu, "serial" | "hardwareId">[];
}

export interface PrimaryOptions {
  readonly director: RepositoryFetch;
  readonly images: RepositoryFetch;
  readonly clock: Date;
  /** Moments that are known to have passed, besides those of the stores. */
  readonly floors?: readonly TimeFloor[];
  /** Roots to trust the first time. */
  readonly roots?: { readonly director?: Uint8Array | undefined; readonly images?: Uint8Array | undefined };
  readonly onEvent?: (event: TufEvent) => void;
}

/** An image for one board, verified by the Primary and again for the board. */
export interface VerifiedImage {
  readonly serial: string;
  readonly directed: DirectedImage;
  readonly bytes: Uint8Array;
}

export interface VerifiedDirections {
  readonly images: readonly VerifiedImage[];
  readonly time: TrustedTime;
  readonly directorRoles: readonly string[];
  /** Versions of all metadata, as the ratchet remembers them. */
  readonly versions: Readonly<Record<string, number>>;
  /** What could not be verified for one board alone: serial -> why. */
  readonly refused: ReadonlyMap<string, Error>;
}

/**
 * The duties of a Primary towards its vehicle: full verification, then the images, then full verification again for each
 * board with that board's own memory of metadata. A board whose own verification fails is refused by itself.
 *
 * Source: Uptane Standard 2.1.0, section 5.4.2
 *
 * @param vehicle - its id, its Primary and its ECUs
 * @param state - of the vehicle on this host
 * @param options - how both repositories are read, roots to begin with, and the time
 * @returns the verified images of the ECUs, and which boards refuse theirs and why
 * @throws TufError, UptaneError when nothing may be installed on any board
 */
export async function verifyForVehicle(
  vehicle: VehicleFacts,
  state: VehicleState,
  options: PrimaryOptions,
): Promise<VerifiedDirections> {
  const { director: fetchDirector, images: fetchImages, onEvent, roots = {} } = options;
  const stores = {
    director: state.store(vehicle.primary, "director"),
    images: state.store(vehicle.primary, "images"),
  };
  await mustTrust(stores.director, roots.director, "the Director");
  await mustTrust(stores.images, roots.images, "the Image repository");
  const time = trustedTime(options.clock, [
    ...(options.floors ?? []),
    ...Object.values(stores).flatMap((store) => store.readLatestTime() ?? []),
  ]);
  const { now } = time;
  const whole = { id: vehicle.id, ecus: vehicle.ecus.map((ecu) => withCounter(ecu, state)) };
  const ways = { director: fetchDirector, images: fetchImages };
  const clients = clientsFor(ways, stores, now, onEvent);
  const found = await verifyInFull(clients, whole);
  for (const store of Object.values(stores)) store.writeLatestTime(now);
  const versions = versionsOf(clients.director.trusted, "director");
  if (found.assignments.length > 0) Object.assign(versions, versionsOf(clients.images.trusted, "images"));
  const images: VerifiedImage[] = [];
  const refused = new Map<string, Error>();
  const forBoards = { director: storeFetch(stores.director), images: storeFetch(stores.images) };
  for (const directed of found.assignments) {
    const { serial } = directed.ecu;
    const bytes = await download(directed, clients.images);
    try {
      const own = await verifyForEcu(serial, { state, whole, now, ways: forBoards, from: stores });
      mustMatch(bytes, own.target, imageOf(own));
      images.push({ serial, directed: own, bytes });
    } catch (error) {
      if (!(error instanceof TufError || error instanceof UptaneError)) throw error;
      refused.set(serial, error);
    }
  }
  return { images, time, directorRoles: found.directorRoles, versions, refused };
}

/** The same again for one board, by what the Primary has stored and with a memory of the board's own. */
async function verifyForEcu(
  serial: string,
  {
    state,
    whole,
    now,
    ways,
    from,
  }: {
    state: VehicleState;
    whole: { id: string; ecus: readonly Ecu[] };
    now: Date;
    ways: { director: RepositoryFetch; images: RepositoryFetch };
    from: { director: FileStore; images: FileStore };
  },
): Promise<DirectedImage> {
  const stores = { director: state.store(serial, "director"), images: state.store(serial, "images") };
  for (const half of ["director", "images"] as const)
    await mustTrust(stores[half], from[half].firstRoot(), `the ${half} of ${serial}`);
  const { assignments } = await verifyInFull(clientsFor(ways, stores, now), whole);
  const own = assignments.find(({ ecu }) => ecu.serial === serial);
  if (own) return own;
  throw new UptaneError("bad-assignment", serial, `Nothing is directed to ECU ${serial} any more.`);
}

function clientsFor(
  ways: { director: RepositoryFetch; images: RepositoryFetch },
  stores: { director: FileStore; images: FileStore },
  now: Date,
  onEvent?: (event: TufEvent) => void,
) {
  const client = (half: "director" | "images") =>
    new TufClient({
      fetch: ways[half],
      store: stores[half],
      now,
      verify: verifyNatively,
      dialect: uptaneDialect(),
      limits: half === "director" ? DIRECTOR_LIMITS : IMAGE_LIMITS,
      ...(onEvent && { onEvent }),
    });
  return { director: client("director"), images: client("images") };
}

function withCounter(ecu: Pick<Ecu, "serial" | "hardwareId">, state: VehicleState): Ecu {
  return { ...ecu, releaseCounter: state.ecu(ecu.serial).installed?.releaseCounter };
}

async function download(directed: DirectedImage, images: TufClient): Promise<Uint8Array> {
  const { target, role } = await images.findTarget(directed.target.path);
  const bytes = await images.download({ target, role });
  // The two repositories may list different kinds of hashes; every one of them must fit.
  mustMatch(bytes, directed.target, imageOf(directed));
  return bytes;
}

const imageOf = ({ target }: DirectedImage) =>
  ({
    what: `The image ${target.path}`,
    subject: target.path,
    code: "arbitrary-software",
    step: "5.7.3",
  }) as const;

async function mustTrust(store: FileStore, root: Uint8Array | undefined, whose: string): Promise<void> {
  if ((await store.read("root")) !== undefined) return;
  if (!root)
    throw new TufError("no-trusted-root", "root", `No root of ${whose} is trusted for this vehicle yet.`, {
      hint: "Name it in the board file: director-root and images-root of the vehicle.",
    });
  await trustRoot(root, store, { verify: verifyNatively, parse: parseUptaneMetadata });
}

function versionsOf(
  { root, timestamp, snapshot, allTargets }: TrustedMetadata,
  half: "director" | "images",
): Record<string, number> {
  const files = [
    ["root", root],
    ["timestamp", timestamp],
    ["snapshot", snapshot],
    ...allTargets.map(({ role, metadata }) => [role, metadata] as const),
  ] as const;
  return Object.fromEntries(
    files.flatMap(([role, file]) => (file ? [[`${half} ${role}`, file.signed.version]] : [])),
  );
}
