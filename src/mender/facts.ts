import { toHex } from "../bytes.js";
import type { Artifact } from "./artifact.js";

/** A fact of two artifacts that is not the same; undefined: it has none. */
export interface ArtifactDifference {
  readonly what: string;
  readonly before?: string;
  readonly after?: string;
}

/**
 * What differs between two artifacts, in the order of {@link factsOf}.
 *
 * @param before - by {@link readArtifact}
 * @param after - by {@link readArtifact}
 * @returns what only one of them says lacks the other side
 */
export function diffArtifacts(before: Artifact, after: Artifact): ArtifactDifference[] {
  const [a, b] = [new Map(factsOf(before)), new Map(factsOf(after))];
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((what) => {
    const [one, other] = [a.get(what), b.get(what)];
    if (one === other) return [];
    return [
      { what, ...(one !== undefined && { before: one }), ...(other !== undefined && { after: other }) },
    ];
  });
}

/**
 * All that an artifact says, as names and texts.
 *
 * @param artifact - by {@link readArtifact}
 * @returns pairs in a fixed order
 */
export function factsOf(artifact: Artifact): [what: string, value: string][] {
  const { header, typeInfo, metaData = {}, scripts, files, compression, signature } = artifact;
  const list = (values: readonly string[] | undefined) => values?.join(", ");
  const facts: [string, string | undefined][] = [
    ["artifact name", header.artifactName],
    ["artifact group", header.artifactGroup],
    ["payload type", header.payloadType ?? "none"],
    ["device types", list(header.deviceTypes)],
    ["depends on artifact name", list(header.dependsName)],
    ["depends on artifact group", list(header.dependsGroup)],
    ...Object.entries(typeInfo.depends).map(([key, values]): [string, string | undefined] => [
      `depends on ${key}`,
      list(values),
    ]),
    ...Object.entries(typeInfo.provides).map(([key, value]): [string, string] => [`provides ${key}`, value]),
    ["clears", typeInfo.clears.length > 0 ? list(typeInfo.clears) : undefined],
    ...Object.entries(metaData).map(([key, value]): [string, string] => [
      `meta-data ${key}`,
      JSON.stringify(value),
    ]),
    ...scripts.map(({ name, size }): [string, string] => [`script ${name}`, `${size} bytes`]),
    ...files.map(({ name, sha256, bytes }): [string, string] => [
      `file ${name}`,
      `${bytes.length} bytes, SHA-256 ${sha256}`,
    ]),
    ["compression of the header", compression.header],
    ["compression of the payload", compression.data],
    ["signature", signature && `${signature.length} bytes, ${toHex(signature).slice(0, 16)}…`],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
}
