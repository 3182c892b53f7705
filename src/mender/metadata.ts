import { JsonError, parseStrictJson } from "../formats/strict-json.js";
import { badArtifact } from "./error.js";

/** Keys and values an artifact brings. */
export type Provides = Readonly<Record<string, string>>;

/** Keys and, for each, the values of which one must be there before. */
export type Depends = Readonly<Record<string, readonly string[]>>;

/** `header-info`: what the artifact is and for which devices. */
export interface HeaderInfo {
  /** Type of the payload; null for an artifact that only changes what is provided. */
  readonly payloadType: string | null;
  readonly artifactName: string;
  readonly artifactGroup?: string;
  readonly deviceTypes: readonly string[];
  /** Names of which one must be installed before. */
  readonly dependsName?: readonly string[];
  readonly dependsGroup?: readonly string[];
}

/** `type-info`: what goes with the payload. */
export interface TypeInfo {
  readonly type: string | null;
  readonly provides: Provides;
  readonly depends: Depends;
  /** Patterns, only `*` is special: what is provided and matches is forgotten. */
  readonly clears: readonly string[];
}

/** Values of `meta-data`. */
export type MetaData = Readonly<Record<string, string | number | readonly (string | number)[]>>;

/** Longest text, bytes. */
const MAX_TEXT = 256;
const MAX_LIST = 256;

/** Keys that `header-info` itself speaks for. */
const HEADER_KEYS: readonly string[] = ["artifact_name", "artifact_group", "device_type"];

/** Reads `header-info`. Throws `MenderError`. */
export function parseHeaderInfo(bytes: Uint8Array): HeaderInfo {
  const info = json(bytes, "header-info");
  const top = fields(info, "header-info", ["payloads", "artifact_provides", "artifact_depends"]);
  const provides = fields(top.artifact_provides, "artifact_provides", ["artifact_name", "artifact_group"]);
  const depends = fields(top.artifact_depends, "artifact_depends", [
    "device_type",
    "artifact_name",
    "artifact_group",
  ]);
  const artifactName = text(provides.artifact_name, "artifact_provides.artifact_name");
  const deviceTypes = texts(depends.device_type, "artifact_depends.device_type");
  if (deviceTypes.length === 0) throw badArtifact("The artifact names no device type.");
  return {
    payloadType: payloadType(top.payloads),
    artifactName,
    ...(provides.artifact_group !== undefined && {
      artifactGroup: text(provides.artifact_group, "artifact_provides.artifact_group"),
    }),
    deviceTypes,
    ...(depends.artifact_name !== undefined && {
      dependsName: texts(depends.artifact_name, "artifact_depends.artifact_name"),
    }),
    ...(depends.artifact_group !== undefined && {
      dependsGroup: texts(depends.artifact_group, "artifact_depends.artifact_group"),
    }),
  };
}

/** Reads `type-info`, which must go with `header`. Throws `MenderError`. */
export function parseTypeInfo(bytes: Uint8Array, header: HeaderInfo): TypeInfo {
  const keys = ["type", "artifact_provides", "artifact_depends", "clears_artifact_provides"];
  const info = fields(json(bytes, "type-info"), "type-info", keys);
  const type = info.type === null ? null : text(info.type, "type-info.type");
  if (type !== header.payloadType)
    throw badArtifact(`type-info is of type ${type}, but header-info announces ${header.payloadType}.`);
  const provides = map(info.artifact_provides ?? {}, "type-info.artifact_provides", text);
  const depends = map(info.artifact_depends ?? {}, "type-info.artifact_depends", (value, what) =>
    typeof value === "string" ? [text(value, what)] : texts(value, what),
  );
  for (const key of [...Object.keys(provides), ...Object.keys(depends)])
    if (HEADER_KEYS.includes(key)) throw badArtifact(`type-info repeats ${key}, which header-info defines.`);
  const clears = texts(info.clears_artifact_provides ?? [], "type-info.clears_artifact_provides");
  return { type, provides, depends, clears };
}

/**
 * Reads `meta-data`: one level of texts, numbers and lists of them.
 *
 * @param bytes - JSON
 * @returns the fields as they are
 * @throws `MenderError`
 */
