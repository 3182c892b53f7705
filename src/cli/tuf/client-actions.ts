import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { TufError } from "../../tuf/error.js";
import { trustRoot } from "../../tuf/first-trust.js";
import { sha256Hex } from "../../tuf/hashes.js";
import { parseMetadata } from "../../tuf/metadata.js";
import type { Metadata, RoleType, TargetsSigned } from "../../tuf/metadata-types.js";
import type { TrustedMetadata } from "../../tuf/trusted-metadata.js";
import { FileStore } from "../../tuf-store/file-store.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import type { OpenRepository } from "../../tuf-store/open-repository.js";
import { readAs, readInput, writeOutput } from "../files.js";
import { printable, table, tone } from "../output.js";
import { tufStores } from "../state-folders.js";
import { UsageError } from "../usage-error.js";
import type { CommonOptions, Context } from "../verb-context.js";
import { openByName, placeOf, refreshedByName, timeFacts } from "./repository-place.js";

export interface FetchOptions extends CommonOptions {
  from?: string;
}

export async function trust(
  repository: string,
  root: string,
  { replace = false }: { replace?: boolean },
  { config, out }: Context,
): Promise<void> {
  const place = placeOf(repository, config);
  const store = new FileStore(join(tufStores(), place.name));
  const metadata = await readAs(root, (bytes) =>
    trustRoot(bytes, store, { verify: verifyNatively, replace }),
  );
  const { version, expires, roles } = metadata.signed;
  const sha256 = sha256Hex(metadata.bytes);
  out.result(
    { repository, version, expires, sha256, threshold: roles.root.threshold, keyids: roles.root.keyids },
    `${printable(repository)}: root ${version} is trusted now; ${roles.root.threshold} of ${roles.root.keyids.length} keys change it\n` +
      `SHA-256 of the file: ${sha256}\nCompare it with what its owner told you.`,
  );
}

export async function refresh(
  repositories: readonly string[],
  { from }: FetchOptions,
  context: Context,
): Promise<void> {
  const { config, out } = context;
  const all = repositories.length > 0 ? repositories : Object.keys(config.tuf);
  if (all.length === 0)
    throw new UsageError("No repository is named.", 'Name one, or put it into "tuf" of the config file.');
  if (from !== undefined && all.length > 1)
    throw new UsageError(
      "--from is one copy of one repository.",
      "Name the repository that it is a copy of.",
    );
  const results = [];
  for (const repository of all) {
    const opened = await refreshedByName(repository, context, { from });
    results.push({ repository, ...factsOf(opened) });
  }
  const lines = results.map(({ repository, versions, time }) => {
    const list = Object.entries(versions).map(([role, version]) => `${role} ${version}`);
    return `${printable(repository)}: up to date: ${list.join(", ")} (time ${time.now}, from ${time.source})`;
  });
  out.result(results, lines.join("\n"));
}

function factsOf({ client, time }: OpenRepository) {
  const { root, timestamp, snapshot } = client.trusted;
  const targets = client.trusted.targets();
  return {
    versions: {
      root: root.signed.version,
      timestamp: timestamp!.signed.version,
      snapshot: snapshot!.signed.version,
      targets: targets!.signed.version,
    },
    expires: earliestExpiry(client.trusted),
    time: timeFacts(time),
  };
}

function earliestExpiry({ root, timestamp, snapshot, allTargets }: TrustedMetadata): string {
  const all: (Metadata | undefined)[] = [
    root,
    timestamp,
    snapshot,
    ...allTargets.map(({ metadata }) => metadata),
  ];
  return all.flatMap((metadata) => (metadata ? [metadata.signed.expires] : [])).sort()[0]!;
}

export async function get(
  repository: string,
  path: string,
  file: string | undefined,
  { from, force = false }: FetchOptions & { force?: boolean },
  context: Context,
): Promise<void> {
  const opened = await refreshedByName(repository, context, { from });
  const { client } = opened;
  const found = await client.findTarget(path);
  const name = file ?? fileNameOf(path);
  const cached = existsSync(name) ? readInput(name) : undefined;
  const bytes = await client.download(found, cached);
  const isCached = bytes === cached;
  if (!isCached) writeOutput(name, bytes, { overwrite: force });
  const { length, hashes, custom } = found.target;
  context.out.result(
    {
      file: name,
      target: path,
      role: found.role,
      length,
      hashes: Object.fromEntries(hashes),
      ...(custom && { custom }),
      wasThere: isCached,
      time: timeFacts(opened.time),
    },
    `${printable(name)}: ${length} bytes, as ${printable(found.role)} signed them${isCached ? "; the file was there already" : ""}`,
  );
}

/** The last part of a path that somebody else chose, when it can be a file here. */
function fileNameOf(path: string): string {
  const name = basename(path);
  if (name !== "" && name !== "." && name !== ".." && printable(name) === name && !/[\\:]/.test(name))
    return name;
  throw new UsageError(`"${printable(path)}" gives no name for a file.`, "Name the file to write.");
}

const TOP: readonly RoleType[] = ["root", "timestamp", "snapshot", "targets"];

export async function status(repository: string, context: Context): Promise<void> {
  const { store, time } = await openByName(repository, context);
  const stored = await Promise.all(
    TOP.map(async (role) => ({ role, metadata: await readStored(store, role) })),
  );
  if (!stored[0]!.metadata)
    throw new TufError("no-trusted-root", "root", `No root is trusted for ${repository} yet.`);
  const roles = stored.map(({ role, metadata }) => ({
    role,
    ...(metadata && {
      version: metadata.signed.version,
      expires: metadata.signed.expires,
      isExpired: Date.parse(metadata.signed.expires) <= time.now.getTime(),
    }),
  }));
  const root = stored[0]!.metadata as Metadata<"root">;
  const targets = stored[3]!.metadata?.signed as TargetsSigned | undefined;
  const facts = {
    repository,
    folder: store.folder,
    roles,
    thresholds: Object.fromEntries(
      TOP.map((role) => [
        role,
        `${root.signed.roles[role].threshold} of ${root.signed.roles[role].keyids.length}`,
      ]),
    ),
    targets: [...(targets?.targets.keys() ?? [])],
    delegations: targets?.delegations?.roles?.map(({ name }) => name) ?? [],
    time: timeFacts(time),
  };
  const rows = roles.map((role) => [
    role.role,
    "version" in role ? String(role.version) : "-",
    "expires" in role ? (role.isExpired ? tone("bad", `${role.expires} (expired)`) : role.expires!) : "-",
    facts.thresholds[role.role]!,
  ]);
  const lists = [
    ...facts.targets.map((path) => `target      ${printable(path)}`),
    ...facts.delegations.map((name) => `delegation  ${printable(name)}`),
    `time        ${facts.time.now}, from ${facts.time.source}`,
    `stored in   ${store.folder}`,
  ];
  context.out.result(facts, `${table(["role", "version", "expires", "keys"], rows)}\n${lists.join("\n")}`);
}

async function readStored(store: FileStore, role: RoleType): Promise<Metadata | undefined> {
  const bytes = await store.read(role);
  return bytes && parseMetadata(role, bytes);
}
