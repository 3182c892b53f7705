import { basename } from "node:path";
import { toHex } from "../../bytes.js";
import { ImageError } from "../../mcuboot/header.js";
import { parseImage } from "../../mcuboot/image.js";
import { formatVersion } from "../../mcuboot/version.js";
import type { Json, JsonObject } from "../../tuf/canonical-json.js";
import { sha256Hex } from "../../tuf/hashes.js";
import { addTarget, describeRole, removeTarget } from "../../tuf/repository/draft-targets.js";
import { readInput } from "../files.js";
import { printable } from "../output.js";
import { pair } from "../pair.js";
import { UsageError } from "../usage-error.js";
import type { CommonOptions, Context } from "../verb-context.js";
import { openFolder, staged } from "./repository-inputs.js";

export interface AddOptions extends CommonOptions {
  path?: string;
  role: string;
  hardware?: string[];
  releaseCounter?: number;
  ecu?: string[];
  vehicle?: string;
  custom?: string;
  remove?: string[];
}

export async function add(
  path: string,
  files: readonly string[],
  options: AddOptions,
  context: Context,
): Promise<void> {
  const { remove = [], role, vehicle } = options;
  if (files.length === 0 && remove.length === 0 && vehicle === undefined)
    throw new UsageError("Name a file to add, or --remove PATH.");
  if (options.path !== undefined && files.length > 1) throw new UsageError("--path is the path of one file.");
  const { folder, state, expires } = openFolder(path);
  let next = state;
  for (const gone of remove) next = removeTarget(next, role, gone, expires);
  const contents = files.map((file) => ({ file, bytes: readInput(file) }));
  const added = contents.map(({ file, bytes }) => {
    const target = { path: options.path ?? basename(file), length: bytes.length, sha256: sha256Hex(bytes) };
    return { target: { ...target, custom: customOf(bytes, options) }, bytes };
  });
  for (const { target } of added) next = addTarget(next, role, target, expires);
  if (vehicle !== undefined) next = describeRole(next, role, { vehicleId: vehicle }, expires);
  for (const { target, bytes } of added) folder.addTarget(target.path, target.sha256, bytes);
  staged(
    folder,
    next,
    context,
    `${role} lists ${added.map(({ target }) => printable(target.path)).join(", ") || "less"}.`,
  );
}

/** What the role says of a target besides its content: what the image says of itself, and what the command line says. */
function customOf(bytes: Uint8Array, options: AddOptions): JsonObject | undefined {
  const { hardware, releaseCounter, ecu, custom } = options;
  const all: Record<string, Json> = {
    ...imageFacts(bytes),
    ...(hardware && { hardwareIds: hardware }),
    ...(ecu && { ecuIdentifiers: ecuIdentifiers(ecu) }),
    ...(releaseCounter !== undefined && { releaseCounter }),
    ...(custom !== undefined && parseCustom(custom)),
  };
  return Object.keys(all).length > 0 ? all : undefined;
}

function ecuIdentifiers(pairs: readonly string[]): JsonObject {
  return Object.fromEntries(
    pairs.map((text) => {
      const [serial, hardwareId] = pair(text, "--ecu", "SERIAL=HARDWARE-ID");
      return [serial, { hardwareId }];
    }),
  );
}

function imageFacts(bytes: Uint8Array): JsonObject {
  try {
    const { version, securityCounter, imageHash } = parseImage(bytes);
    return {
      version: formatVersion(version),
      ...(securityCounter !== undefined && { securityCounter }),
      ...(imageHash && { mcubootHash: toHex(imageHash.value) }),
    };
  } catch (error) {
    // Any file can be a target; only images have something to tell.
    if (error instanceof ImageError) return {};
    throw error;
  }
}

function parseCustom(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch {
    // Not JSON: said below, as for JSON that is no object.
  }
  throw new UsageError(`--custom "${text}" is not a JSON object.`);
}
