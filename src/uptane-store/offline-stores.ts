import { join } from "node:path";
import { sha256Hex } from "../tuf/hashes.js";
import { FileStore } from "../tuf-store/file-store.js";
import { BUNDLE_PARTS, type BundleFiles } from "./bundle-files.js";

/** What is trusted of the two repositories of a bundle. */
export interface OfflineStores {
  /** Hash of the Director's first root, hex: what tells this Director from all others. */
  readonly id: string;
  readonly director: FileStore;
  readonly images: FileStore;
}

/**
 * The folders in which the trust in a bundle's repositories is kept. A bundle holds all roots of its Director, and the
 * first never changes: whoever trusts one bundle of a Director knows the next one by it.
 *
 * @param folder - holds a folder for each Director
 * @param bundle - by `openBundle`
 * @returns one store for each of the two repositories, and the Director's id
 * @throws TufStoreError
 */
export function openOfflineStores(folder: string, bundle: BundleFiles): OfflineStores {
  const id = sha256Hex(bundle.read(`${BUNDLE_PARTS.director}/1.root.json`)!);
  const own = join(folder, id.slice(0, 32));
  return { id, director: new FileStore(join(own, "director")), images: new FileStore(join(own, "images")) };
}
