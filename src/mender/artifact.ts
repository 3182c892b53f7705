import { BytesError, fromBase64, toHex } from "../bytes.js";
import { HASHES } from "../crypto/hashes.js";
import { BootproofError } from "../errors.js";
import { ARCHIVE_LIMITS, ArchiveError, type Decompress } from "../formats/archive.js";
import { parseStrictJson } from "../formats/strict-json.js";
import { isTar, readTar, type TarEntry } from "../formats/tar.js";
import { badArtifact, MenderError } from "./error.js";
import { isFileName, type ManifestEntry, parseManifest } from "./manifest.js";
import {
  type HeaderInfo,
  type MetaData,
  parseHeaderInfo,
  parseMetaData,
  parseTypeInfo,
  type TypeInfo,
} from "./metadata.js";

/** How a member of an artifact is packed. */
export type Compression = "none" | "gzip" | "xz" | "zstd";

/** What unpacks; a compression without one is refused. */
export type Decompressors = Partial<Readonly<Record<Exclude<Compression, "none">, Decompress>>>;

export interface ReadOptions {
  readonly decompressors?: Decompressors;
  /** Unpacked bytes of metadata and payload, each; default 64 MiB. */
  readonly maxSize?: number;
}

/** A payload file whose checksum has been compared. */
export interface ArtifactFile {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

/** A state script: run by Mender's Linux client as root, never by bootproof. */
export interface ArtifactScript {
  readonly name: string;
  readonly size: number;
}

/** A Mender artifact, format 3, whose structure and checksums are right. Whose it is, only a signature says. */
export interface Artifact {
  readonly header: HeaderInfo;
  readonly typeInfo: TypeInfo;
  readonly metaData?: MetaData;
  readonly scripts: readonly ArtifactScript[];
  readonly files: readonly ArtifactFile[];
  readonly compression: { readonly header: Compression; readonly data?: Compression };
  /** Exactly what is signed. */
  readonly manifest: Uint8Array;
  readonly entries: readonly ManifestEntry[];
  /** The raw signature. */
  readonly signature?: Uint8Array;
}

/** The whole `version` member, as every writer has it. */
export const VERSION = '{"format":"mender","version":3}';

const SUFFIXES: Readonly<Record<string, Compression>> = {
  "": "none",
  ".gz": "gzip",
  ".xz": "xz",
  ".zst": "zstd",
};

/** The legal members in their order. */
const SEQUENCE = [
  { name: "version", pattern: /^version$/, needed: true },
  { name: "manifest", pattern: /^manifest$/, needed: true },
  { name: "manifest.sig", pattern: /^manifest\.sig$/, needed: false },
  { name: "header.tar", pattern: /^header\.tar(\.gz|\.xz|\.zst)?$/, needed: true },
  { name: "data/0000.tar", pattern: /^data\/0000\.tar(\.gz|\.xz|\.zst)?$/, needed: false },
] as const;

type MemberName = (typeof SEQUENCE)[number]["name"];
type Members = Partial<Record<MemberName, TarEntry>>;

/** Does a Mender artifact begin here? */
export function isArtifact(bytes: Uint8Array): boolean {
  return isTar(bytes) && new TextDecoder("latin1").decode(bytes.subarray(0, 8)) === "version\0";
}

/**
 * Reads a Mender artifact, format 3. Stricter than mender-artifact 4: members in their one order and none besides,
 * exactly one payload, every file of the manifest there and equal to its checksum, no unknown key, nothing behind
 * the archive.
 *
 * @param bytes - the whole file
 * @param options - `decompressors` for compressed payloads; limits in bytes
 * @returns everything in it, checksums checked; the signature is not
 * @throws {@link MenderError}
 */
export async function readArtifact(bytes: Uint8Array, options: ReadOptions = {}): Promise<Artifact> {
  const members = outerMembers(bytes);
  checkVersion(members.version!.bytes);
  const manifest = members.manifest!.bytes;
  const sums = new Sums(parseManifest(manifest));
  sums.check("version", members.version!.bytes);
  const headerMember = members["header.tar"]!;
  sums.check(headerMember.name, headerMember.bytes);
  const header = readHeader(await innerTar(headerMember, options, false));
  const data = members["data/0000.tar"];
  const files = data ? readFiles(await innerTar(data, options, true), sums) : [];
  sums.mustBeUsedUp();
  if (header.header.payloadType === null && (files.length > 0 || header.metaData))
    throw badArtifact("The artifact announces no payload, but carries one.");
  const signature = members["manifest.sig"];
  return {
    ...header,
    files,
    compression: {
      header: compressionOf(headerMember.name),
      ...(data && { data: compressionOf(data.name) }),
    },
    manifest,
    entries: sums.entries,
    ...(signature && { signature: signatureOf(signature.bytes) }),
  };
}

/** The members by name. A member that is not the next one of the legal order is refused by its name. */
export function outerMembers(bytes: Uint8Array): Members {
  const members: Members = {};
  let next = 0;
  for (const entry of outerTar(bytes)) {
    const at = SEQUENCE.findIndex(({ pattern }, index) => index >= next && pattern.test(entry.name));
    const skipped = SEQUENCE.slice(next, at).find(({ needed }) => needed);
    if (at < 0 || skipped) throw misplaced(entry.name, SEQUENCE[next]?.name);
    members[SEQUENCE[at]!.name] = entry;
    next = at + 1;
  }
  const missing = SEQUENCE.find(({ name, needed }) => needed && members[name] === undefined);
  if (missing) throw badArtifact(`The artifact has no ${missing.name}.`);
  return members;
}

function outerTar(bytes: Uint8Array): TarEntry[] {
  if (!isArtifact(bytes))
    throw new MenderError(
      "not-mender",
      "This is not a Mender artifact: it does not begin with a member called version.",
    );
  try {
    return readTar(bytes);
  } catch (error) {
    if (error instanceof ArchiveError)
      throw badArtifact(`The artifact cannot be read: ${error.message}`, error);
    throw error;
  }
}

function misplaced(name: string, expected: string | undefined): MenderError {
  if (/augment/.test(name))
    return new MenderError(
      "artifact-augmented",
      `The artifact contains ${name}, which no signature covers.`,
      {
        hint: "Use the artifact as it was signed, before a server added to it.",
      },
    );
  return badArtifact(
    `The artifact has ${JSON.stringify(name)} where ${expected === undefined ? "it should end" : `${expected} should be`}.`,
  );
}

function checkVersion(bytes: Uint8Array): void {
  const text = new TextDecoder().decode(bytes);
  if (text === VERSION) return;
  const stated = looseVersion(bytes);
  if (stated === undefined || stated === 3)
    throw badArtifact(`The member version is not exactly ${VERSION}.`);
  throw new MenderError("not-mender", `The artifact has format version ${stated}; version 3 is read.`, {
    hint: "Write it again with a current mender-artifact, or with bootproof artifact write.",
  });
}

function looseVersion(bytes: Uint8Array): number | undefined {
  try {
    const { version } = parseStrictJson(bytes, { maxLength: 1024 }) as { version?: unknown };
    return typeof version === "number" ? version : undefined;
  } catch {
    // Not JSON, or null: the caller says what is expected.
    return undefined;
  }
}

/** The manifest's checksums; each is compared once. */
class Sums {
  readonly #left: Map<string, string>;

