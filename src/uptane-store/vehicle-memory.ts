import { TufClient } from "../tuf/client.js";
import { TufError } from "../tuf/error.js";
import { trustRoot } from "../tuf/first-trust.js";
import type { FileStore } from "../tuf-store/file-store.js";
import { verifyNatively } from "../tuf-store/native-signatures.js";
import { parseUptaneMetadata } from "../uptane/reader.js";
import { uptaneDialect } from "../uptane/verify.js";
import { BUNDLE_PARTS, type BundleFiles } from "./bundle-files.js";
import { storeFetch } from "./store-fetch.js";

/** One of a bundle's two repositories, as a vehicle and as this computer know it. */
export interface KnownTwice {
  readonly half: "director" | "imageRepo";
  /** What the vehicle's Primary has verified. */
  readonly vehicle: FileStore;
  /** What counts against the bundle. */
  readonly own: FileStore;
}

/**
 * Lets what a vehicle's Primary has seen count against a bundle: its metadata is verified again, and kept where it is newer.
 * The repository must be the same: the vehicle trusts a root that the bundle holds too.
 *
 * @param known - the repository's half of the bundle, and its two memories
 * @param bundle - its files, read and not verified yet
 * @param now - what has expired by then is not taken over
 * @returns false when the vehicle knows another repository, or none
 * @throws TufError for a root of the vehicle's that cannot be read; TufStoreError
 */
export async function rememberFromVehicle(
  { half, vehicle, own }: KnownTwice,
  bundle: BundleFiles,
  now: Date,
): Promise<boolean> {
  const first = vehicle.firstRoot();
  if (!first) return false;
  const { version } = parseUptaneMetadata("root", first, "root").signed;
  const carried = bundle.read(`${BUNDLE_PARTS[half]}/${version}.root.json`);
  if (!carried || Buffer.compare(carried, first) !== 0) return false;
  if ((await own.read("root")) === undefined)
    await trustRoot(first, own, { verify: verifyNatively, parse: parseUptaneMetadata });
  const client = new TufClient({
    fetch: storeFetch(vehicle),
    store: own,
    now,
    verify: verifyNatively,
    dialect: { ...uptaneDialect(), isCarried: true },
  });
  try {
    if (half === "director") await client.refreshRoot();
    else await client.refresh();
  } catch (error) {
    // What has expired, or is older than what is known here, adds nothing; what was verified before it stays.
    if (!(error instanceof TufError)) throw error;
  }
  return true;
}
