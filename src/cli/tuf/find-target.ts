import type { FindTarget } from "../../sources/tuf.js";
import { TufError } from "../../tuf/error.js";
import { mustMatch, sha256Hex } from "../../tuf/hashes.js";
import type { TrustedMetadata } from "../../tuf/trusted-metadata.js";
import type { Context } from "../verb-context.js";
import { refreshedByName, timeFacts } from "./repository-place.js";

/** Asks repositories by the names of the config file, by address or folder; each is brought up to date once. */
export function findTargetFor(context: Context, from?: string): FindTarget {
  const opened = new Map<string, ReturnType<typeof refreshedByName>>();
  return async (repository, path) => {
    const known = opened.get(repository) ?? refreshedByName(repository, context, { from });
    opened.set(repository, known);
    const { client, store, time } = await known;
    const found = await client.findTarget(path);
    const { length, custom } = found.target;
    const counter = custom?.releaseCounter;
    const metadata = { by: sha256Hex(store.firstRoot()!), versions: versionsOf(client.trusted) };
    return {
      release: { metadata, ...(typeof counter === "number" && { release: counter }) },
      role: found.role,
      length,
      ...(custom && { custom }),
      time: timeFacts(time),
      download: () => client.download(found),
      compare(bytes) {
        try {
          const what = {
            what: "the file",
            subject: path,
            code: "arbitrary-software",
            step: "5.7.3",
          } as const;
          mustMatch(bytes, found.target, what);
          return undefined;
        } catch (error) {
          if (error instanceof TufError) return error.message;
          throw error;
        }
      },
    };
  };
}

/** Versions of all that was verified, for the memory of the board that gets the update. */
function versionsOf({ root, timestamp, snapshot, allTargets }: TrustedMetadata): Record<string, number> {
  const top = { root, timestamp, snapshot };
  return {
    ...Object.fromEntries(
      Object.entries(top).flatMap(([role, file]) => (file ? [[role, file.signed.version]] : [])),
    ),
    ...Object.fromEntries(allTargets.map(({ role, metadata }) => [role, metadata.signed.version])),
  };
}