  constructor(readonly entries: readonly ManifestEntry[]) {
    this.#left = new Map(entries.map(({ name, sha256 }) => [name, sha256]));
  }

  /** Returns the checksum. */
  check(name: string, bytes: Uint8Array): string {
    const expected = this.#left.get(name);
    if (expected === undefined) throw badArtifact(`The manifest has no checksum for ${name}.`);
    const actual = toHex(HASHES.sha256.digest(bytes));
    if (actual !== expected)
      throw new MenderError(
        "artifact-damaged",
        `${name} has the SHA-256 ${actual.slice(0, 16)}…, but the manifest says ${expected.slice(0, 16)}….`,
        { hint: "Download the artifact again; if the error persists, the artifact was changed." },
      );
    this.#left.delete(name);
    return actual;
  }

  mustBeUsedUp(): void {
    const [name] = this.#left.keys();
    if (name !== undefined)
      throw badArtifact(`The manifest lists ${name}, which the artifact does not contain.`);
  }
}

async function innerTar(member: TarEntry, options: ReadOptions, extensions: boolean): Promise<TarEntry[]> {
  const { maxSize = ARCHIVE_LIMITS.totalSize } = options;
  const bytes = await unpack(member, options, maxSize);
  try {
    return readTar(bytes, { extensions });
  } catch (error) {
    if (error instanceof ArchiveError) throw badArtifact(`${member.name}: ${error.message}`, error);
    throw error;
  }
}

async function unpack({ name, bytes }: TarEntry, { decompressors = {} }: ReadOptions, limit: number) {
  const compression = compressionOf(name);
  if (compression === "none") return bytes;
  const decompress = decompressors[compression];
  if (!decompress)
    throw new MenderError(
      "artifact-compression",
      `${name} is packed with ${compression}, which cannot be unpacked here.`,
      {
        hint: "Write the artifact with --compression none.",
      },
    );
  try {
    return await decompress(bytes, limit);
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    if (error.code === "archive-too-large" || error.code === "lzma-too-large")
      throw new MenderError("artifact-too-large", `${name} unpacks to more than ${limit} bytes.`, {
        cause: error,
      });
    throw badArtifact(`${name}: ${error.message}`, error);
  }
}

function compressionOf(name: string): Compression {
  return SUFFIXES[/\.tar(.*)$/.exec(name)?.[1] ?? ""] ?? "none";
}

const SCRIPT = /^scripts\/([A-Za-z]+_(?:Enter|Leave|Error)_\d\d(?:_[A-Za-z0-9._-]+)?)$/;
const TYPE_INFO = "headers/0000/type-info";
const META_DATA = "headers/0000/meta-data";

function readHeader(entries: readonly TarEntry[]) {
  const [first, ...rest] = entries;
  if (first?.name !== "header-info") throw badArtifact("The header does not begin with header-info.");
  const header = parseHeaderInfo(first.bytes);
  const scripts: ArtifactScript[] = [];
  while (rest[0] && SCRIPT.test(rest[0].name)) {
    const { name, bytes } = rest.shift()!;
    scripts.push({ name: SCRIPT.exec(name)![1]!, size: bytes.length });
  }
  const typeInfo = rest.shift();
  if (typeInfo?.name !== TYPE_INFO)
    throw badArtifact(
      `The header has ${JSON.stringify(typeInfo?.name ?? "nothing")} where ${TYPE_INFO} should stand.`,
    );
  const metaData = rest[0]?.name === META_DATA ? rest.shift() : undefined;
  if (rest[0])
    throw badArtifact(`The header holds ${JSON.stringify(rest[0].name)}, which is not allowed there.`);
  // Some writers leave an empty file where there is nothing to say.
  const hasMetaData = metaData !== undefined && metaData.bytes.length > 0;
  return {
    header,
    typeInfo: parseTypeInfo(typeInfo.bytes, header),
    ...(hasMetaData && { metaData: parseMetaData(metaData.bytes) }),
    scripts,
  };
}

function readFiles(entries: readonly TarEntry[], sums: Sums): ArtifactFile[] {
  return entries.map(({ name, bytes }) => {
    if (!isFileName(name))
      throw badArtifact(`The payload file ${JSON.stringify(name)} has a name that is not allowed.`);
    return { name, sha256: sums.check(`data/0000/${name}`, bytes), bytes };
  });
}

/** A line feed behind the base64 is read, as both of Mender's own readers do. */
function signatureOf(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder("latin1").decode(bytes).replace(/\n$/, "");
  try {
    return fromBase64(text);
  } catch (error) {
    if (error instanceof BytesError) throw badArtifact("manifest.sig is not base64.", error);
    throw error;
  }
}
