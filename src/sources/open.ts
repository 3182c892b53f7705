import { isIntelHex } from "../formats/file-kinds.js";
import { joinSegments, parseIntelHex } from "../formats/intel-hex.js";
import { isZip } from "../formats/zip.js";
import type { PartialFile } from "../http/download.js";
import { isArtifact } from "../mender/artifact.js";
import { readBuildFolder } from "./build-folder.js";
import { readBundle } from "./bundle.js";
import type { SourceFiles } from "./files.js";
import { type FetchOptions, fetchFile, isUrl } from "./http.js";
import { type MenderOptions, readMender } from "./mender.js";
import { type Source, SourceError, UNBOUND } from "./source.js";
import {
  type FindCarried,
  type FindTarget,
  parseBundleAddress,
  parseTufAddress,
  readCarried,
  readTuf,
} from "./tuf.js";

export interface OpenOptions extends MenderOptions {
  readonly files: SourceFiles;
  /** How addresses are fetched; `partialOf` names where an unfinished file is kept. */
  readonly fetch?: FetchOptions & { readonly partialOf?: (url: string) => PartialFile };
  /** Asks TUF repositories, for `tuf:REPOSITORY#PATH`. */
  readonly findTarget?: FindTarget;
  /** Asks bundles for offline updates, for `bundle:PLACE#HARDWARE-ID`. */
  readonly findCarried?: FindCarried;
}

/** A container by its first bytes; the first row that fits reads it. */
interface ContainerForm {
  readonly fits: (bytes: Uint8Array) => boolean;
  readonly read: (name: string, bytes: Uint8Array, options: OpenOptions) => Promise<Source>;
}

const CONTAINERS: readonly ContainerForm[] = [
  { fits: isArtifact, read: readMender },
  { fits: isZip, read: (name, bytes) => readBundle(name, bytes) },
];

/**
 * Is this more than the file of one image: an address, a TUF target, the folder of a build, a bundle, an artifact?
 *
 * @param where - a path, an address, or a target of a repository
 * @param files - how files are looked at
 * @returns false for the file of one image
 */
export function isContainer(where: string, files: Omit<SourceFiles, "readImage">): boolean {
  if (isUrl(where) || parseTufAddress(where) || parseBundleAddress(where) || files.isFolder(where))
    return true;
  return files.exists(where) && CONTAINERS.some(({ fits }) => fits(files.read(where)));
}

/**
 * Opens an update from wherever it comes: a file (image, Intel HEX, bundle, Mender artifact), the folder of a build,
 * an address, a target of a TUF repository, or a bundle for offline updates. Checks what the source itself vouches
 * for; the images' own signatures are left to whoever verifies them.
 *
 * @param where - a path, an address, or a target of a repository
 * @param options - how files are read and fetched; keys of artifacts
 * @returns images with their numbers, and what the source itself vouches for
 * @throws `SourceError` and the errors of the formats
 */
export async function openSource(where: string, options: OpenOptions): Promise<Source> {
  if (isUrl(where)) {
    const { partialOf, ...how } = options.fetch ?? {};
    const { bytes, transport } = await fetchFile(where, { partial: partialOf?.(where), ...how });
    return { ...(await readFetched(new URL(where).pathname, bytes, options)), name: where, transport };
  }
  const target = parseTufAddress(where);
  if (target) {
    const { findTarget } = options;
    if (!findTarget) throw new SourceError("bad-source", `${where}: TUF repositories cannot be used here.`);
    return readTuf(where, target, findTarget, (name, bytes) => readFetched(name, bytes, options));
  }
  const carried = parseBundleAddress(where);
  if (carried) {
    const { findCarried } = options;
    if (!findCarried) throw new SourceError("bad-source", `${where}: bundles cannot be used here.`);
    return readCarried(where, carried, findCarried, (name, bytes) => readFetched(name, bytes, options));
  }
  const { files } = options;
  if (files.isFolder(where)) return readBuildFolder(where, files, readBundle);
  return (await readContainer(where, files.read(where), options)) ?? plain(where, files.readImage(where));
}

async function readFetched(name: string, bytes: Uint8Array, options: OpenOptions): Promise<Source> {
  return (await readContainer(name, bytes, options)) ?? plain(name, fetchedImage(bytes));
}

async function readContainer(
  name: string,
  bytes: Uint8Array,
  options: OpenOptions,
): Promise<Source | undefined> {
  return CONTAINERS.find(({ fits }) => fits(bytes))?.read(name, bytes, options);
}

function fetchedImage(bytes: Uint8Array): Uint8Array {
  if (!isIntelHex(bytes)) return bytes;
  return joinSegments(parseIntelHex(new TextDecoder("latin1").decode(bytes))).bytes;
}

function plain(name: string, bytes: Uint8Array): Source {
  return { kind: "file", name, payloads: [{ name, bytes }], binding: UNBOUND, checks: [] };
}
