import { existsSync } from "node:fs";
import { join } from "node:path";
import { useOpenssl } from "../../crypto-node/openssl.js";
import type { VouchedTarget } from "../../sources/tuf.js";
import { TufError } from "../../tuf/error.js";
import { trustRoot } from "../../tuf/first-trust.js";
import { mustMatch } from "../../tuf/hashes.js";
import { type TimeFloor, type TrustedTime, trustedTime } from "../../tuf/trusted-time.js";
import { FileStore } from "../../tuf-store/file-store.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import { UptaneError } from "../../uptane/error.js";
import { parseUptaneMetadata } from "../../uptane/reader.js";
import { type OfflineDirections, verifyOffline } from "../../uptane/verify-offline.js";
import { type BundleFiles, halfOf, imagePathsOf, openBundle } from "../../uptane-store/bundle-files.js";
import { openOfflineStores } from "../../uptane-store/offline-stores.js";
import { rememberFromVehicle } from "../../uptane-store/vehicle-memory.js";
import { VehicleState } from "../../uptane-store/vehicle-state.js";
import { recordSourceRefusal } from "../audit/source-refusal.js";
import { FileError, readAs } from "../files.js";
import { vehicleIn } from "../many-boards/choose-boards.js";
import { printable } from "../output.js";
import { tufStores, uptaneStores } from "../state-folders.js";
import { placeOf, timeFacts } from "../tuf/repository-place.js";
import { timeFloors } from "../tuf/time-floors.js";
import { vehicleFolder } from "../uptane/vehicle-folder.js";
import type { Context } from "../verb-context.js";

/** Whom to trust about a bundle, and which of its updates is meant. */
export interface BundleTrustOptions {
  directorRoot?: string;
  imagesRoot?: string;
  images?: string;
  update?: string;
  /** A board file: what the vehicle that it names has seen counts as well. */
  boards?: string | undefined;
}

/** A bundle that was verified in full. */
export interface VerifiedBundle {
  readonly directions: OfflineDirections;
  readonly time: TrustedTime;
  /** Hash of the Director's first root, hex. */
  readonly director: string;
}

/** Longer than any verification takes. */
const WAIT_MS = 120_000;

/**
 * Opens a bundle and verifies all of it. What is new and good is stored; whoever comes later with older metadata is refused.
 *
 * @throws UptaneError, TufError, FileError, TufStoreError
 */
export function verifyBundle(
  place: string,
  options: BundleTrustOptions,
  context: Context,
): Promise<VerifiedBundle> {
  return verifyAll(place, options, context).catch(recordSourceRefusal);
}

async function verifyAll(
  place: string,
  options: BundleTrustOptions,
  context: Context,
): Promise<VerifiedBundle> {
  useOpenssl();
  const files = openFiles(place);
  const { id, director, images: own } = openOfflineStores(join(uptaneStores(), "offline"), files);
  const images =
    options.images === undefined
      ? own
      : new FileStore(join(tufStores(), placeOf(options.images, context.config).name));
  const vehicle = options.boards === undefined ? undefined : await knownVehicle(options.boards);
  const time = trustedTime(new Date(), [
    ...(await timeFloors(context.out)),
    ...[director, images, ...Object.values(vehicle?.stores ?? {})]
      .map((store) => store.readLatestTime())
      .filter((floor) => floor !== undefined),
  ] satisfies TimeFloor[]);
  if (vehicle) {
    const { stores, id: vin } = vehicle;
    const same = [
      await rememberFromVehicle(
        { half: "director", vehicle: stores.director, own: director },
        files,
        time.now,
      ),
      await rememberFromVehicle({ half: "imageRepo", vehicle: stores.images, own: images }, files, time.now),
    ];
    for (const [index, what] of ["Director", "Image repository"].entries())
      if (!same[index])
        context.out.note(
          `The vehicle ${printable(vin)} does not know the ${what} of this bundle: its stored metadata is not compared.`,
        );
  }
  await mustTrust(director, options.directorRoot, "--director-root", `the Director of ${place}`);
  await mustTrust(images, options.imagesRoot, "--images-root", `the Image repository of ${place}`);
  if (time.clockBehindMs !== undefined)
    context.out.warn(
      `This computer's clock is behind: by the ${time.source} it is at least ${time.now.toISOString()}. That time is used.`,
    );
  const directions = await director.alone(WAIT_MS, () =>
    images.alone(WAIT_MS, async () => {
      const verified = await verifyOffline({
        director: halfOf(files, "director"),
        images: halfOf(files, "imageRepo"),
        stores: { director, images },
        now: time.now,
        verify: verifyNatively,
        name: options.update,
        paths: imagePathsOf(files),
      });
      for (const store of [director, images]) store.writeLatestTime(time.now);
      return verified;
    }),
  );
  for (const what of directions.newerHere)
    context.out.note(`This computer has newer metadata than the bundle, and uses it: ${printable(what)}`);
  return { directions, time, director: id };
}

