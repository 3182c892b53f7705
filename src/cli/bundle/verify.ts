import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { CarriedFile } from "../../uptane/verify-offline.js";
import { writeOutput } from "../files.js";
import { printable, table } from "../output.js";
import { timeFacts } from "../tuf/repository-place.js";
import type { CommonOptions, Context } from "../verb-context.js";
import { type BundleTrustOptions, verifyBundle } from "./open-bundle.js";

export interface BundleVerifyOptions extends CommonOptions, BundleTrustOptions {
  extract?: string;
}

export async function verify(place: string, options: BundleVerifyOptions, context: Context): Promise<void> {
  const { directions, time, director } = await verifyBundle(place, options, context);
  const { images, artifacts, ...rest } = directions;
  if (options.extract !== undefined)
    for (const file of [...images, ...artifacts]) extract(options.extract, file);
  const facts = {
    bundle: place,
    director,
    ...rest,
    images: images.map(({ bytes: _bytes, target, ...image }) => ({ ...targetFacts(target), ...image })),
    artifacts: artifacts.map(({ target, role }) => ({ ...targetFacts(target), role })),
    time: timeFacts(time),
  };
  const rows = [
    ...images.map(({ target, hardwareIds, releaseCounter, role }) => [
      printable(hardwareIds.join(", ")),
      printable(target.path),
      String(target.length),
      releaseCounter === undefined ? "-" : String(releaseCounter),
      printable(role),
    ]),
    ...artifacts.map(({ target, role }) => [
      "-",
      printable(target.path),
      String(target.length),
      "-",
      printable(role),
    ]),
  ];
  context.out.result(
    facts,
    `${printable(rest.name)} ${rest.version}, good until ${rest.expires} (time ${facts.time.now}, from ${time.source})\n${table(
      ["hardware", "file", "bytes", "release counter", "vouched for by"],
      rows,
    )}`,
  );
}

const targetFacts = ({ path, length, hashes }: CarriedFile["target"]) => ({
  target: path,
  length,
  hashes: Object.fromEntries(hashes),
});

/** The path was checked when the file was read: it stays below the folder. */
function extract(folder: string, { target, bytes }: CarriedFile): void {
  const file = join(folder, ...target.path.split("/"));
  mkdirSync(dirname(file), { recursive: true });
  writeOutput(file, bytes, { overwrite: false });
}