export function parseMetaData(bytes: Uint8Array): MetaData {
  return map(json(bytes, "meta-data"), "meta-data", (value, what) => {
    const scalar = (one: unknown) =>
      typeof one === "string" || (typeof one === "number" && Number.isFinite(one));
    if (scalar(value)) return value as string | number;
    if (Array.isArray(value) && value.every(scalar)) return value as (string | number)[];
    throw badArtifact(`${what} is neither a text, a number nor a list of them.`);
  });
}

/** The bytes of `header-info`, keys in the order that mender-artifact writes them in. */
export function formatHeaderInfo(info: HeaderInfo): Uint8Array {
  const { payloadType: type, artifactName, artifactGroup, deviceTypes, dependsName, dependsGroup } = info;
  return encode({
    payloads: [{ type }],
    artifact_provides: {
      artifact_name: artifactName,
      ...(artifactGroup !== undefined && { artifact_group: artifactGroup }),
    },
    artifact_depends: {
      ...(dependsName && { artifact_name: dependsName }),
      device_type: deviceTypes,
      ...(dependsGroup && { artifact_group: dependsGroup }),
    },
  });
}

/** The bytes of `type-info`. Empty parts are left out; a dependency on one value is a text, as mender-artifact has it. */
export function formatTypeInfo({ type, provides, depends, clears }: TypeInfo): Uint8Array {
  const short = Object.entries(depends).map(([key, values]) => [
    key,
    values.length === 1 ? values[0] : values,
  ]);
  return encode({
    type,
    ...(Object.keys(provides).length > 0 && { artifact_provides: sorted(provides) }),
    ...(Object.keys(depends).length > 0 && { artifact_depends: sorted(Object.fromEntries(short)) }),
    ...(clears.length > 0 && { clears_artifact_provides: clears }),
  });
}

export function formatMetaData(metaData: MetaData): Uint8Array {
  return encode(sorted(metaData));
}

function sorted<T>(values: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function json(bytes: Uint8Array, what: string): unknown {
  try {
    return parseStrictJson(bytes, { maxDepth: 8 });
  } catch (error) {
    if (error instanceof JsonError) throw badArtifact(`${what}: ${error.message}`, error);
    throw error;
  }
}

function payloadType(value: unknown): string | null {
  if (!Array.isArray(value) || value.length !== 1)
    throw badArtifact("header-info.payloads is not a list of exactly one payload.");
  const { type } = fields(value[0], "header-info.payloads[0]", ["type"]);
  return type === null ? null : text(type, "header-info.payloads[0].type");
}

/** An object with some of these keys and no other. */
function fields(value: unknown, what: string, known: readonly string[]): Record<string, unknown> {
  const entries = Object.entries(object(value, what));
  for (const [key] of entries)
    if (!known.includes(key))
      throw badArtifact(`${what} has an unknown key ${JSON.stringify(key.slice(0, 80))}.`);
  return Object.fromEntries(entries);
}

function object(value: unknown, what: string): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw badArtifact(value === undefined ? `${what} is missing.` : `${what} is not an object.`);
}

function map<T>(value: unknown, what: string, read: (value: unknown, what: string) => T): Record<string, T> {
  const entries = Object.entries(object(value, what));
  if (entries.length > MAX_LIST) throw badArtifact(`${what} has more than ${MAX_LIST} keys.`);
  return Object.fromEntries(
    entries.map(([key, one]) => [text(key, `a key of ${what}`), read(one, `${what}.${key.slice(0, 80)}`)]),
  );
}

function texts(value: unknown, what: string): string[] {
  if (!Array.isArray(value) || value.length > MAX_LIST)
    throw badArtifact(value === undefined ? `${what} is missing.` : `${what} is not a list of texts.`);
  return value.map((one, index) => text(one, `${what}[${index}]`));
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string")
    throw badArtifact(value === undefined ? `${what} is missing.` : `${what} is not a text.`);
  if (!isText(value)) throw badArtifact(`${what} has no, unprintable or more than ${MAX_TEXT} bytes.`);
  return value;
}

/** A text as metadata may hold it: 1 to 256 bytes, all printable. */
export function isText(value: string): boolean {
  const length = new TextEncoder().encode(value).length;
  return length > 0 && length <= MAX_TEXT && !/[\p{C}\p{Zl}\p{Zp}]/u.test(value);
}
