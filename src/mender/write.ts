import { toBase64, toHex } from "../bytes.js";
import { HASHES } from "../crypto/hashes.js";
import { readTar, type TarFile, writeTar } from "../formats/tar.js";
import { isArtifact, outerMembers, VERSION } from "./artifact.js";
import { MenderError } from "./error.js";
import { formatManifest, isFileName } from "./manifest.js";
import {
  type Depends,
  formatHeaderInfo,
  formatMetaData,
  formatTypeInfo,
  isText,
  type MetaData,
  type Provides,
} from "./metadata.js";

/** What goes into an artifact. */
export interface ArtifactContent {
  /** Payload type, such as `zephyr-image`: which program on the device installs it. */
  readonly type: string;
  readonly artifactName: string;
  readonly artifactGroup?: string;
  /** Devices it is for: one at least, for a microcontroller exactly one (mender-mcu compares one entry only). */
  readonly deviceTypes: readonly string[];
  readonly dependsName?: readonly string[];
  readonly dependsGroup?: readonly string[];
  readonly provides?: Provides;
  readonly depends?: Depends;
  readonly clears?: readonly string[];
  readonly metaData?: MetaData;
  readonly files: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/**
 * Writes a Mender artifact, format 3, unsigned and uncompressed, as microcontrollers need it. The same content
 * always gives the same bytes.
 *
 * @param content - names, device types, payload files
 * @returns the whole file
 * @throws {@link MenderError} `bad-artifact-option`
 */
export function writeArtifact(content: ArtifactContent): Uint8Array {
  checkContent(content);
  const version = new TextEncoder().encode(VERSION);
  const header = writeTar(headerFiles(content));
  const manifest = formatManifest([
    ...content.files.map(({ name, bytes }) => ({ name: `data/0000/${name}`, sha256: sha256(bytes) })),
    { name: "header.tar", sha256: sha256(header) },
    { name: "version", sha256: sha256(version) },
  ]);
  const data = writeTar(content.files.map(({ name, bytes }) => ({ name, bytes, mode: 0o644 })));
  return writeTar([
    { name: "version", bytes: version },
    { name: "manifest", bytes: manifest },
    { name: "header.tar", bytes: header },
    { name: "data/0000.tar", bytes: data },
  ]);
}

/** What a software version's keys are called: `<filesystem>.<name>.version`. */
export interface SoftwareVersion {
  readonly filesystem: string;
  readonly name: string;
  readonly version: string;
}

/**
 * Provides and clears that go with a software version, as mender-artifact adds them by itself.
 *
 * @param software - which file system and name, and its version
 * @returns fields for the artifact's type info
 */
export function softwareVersion({ filesystem, name, version }: SoftwareVersion) {
  const key = `${filesystem}.${name}`;
  return { provides: { [`${key}.version`]: version }, clears: [`${key}.*`] };
}

/**
 * The bytes that a signature of this artifact is made over.
 *
 * @param artifact - the whole file
 * @returns the file `manifest` in it
 * @throws {@link MenderError}
 */
export function manifestOf(artifact: Uint8Array): Uint8Array {
  return outerMembers(artifact).manifest!.bytes;
}

/**
 * The artifact with this raw signature of its manifest, for ECDSA r and s one behind the other. All other members
 * stay as they are.
 *
 * @param artifact - the whole file
 * @param signature - of its manifest
 * @param options - `replace` a signature that is there
 * @returns the whole file
 * @throws {@link MenderError} `already-signed` unless `replace`
 */
export function withSignature(
  artifact: Uint8Array,
  signature: Uint8Array,
  { replace = false }: { replace?: boolean } = {},
): Uint8Array {
  if (!isArtifact(artifact)) throw new MenderError("not-mender", "This is not a Mender artifact.");
  const members = outerMembers(artifact);
  if (members["manifest.sig"] && !replace)
    throw new MenderError("already-signed", "The artifact is signed already; nothing was changed.", {
      hint: "Replace its signature with --force.",
    });
  const files: TarFile[] = readTar(artifact)
    .filter(({ name }) => name !== "manifest.sig")
    .map(({ name, bytes }) => ({ name, bytes }));
  const at = files.findIndex(({ name }) => name === "manifest") + 1;
  files.splice(at, 0, { name: "manifest.sig", bytes: new TextEncoder().encode(toBase64(signature)) });
  return writeTar(files);
}

function headerFiles(content: ArtifactContent): TarFile[] {
  const { type, artifactName, artifactGroup, deviceTypes, dependsName, dependsGroup, metaData } = content;
  const info = formatHeaderInfo({
    payloadType: type,
    artifactName,
    ...(artifactGroup !== undefined && { artifactGroup }),
    deviceTypes,
    ...(dependsName && { dependsName }),
    ...(dependsGroup && { dependsGroup }),
  });
  const { provides = {}, depends = {}, clears = [] } = content;
  return [
    { name: "header-info", bytes: info },
    { name: "headers/0000/type-info", bytes: formatTypeInfo({ type, provides, depends, clears }) },
    ...(metaData ? [{ name: "headers/0000/meta-data", bytes: formatMetaData(metaData) }] : []),
  ];
}

function checkContent(content: ArtifactContent): void {
  const {
    type,
    artifactName,
    artifactGroup,
    deviceTypes,
    files,
    dependsName = [],
    dependsGroup = [],
  } = content;
  const { provides = {}, depends = {}, clears = [] } = content;
  if (deviceTypes.length === 0) throw badOption("An artifact needs at least one device type.");
  if (files.length === 0) throw badOption("An artifact needs at least one file.");
  const texts = [
    type,
    artifactName,
    ...(artifactGroup === undefined ? [] : [artifactGroup]),
    ...deviceTypes,
    ...dependsName,
    ...dependsGroup,
    ...Object.entries(provides).flat(),
    ...Object.entries(depends).flatMap(([key, values]) => [key, ...values]),
    ...clears,
  ];
  for (const text of texts)
    if (!isText(text))
      throw badOption(
        `${JSON.stringify(text.slice(0, 80))} is empty, not printable or longer than 256 bytes.`,
      );
  for (const key of [...Object.keys(provides), ...Object.keys(depends)])
    if (["artifact_name", "artifact_group", "device_type"].includes(key))
      throw badOption(`${key} has an option of its own and cannot be given as a key of the payload.`);
  const names = new Set<string>();
  for (const { name } of files) {
    if (!isFileName(name))
      throw badOption(
        `The file name ${JSON.stringify(name)} has other characters than letters, digits and . , _ - (or too many).`,
      );
    if (names.has(name)) throw badOption(`Two files are called ${name}.`);
    names.add(name);
  }
}

function sha256(bytes: Uint8Array): string {
  return toHex(HASHES.sha256.digest(bytes));
}

function badOption(message: string): MenderError {
  return new MenderError("bad-artifact-option", message);
}
