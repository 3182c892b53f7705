import type { RepositoryFetch } from "../tuf/client.js";
import type { FileStore } from "../tuf-store/file-store.js";

/**
 * What a Primary has verified, as its Secondaries ask for it: each of them verifies all of it again, with a memory of its
 * own. Images do not come this way.
 */
export function storeFetch(store: FileStore): RepositoryFetch {
  return {
    async metadata(name) {
      const [, version, role] = /^(?:(\d+)\.)?(.+)\.json$/.exec(name) ?? [];
      if (role === undefined) return undefined;
      if (role === "root" && version !== undefined) return store.readRoot(Number(version));
      return store.read(decodeURIComponent(role));
    },
    target: async () => undefined,
  };
}
