import { toHex } from "../bytes.js";
import { ImageError } from "../mcuboot/header.js";
import { parseImage } from "../mcuboot/image.js";
import { formatVersion } from "../mcuboot/version.js";
import { type Release, type Source, type SourceCheck, SourceError } from "./source.js";

/** Updates out of TUF repositories: which file is the right one, and how fresh that is. */

/** A target that was found in verified metadata. */
export interface VouchedTarget {
  /** Name of the role that lists it. */
  readonly role: string;
  readonly length: number;
  /** Custom data as the role signed it. */
  readonly custom?: Readonly<Record<string, unknown>>;
  readonly release?: Release;
  /** What expiry was judged by: the time and its source. */
  readonly time: { readonly now: string; readonly source: string };
  /** The bytes, checked against length and hashes. */
  download(): Promise<Uint8Array>;
  /** Are these its bytes? The sentence says what differs. */
  compare(bytes: Uint8Array): string | undefined;
}

/** How to ask a repository, by its name, address or folder. Refreshes its metadata first. */
export type FindTarget = (repository: string, path: string) => Promise<VouchedTarget>;

/** `tuf:REPOSITORY#PATH` taken apart; undefined for what does not begin so. */
export function parseTufAddress(where: string): { repository: string; path: string } | undefined {
  if (!/^tuf:/i.test(where)) return undefined;
  const [, repository, path] = /^tuf:([^#]+)#(.+)$/i.exec(where) ?? [];
  if (repository !== undefined && path !== undefined) return { repository, path };
  throw new SourceError("bad-source", `"${where}" is not tuf:REPOSITORY#PATH.`, {
    hint: "The repository is a name of the config file, an address or a folder: tuf:vendor#app/update.bin",
  });
}

/** How to ask a bundle for offline updates, a file or folder, for the image of some hardware. Verifies all of it first. */
export type FindCarried = (bundle: string, hardwareId: string) => Promise<VouchedTarget & { path: string }>;

/** `bundle:PLACE#HARDWARE-ID` taken apart; undefined for what does not begin so. */
export function parseBundleAddress(where: string): { bundle: string; hardwareId: string } | undefined {
  if (!/^bundle:/i.test(where)) return undefined;
  const [, bundle, hardwareId] = /^bundle:(.+)#([^#]+)$/i.exec(where) ?? [];
  if (bundle !== undefined && hardwareId !== undefined) return { bundle, hardwareId };
  throw new SourceError("bad-source", `"${where}" is not bundle:PLACE#HARDWARE-ID.`, {
    hint: "The place is a bundle's file or folder, the hardware id is the update's name for the kind of board.",
  });
}

/** Downloads an update from a repository. `read` makes a source of the bytes, whatever they hold. */
export async function readTuf(
  where: string,
  { repository, path }: { repository: string; path: string },
  find: FindTarget,
  read: (name: string, bytes: Uint8Array) => Promise<Source>,
): Promise<Source> {
  const target = await find(repository, path);
  const source = await read(path, await target.download());
  return vouchedSource(where, source, "tuf", { repository, path, target });
}

/** Takes an update out of a bundle for offline updates. `read` as for {@link readTuf}. */
export async function readCarried(
  where: string,
  { bundle, hardwareId }: { bundle: string; hardwareId: string },
  find: FindCarried,
  read: (name: string, bytes: Uint8Array) => Promise<Source>,
): Promise<Source> {
  const target = await find(bundle, hardwareId);
  const source = await read(target.path, await target.download());
  return vouchedSource(where, source, "offline-bundle", { repository: bundle, path: target.path, target });
}

function vouchedSource(
  where: string,
  source: Source,
  kind: Source["kind"],
  { repository, path, target }: { repository: string; path: string; target: VouchedTarget },
): Source {
  return {
    ...source,
    // What is inside a bundle or an artifact stays known as that.
    kind: source.kind === "file" ? kind : source.kind,
    name: where,
    checks: [vouched(repository, path, target), ...source.checks, ...claims(source, target)],
    vouchedBy: `${kind === "tuf" ? "TUF role" : "Director and Image repository, role"} ${target.role}`,
    ...(target.release && { release: target.release }),
  };
}

/**
 * Checks a file at hand against the target that it should be.
 *
 * @param bytes - of the file
 * @param target - repository and path in it
 * @param find - asks the repository, verified
 * @returns `fail` says what differs
 * @throws what `find` throws
 */
export async function checkByTuf(
  bytes: Uint8Array,
  { repository, path }: { repository: string; path: string },
  find: FindTarget,
): Promise<SourceCheck> {
  const target = await find(repository, path);
  const difference = target.compare(bytes);
  if (difference === undefined) return vouched(repository, path, target);
  return {
    name: "tuf",
    result: "fail",
    message: `This is not ${path} of ${repository} today: ${difference}`,
  };
}

function vouched(repository: string, path: string, { role, time }: VouchedTarget): SourceCheck {
  const when = `${time.now}, by the ${time.source}`;
  return {
    name: "tuf",
    result: "pass",
    message: `${role} of ${repository} lists ${path} with these bytes (${when}).`,
  };
}

/** What the role says of the image besides its bytes must be what the image says of itself. */
function claims({ payloads }: Source, { custom = {} }: VouchedTarget): SourceCheck[] {
  const [only] = payloads;
  if (!only || payloads.length !== 1) return [];
  const facts = imageFacts(only.bytes);
  const stated = Object.keys(facts).filter((name) => custom[name] !== undefined);
  if (stated.length === 0) return [];
  const wrong = stated.filter((name) => custom[name] !== facts[name]);
  const list = (wrong.length > 0 ? wrong : stated).map((name) =>
    wrong.length > 0 ? `${name} is ${String(facts[name])}, not ${String(custom[name])}` : name,
  );
  return [
    wrong.length > 0
      ? {
          name: "tuf-custom",
          result: "fail",
          message: `The image is not what its role states: ${list.join("; ")}.`,
        }
      : {
          name: "tuf-custom",
          result: "pass",
          message: `The role states the same about the image as the image itself: ${list.join(", ")}.`,
        },
  ];
}

function imageFacts(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const { version, securityCounter, imageHash } = parseImage(bytes);
    return {
      version: formatVersion(version),
      securityCounter,
      mcubootHash: imageHash && toHex(imageHash.value),
    };
  } catch (error) {
    // Whatever else the target is says nothing that could be compared.
    if (error instanceof ImageError) return {};
    throw error;
  }
}
