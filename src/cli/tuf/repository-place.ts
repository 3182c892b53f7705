import type { Config } from "../../boards/config.js";
import { isUrl } from "../../boards/tuf-config.js";
import { useOpenssl } from "../../crypto-node/openssl.js";
import type { TufEvent } from "../../tuf/client.js";
import { trustRoot } from "../../tuf/first-trust.js";
import type { FileStore } from "../../tuf-store/file-store.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import {
  type OpenRepository,
  openRepository,
  type RepositoryPlace,
  refreshRepository,
  storeNameOf,
} from "../../tuf-store/open-repository.js";
import { readAs } from "../files.js";
import { printable } from "../output.js";
import { tufStores } from "../state-folders.js";
import type { Context } from "../verb-context.js";
import { timeFloors } from "./time-floors.js";

/** The repository that is meant: a name of the config file, an address, or a folder. */
export function placeOf(
  text: string,
  config: Config,
  from?: string,
): RepositoryPlace & { readonly root?: string } {
  const named = Object.hasOwn(config.tuf, text) ? config.tuf[text] : undefined;
  const place = named ? { name: text, ...named } : { name: storeNameOf(text), from: text };
  if (from === undefined) return place;
  // Another copy of the same repository: what is trusted stays, only the way to the files changes.
  const { metadata: _metadata, targets: _targets, ...rest } = place;
  return { ...rest, from };
}

/** Opens a repository by what the user calls it. A root that the config file names is trusted from the first time on. */
export async function openByName(
  text: string,
  { config, signal, out }: Context,
  { from }: { from?: string | undefined } = {},
): Promise<OpenRepository> {
  useOpenssl();
  const place = placeOf(text, config, from);
  const opened = openRepository(place, {
    stores: tufStores(),
    clock: new Date(),
    floors: await timeFloors(out),
    signal,
    onEvent: (event) => {
      const sentence = sentenceFor(event);
      if (sentence !== undefined) out.note(sentence);
    },
  });
  if (place.root !== undefined) await trustConfigured(place.root, opened.store);
  return opened;
}

/** Opens and refreshes; what is told of the time goes to the user. */
export async function refreshedByName(
  text: string,
  context: Context,
  options: { from?: string | undefined } = {},
): Promise<OpenRepository> {
  const opened = await openByName(text, context, options);
  const { clockBehindMs, source, now } = opened.time;
  if (clockBehindMs !== undefined)
    context.out.warn(
      `This computer's clock is behind: by the ${source} it is at least ${now.toISOString()}. That time is used.`,
    );
  warnOfFolder(placeOf(text, context.config, options.from).from, context.out);
  await refreshRepository(opened);
  return opened;
}

/** What a folder that was carried here does not protect against, unlike a bundle. */
function warnOfFolder(from: string, out: Context["out"]): void {
  if (isUrl(from)) return;
  out.warn(
    `${printable(from)} is a folder: a plain TUF repository that was carried offline protects neither against a freeze (an old copy passes until its timestamp expires) nor against an old image that it still lists. A bundle does: bootproof help bundles.`,
  );
}

/** The time that counted, for results. */
export function timeFacts({ now, source, clockBehindMs }: OpenRepository["time"]) {
  return { now: now.toISOString(), source, ...(clockBehindMs !== undefined && { clockBehindMs }) };
}

async function trustConfigured(file: string, store: FileStore): Promise<void> {
  if ((await store.read("root")) !== undefined) return;
  await readAs(file, (bytes) => trustRoot(bytes, store, { verify: verifyNatively }));
}

function sentenceFor(event: TufEvent): string | undefined {
  switch (event.kind) {
    case "updated":
      return `${printable(event.role)}: version ${event.version} is trusted now.`;
    case "recovered":
      return `The keys of ${event.role} changed: stored timestamp and snapshot no longer count.`;
    case "stored-ignored":
      return `The stored ${event.role} metadata is ignored: ${printable(event.why)}`;
  }
}