/** What this computer keeps of the vehicle of a board file, if it is one and was ever verified here. */
async function knownVehicle(file: string) {
  const entry = await vehicleIn(file);
  if (!entry || !existsSync(vehicleFolder(entry.id))) return undefined;
  const state = new VehicleState(vehicleFolder(entry.id));
  const stores = {
    director: state.store(entry.primary, "director"),
    images: state.store(entry.primary, "images"),
  };
  return { id: entry.id, stores };
}

function openFiles(place: string): BundleFiles {
  if (!existsSync(place))
    throw new FileError("file-missing", place, `There is no bundle ${place}.`, {
      hint: `Check the spelling and the folder: ${process.cwd()}`,
    });
  try {
    return openBundle(place);
  } catch (cause) {
    if (!(cause instanceof Error && "syscall" in cause)) throw cause;
    throw new FileError("file-unreadable", place, `Cannot read ${place}: ${cause.message}.`, {
      cause,
      hint: "May you read it, and is the stick still plugged in?",
    });
  }
}

async function mustTrust(
  store: FileStore,
  root: string | undefined,
  option: string,
  whose: string,
): Promise<void> {
  if ((await store.read("root")) !== undefined) return;
  if (root === undefined)
    throw new TufError("no-trusted-root", "root", `No root is trusted for ${whose} yet.`, {
      hint: `Name the root file that you got from the owner, separately from the bundle: ${option} FILE.`,
    });
  await readAs(root, (bytes) =>
    trustRoot(bytes, store, { verify: verifyNatively, parse: parseUptaneMetadata }),
  );
}

/** The one image of a bundle for some hardware, as a source of an update. */
export async function findCarried(
  place: string,
  hardwareId: string,
  options: BundleTrustOptions,
  context: Context,
): Promise<VouchedTarget & { path: string }> {
  const { directions, time, director } = await verifyBundle(place, options, context);
  const image = directions.images.find(({ hardwareIds }) => hardwareIds.includes(hardwareId));
  if (!image) {
    const there = directions.images.flatMap(({ hardwareIds }) => hardwareIds).join(", ");
    throw new UptaneError(
      "wrong-hardware-id",
      hardwareId,
      `The update ${directions.name} has nothing for the hardware ${hardwareId}; it is for ${there || "none"}.`,
    );
  }
  const { target, role, releaseCounter, bytes } = image;
  const what = { what: "the file", subject: target.path, code: "arbitrary-software", step: "5.7.3" } as const;
  return {
    path: target.path,
    role,
    length: target.length,
    ...(target.custom && { custom: target.custom }),
    time: timeFacts(time),
    release: {
      metadata: { by: director, versions: directions.versions },
      ...(releaseCounter !== undefined && { release: releaseCounter }),
    },
    download: async () => bytes,
    compare(other) {
      try {
        mustMatch(other, target, what);
        return undefined;
      } catch (error) {
        if (error instanceof TufError) return error.message;
        throw error;
      }
    },
  };
}
