import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import {
  type RepositoryFetch,
  TufClient,
  type TufDialect,
  type TufEvent,
  type TufLimits,
} from "../tuf/client.js";
import { type TimeFloor, type TrustedTime, trustedTime } from "../tuf/trusted-time.js";
import { FileStore } from "./file-store.js";
import { folderFetch } from "./folder-fetch.js";
import { httpFetch } from "./http-fetch.js";
import { verifyNatively } from "./native-signatures.js";

/** Where a repository is, and under which name what is trusted of it is kept. */
export interface RepositoryPlace {
  /** Name of its folder in the store. */
  readonly name: string;
  /** An `https:` or `http:` address, or a folder. */
  readonly from: string;
  readonly metadata?: string;
  readonly targets?: string;
}

export interface OpenOptions {
  /** Folder that holds a folder for each repository. */
  readonly stores: string;
  readonly clock: Date;
  /** Moments that are known to have passed, besides the store's own. */
  readonly floors?: readonly TimeFloor[];
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: TufEvent) => void;
  /** For repositories that deviate from the specification. */
  readonly dialect?: TufDialect;
  readonly limits?: Partial<TufLimits>;
  /** Finds files that lie elsewhere than the specification says. */
  readonly places?: (fetch: RepositoryFetch) => RepositoryFetch;
}

/** A repository that can be asked. Nothing was fetched yet. */
export interface OpenRepository {
  readonly client: TufClient;
  readonly fetch: RepositoryFetch;
  readonly store: FileStore;
  readonly time: TrustedTime;
}

/**
 * Opens a repository and the folder in which its trusted metadata is kept. Nothing is fetched yet.
 *
 * @param place - where the repository is, and the name of its folder in `options.stores`
 * @param options - `stores`, the folder of all repositories; `clock`; `signal`
 * @returns a client, its store and the time it goes by
 * @throws TufStoreError, RepositoryFetchError `bad-url`
 */
export function openRepository(place: RepositoryPlace, options: OpenOptions): OpenRepository {
  const store = new FileStore(join(options.stores, place.name));
  const stored = store.readLatestTime();
  const time = trustedTime(options.clock, [...(options.floors ?? []), ...(stored ? [stored] : [])]);
  const { signal, onEvent, dialect, limits, places = (fetch) => fetch } = options;
  const fetch = places(repositoryFetch(place, signal));
  const client = new TufClient({
    fetch,
    store,
    now: time.now,
    verify: verifyNatively,
    ...(onEvent && { onEvent }),
    ...(dialect && { dialect }),
    ...(limits && { limits }),
  });
  return { client, fetch, store, time };
}

/** Longer than any update takes that is not being slowed down on purpose. */
const WAIT_MS = 120_000;

/**
 * Brings the metadata up to date and remembers how late it is. Several processes take turns: none puts older metadata in
 * the place of newer.
 *
 * @param repository - by {@link openRepository}
 * @throws TufError, RepositoryFetchError, TufStoreError
 */
export async function refreshRepository({ client, store, time }: OpenRepository): Promise<void> {
  await store.alone(WAIT_MS, async () => {
    await client.refresh();
    store.writeLatestTime(time.now);
  });
}

/**
 * How to get a repository's files. Nothing is fetched yet.
 *
 * @param place - address or folder of the repository
 * @param signal - aborts with its own reason
 * @returns reads by HTTP or from the folder
 * @throws RepositoryFetchError `bad-url`
 */
export function repositoryFetch(
  { from, metadata, targets }: Omit<RepositoryPlace, "name">,
  signal?: AbortSignal,
): RepositoryFetch {
  if (/^https?:\/\//i.test(from)) {
    const base = from.replace(/\/*$/, "/");
    return httpFetch({
      metadataUrl: metadata ?? `${base}metadata/`,
      targetsUrl: targets ?? `${base}targets/`,
      signal,
    });
  }
  const inside = join(from, "metadata");
  return folderFetch({
    metadata: metadata ?? (existsSync(inside) ? inside : from),
    targets: targets ?? join(from, "targets"),
  });
}

/**
 * A name for a repository that has none in the config: readable, and another one for every address.
 *
 * @param from - address or folder of the repository
 * @returns fit to be the name of a folder
 */
export function storeNameOf(from: string): string {
  const whole = /^https?:\/\//i.test(from) ? from.replace(/\/+$/, "") : resolve(from);
  const readable = basename(whole)
    .replace(/[^\w.-]/g, "_")
    .slice(0, 40);
  return `${readable}-${createHash("sha256").update(whole).digest("hex").slice(0, 12)}`;
}
