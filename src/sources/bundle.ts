import { JsonError, parseStrictJson } from "../formats/strict-json.js";
import { readZip, type ZipEntry } from "../formats/zip.js";
import { ImageError, parseHeader } from "../mcuboot/header.js";
import { formatVersion } from "../mcuboot/version.js";
import { inflate } from "./decompress.js";
import { type Payload, type Source, type SourceCheck, SourceError } from "./source.js";

/** A file of the manifest, with what it says of it. Numbers may be spelled as texts; old manifests lack most of them. */
interface ManifestFile {
  readonly file: string;
  readonly type?: string;
  readonly board?: string;
  readonly soc?: string;
  readonly size?: number;
  readonly image?: number;
  readonly slot?: number;
  readonly version?: string;
}

const MANIFEST = "manifest.json";
const MAX_FILES = 16;

/**
 * Reads `dfu_application.zip` as builds of nRF Connect SDK make it: manifest.json with `format-version` and `files`. Throws
 * {@link SourceError}, `ArchiveError`.
 */
export async function readBundle(name: string, bytes: Uint8Array): Promise<Source> {
  const entries = await readZip(bytes, { inflate });
  const files = parseBundleManifest(entries.find((entry) => entry.name === MANIFEST)?.bytes);
  const payloads = files.map((file) => payloadOf(file, entries));
  const listed = new Set([MANIFEST, ...files.map(({ file }) => file)]);
  const strays = entries.filter((entry) => !listed.has(entry.name)).map((entry) => entry.name);
  const checks = files.flatMap((file, index) => compare(file, payloads[index]!));
  const texts = (pick: (file: ManifestFile) => string | undefined) => [
    ...new Set(files.flatMap((file) => pick(file) ?? [])),
  ];
  return {
    kind: "bundle",
    name,
    payloads,
    binding: { boards: texts(({ board }) => board), socs: texts(({ soc }) => soc), deviceTypes: [] },
    checks: [
      ...checks,
      ...strays.map(
        (stray): SourceCheck => ({
          name: "manifest",
          result: "warn",
          message: `${stray} is in the bundle, but not in its manifest; it is ignored.`,
        }),
      ),
    ],
  };
}

/** The files of a manifest. Throws {@link SourceError}. */
export function parseBundleManifest(bytes: Uint8Array | undefined): ManifestFile[] {
  if (!bytes)
    throw new SourceError("bad-source", `The bundle has no ${MANIFEST}.`, {
      hint: "A bundle is the dfu_application.zip that a build makes.",
    });
  const manifest = object(json(bytes), MANIFEST);
  const version = number(manifest["format-version"], "format-version");
  if (version !== undefined && version !== 0 && version !== 1)
    throw bad(`${MANIFEST} has format-version ${version}; 0 and 1 are read.`);
  const { files } = manifest;
  if (!Array.isArray(files) || files.length === 0 || files.length > MAX_FILES)
    throw bad(`${MANIFEST} lists no files, or more than ${MAX_FILES}.`);
  const read = files.map((file: unknown, index) => manifestFile(object(file, `files[${index}]`), index));
  const places = new Set<string>();
  for (const { file, image = 0, slot } of read) {
    const place = `image ${image}${slot === undefined ? "" : `, slot ${slot}`}`;
    if (places.has(place)) throw bad(`${MANIFEST} has two files for ${place}, the second is ${file}.`);
    places.add(place);
  }
  return read;
}

function manifestFile(entry: Record<string, unknown>, index: number): ManifestFile {
  const what = `files[${index}]`;
  const file = text(entry.file, `${what}.file`);
  if (file === undefined || file === MANIFEST) throw bad(`${MANIFEST}: ${what} names no file.`);
  const type = text(entry.type, `${what}.type`);
  const board = text(entry.board, `${what}.board`);
  const soc = text(entry.soc, `${what}.soc`);
  const size = number(entry.size, `${what}.size`);
  const image = imageOf(entry, what);
  // Builds for execute in place say `slot`; others say where the two slots are.
  const slot = number(entry.slot, `${what}.slot`);
  if (slot !== undefined && slot > 1) throw bad(`${MANIFEST}: ${what}.slot is ${slot}; it is 0 or 1.`);
  const version = text(entry.version_MCUBOOT ?? entry["version_MCUBOOT+XIP"], `${what}.version_MCUBOOT`);
  return {
    file,
    ...(type !== undefined && { type }),
    ...(board !== undefined && { board }),
    ...(soc !== undefined && { soc }),
    ...(size !== undefined && { size }),
    ...(image !== undefined && { image }),
    ...(slot !== undefined && { slot }),
    ...(version !== undefined && { version }),
  };
}

