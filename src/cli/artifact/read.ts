import { type Artifact, readArtifact } from "../../mender/artifact.js";
import { factsOf } from "../../mender/facts.js";
import { decompressors } from "../../sources/decompress.js";
import { readAs } from "../files.js";
import { type Output, printable, tone } from "../output.js";

/** Reads an artifact's file. Throws `FileError`, `MenderError`. */
export function artifactIn(file: string): Promise<Artifact> {
  return readAs(file, (content) => readArtifact(content, { decompressors }));
}

export async function read(file: string, out: Output): Promise<void> {
  const artifact = await artifactIn(file);
  out.result(describeArtifact(file, artifact), drawArtifact(file, artifact));
  if (artifact.signature)
    out.note("The checksums are right. To check the signature, run bootproof artifact verify --key FILE.");
  else out.note("The checksums are right, but the artifact is not signed: they do not show who made it.");
}

/** An artifact as JSON, without the payload's bytes. */
export function describeArtifact(file: string, artifact: Artifact) {
  const { header, typeInfo, metaData, scripts, files, compression, signature } = artifact;
  return {
    file,
    ...header,
    provides: typeInfo.provides,
    depends: typeInfo.depends,
    clears: typeInfo.clears,
    ...(metaData && { metaData }),
    scripts,
    files: files.map(({ name, sha256, bytes }) => ({ name, sha256, size: bytes.length })),
    compression,
    ...(signature && { signature }),
  };
}

export function drawArtifact(file: string, artifact: Artifact): string {
  const rows = [["file", file] as const, ...factsOf(artifact)];
  const width = Math.max(...rows.map(([what]) => what.length));
  return rows
    .map(([what, value]) => `${tone("dim", printable(what).padEnd(width))}  ${printable(value)}`)
    .join("\n");
}
