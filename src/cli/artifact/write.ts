import { basename } from "node:path";
import { MenderError } from "../../mender/error.js";
import { type Depends, type MetaData, parseMetaData } from "../../mender/metadata.js";
import { softwareVersion, writeArtifact } from "../../mender/write.js";
import type { AddVerb } from "../add-verb.js";
import { readInput, writeOutput } from "../files.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, inContext } from "../verb-context.js";
import { keyValue } from "./verify.js";

interface WriteOptions extends CommonOptions {
  type: string;
  name: string;
  deviceType: string[];
  group?: string;
  provides?: string[];
  depends?: string[];
  clears?: string[];
  dependsName?: string[];
  dependsGroup?: string[];
  softwareFilesystem: string;
  softwareName?: string;
  softwareVersion?: string;
  /** Commander's `--no-`: true unless given. */
  defaultProvides: boolean;
  metaData?: string;
  force?: boolean;
}

export function defineWrite(verb: AddVerb): void {
  verb("write <artifact> <payload...>", "make an unsigned artifact, format 3, without compression")
    .requiredOption("-n, --name <name>", "the artifact's name, such as release-7")
    .requiredOption("-t, --device-type <type>", "a device type it is for (repeatable)", several)
    .option("-T, --type <type>", "the payload's type", "zephyr-image")
    .option("--group <group>", "the artifact's group")
    .option("--provides <key=value>", "what the payload provides (repeatable)", several)
    .option("--depends <key=value>", "what must already be provided; repeat a key for alternatives", several)
    .option("--clears <pattern>", "provided keys to clear, * for any text (repeatable)", several)
    .option(
      "--depends-name <name>",
      "an artifact that must be installed before; one of several (repeatable)",
      several,
    )
    .option("--depends-group <group>", "a group the device may be in (repeatable)", several)
    .option(
      "--software-filesystem <name>",
      "first part of the version's key; mender-artifact's own default is rootfs-image",
      "firmware",
    )
    .option("--software-name <name>", "second part of the version's key (default: the payload's type)")
    .option("--software-version <version>", "its value (default: the artifact's name)")
    .option("--no-default-provides", "neither provide nor clear the default version")
    .option("--meta-data <file>", "a JSON file for the program that installs the payload")
    .option("--force", "replace the file if it exists")
    .action((file: string, payload: string[], options: WriteOptions) =>
      inContext(options, async ({ out }) => {
        const artifact = writeArtifact(contentOf(payload, options));
        writeOutput(file, artifact, { overwrite: options.force ?? false });
        out.result(
          { file, bytes: artifact.length, name: options.name, signed: false },
          `${file}: ${artifact.length} bytes, NOT signed yet (bootproof artifact sign)`,
        );
      }),
    );
}

function contentOf(payload: readonly string[], options: WriteOptions) {
  const { type, name, deviceType, group, dependsName, dependsGroup } = options;
  const version = options.defaultProvides
    ? softwareVersion({
        filesystem: options.softwareFilesystem,
        name: options.softwareName ?? type,
        version: options.softwareVersion ?? name,
      })
    : { provides: {}, clears: [] };
  return {
    type,
    artifactName: name,
    deviceTypes: deviceType,
    ...(group !== undefined && { artifactGroup: group }),
    ...(dependsName && { dependsName }),
    ...(dependsGroup && { dependsGroup }),
    provides: {
      ...version.provides,
      ...Object.fromEntries((options.provides ?? []).map((pair) => keyValue("--provides", pair))),
    },
    depends: dependsOf(options.depends ?? []),
    clears: [...version.clears, ...(options.clears ?? [])],
    ...(options.metaData !== undefined && { metaData: readMetaData(options.metaData) }),
    files: payload.map((file) => ({ name: basename(file), bytes: readInput(file) })),
  };
}

function dependsOf(pairs: readonly string[]): Depends {
  const depends: Record<string, string[]> = {};
  for (const pair of pairs) {
    const [key, value] = keyValue("--depends", pair);
    depends[key] = [...(Object.hasOwn(depends, key) ? depends[key]! : []), value];
  }
  return depends;
}

function readMetaData(file: string): MetaData {
  try {
    return parseMetaData(readInput(file));
  } catch (error) {
    if (error instanceof MenderError) throw new UsageError(`--meta-data ${file}: ${error.message}`);
    throw error;
  }
}