/** The image number, which must not contradict the slots: those are counted from 1 or 2 for image 0. */
function imageOf(entry: Record<string, unknown>, what: string): number | undefined {
  const image = number(entry.image_index, `${what}.image_index`);
  const primary = number(entry.slot_index_primary, `${what}.slot_index_primary`);
  const secondary = number(entry.slot_index_secondary, `${what}.slot_index_secondary`);
  if (primary !== undefined && secondary !== undefined && secondary !== primary + 1)
    throw bad(`${MANIFEST}: ${what} has the slots ${primary} and ${secondary}, which are not a pair.`);
  if (image !== undefined && image > 15)
    throw bad(`${MANIFEST}: ${what}.image_index is ${image}; 0 to 15 can be.`);
  return image;
}

function payloadOf({ file, image, slot, type }: ManifestFile, entries: readonly ZipEntry[]): Payload {
  const entry = entries.find(({ name }) => name === file);
  if (!entry) throw bad(`${MANIFEST} lists ${file}, which the bundle does not contain.`);
  return {
    name: file,
    bytes: entry.bytes,
    ...(image !== undefined && { image }),
    ...(slot !== undefined && { slot }),
    ...(type !== undefined && { type }),
  };
}

/** The manifest is signed by nobody: where it and a file differ, one of them was exchanged. */
function compare({ file, size, version }: ManifestFile, { bytes }: Payload): SourceCheck[] {
  const name = "manifest";
  const checks: SourceCheck[] = [];
  if (size !== undefined && size !== bytes.length)
    checks.push({
      name,
      result: "fail",
      message: `The manifest says that ${file} has ${size} bytes; it has ${bytes.length}.`,
    });
  const actual = versionOf(bytes);
  if (version !== undefined && actual !== undefined) {
    const same = normalised(version) === normalised(actual);
    checks.push({
      name,
      result: same ? "pass" : "fail",
      message: same
        ? `${file} has version ${actual}, as the manifest says`
        : `The manifest says that ${file} has version ${version}; its header says ${actual}.`,
    });
  }
  return checks;
}

function versionOf(bytes: Uint8Array): string | undefined {
  try {
    return formatVersion(parseHeader(bytes).header.version);
  } catch (error) {
    // No image: whoever verifies it says what is wrong.
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

/** `1.2.3+0`, `1.2.3` and `1.2.3.0` are one version. */
function normalised(version: string): string {
  const [, numbers, build = "0"] = /^(\d+\.\d+\.\d+)(?:[.+](\d+))?$/.exec(version) ?? [];
  return numbers === undefined ? version : `${numbers}+${Number(build)}`;
}

function json(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes, { maxDepth: 8 });
  } catch (error) {
    if (error instanceof JsonError) throw bad(`${MANIFEST}: ${error.message}`);
    throw error;
  }
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw bad(`${MANIFEST}: ${what} is not an object.`);
}

function text(value: unknown, what: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && value.length > 0 && value.length <= 256) return value;
  throw bad(`${MANIFEST}: ${what} is not a text of 1 to 256 characters.`);
}

/** A number, or a text that spells one: old manifests have both. */
function number(value: unknown, what: string): number | undefined {
  if (value === undefined) return undefined;
  const spelled = typeof value === "string" && /^(0x[0-9a-f]+|\d+)$/i.test(value) ? Number(value) : value;
  if (typeof spelled === "number" && Number.isSafeInteger(spelled) && spelled >= 0) return spelled;
  throw bad(`${MANIFEST}: ${what} is not a whole number.`);
}

function bad(message: string): SourceError {
  return new SourceError("bad-source", message);
}
