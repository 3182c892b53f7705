import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { readTar } from "../../src/formats/tar.js";
import type { RepositoryFetch } from "../../src/tuf/client.js";
import { TufError } from "../../src/tuf/error.js";

const folder = new URL("../vectors/uptane/", import.meta.url);

export type RepositoryName = "director" | "image_repo";

interface Outcome {
  readonly is_success: boolean;
  readonly err?: string;
}
export type ExpectedStep = Readonly<
  Record<RepositoryName, { readonly update: Outcome; readonly targets: Readonly<Record<string, Outcome>> }>
>;

export const expected: Readonly<Record<string, readonly ExpectedStep[]>> = JSON.parse(
  readFileSync(new URL("expected.json", folder), "utf8"),
);

/** Path below the archive's folder -> bytes. */
export function uptaneFiles(): ReadonlyMap<string, Uint8Array> {
  const archive = gunzipSync(readFileSync(new URL("vectors.tar.gz", folder)));
  const files = new Map<string, Uint8Array>();
  for (const { name, bytes } of readTar(archive)) files.set(name.replace(/^(\.\/)?upt\//, ""), bytes);
  return files;
}

/** One repository at one step. */
export function vectorFetch(
  files: ReadonlyMap<string, Uint8Array>,
  name: string,
  step: number,
  repository: RepositoryName,
): RepositoryFetch {
  const serve = async (file: string, maxLength: number) => {
    const bytes = files.get(`${name}/${step}/${repository}/${file}`);
    if (bytes && bytes.length > maxLength) throw new TufError("endless-data", file, `${file} is too long.`);
    return bytes;
  };
  return { metadata: serve, target: serve };
}
