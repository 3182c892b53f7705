import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { FetchOptions } from "../sources/http.js";
import { isContainer as isContainerOf, openSource } from "../sources/open.js";
import { failedCheck, type Payload, type Source, type SourceCheck, SourceError } from "../sources/source.js";
import { checkByTuf, type FindCarried, type FindTarget } from "../sources/tuf.js";
import { artifactKeys, keyValue } from "./artifact/verify.js";
import { recorder } from "./audit/recorder.js";
import { recordSourceRefusal } from "./audit/source-refusal.js";
import type { BundleTrustOptions } from "./bundle/open-bundle.js";
import { FileError, readInput } from "./files.js";
import { readImageFile } from "./firmware-file.js";
import { mustBeOneFile, readContent } from "./image-input.js";
import { printable, tone } from "./output.js";
import { partialDownload } from "./partial-download.js";
import type { SourceOptions } from "./source-options.js";
import { STDIN } from "./standard-input.js";
import type { Context } from "./verb-context.js";

/** Opens an update. What it says of itself goes to stderr. Throws `SourceError`, `FileError` and those of the formats. */
export async function openUpdate(where: string, options: SourceOptions, context: Context): Promise<Source> {
  const { config, signal } = context;
  // As with --key: what the command line says replaces what the config file says.
  const named = options.artifactKey ?? [];
  const keys = await artifactKeys(named.length > 0 ? named : (config.artifactKeys ?? []));
  const { deviceType, provides, from, expectSha256 } = options;
  mustBeOneFile(where, expectSha256);
  const source = await openSource(where, {
    files: {
      ...SOURCE_FILES,
      // Compared each time it is read: somebody might change it in between.
      read: (path) => readContent(path, path === where ? expectSha256 : undefined),
      readImage: (path) => imageIn(path, context, path === where ? expectSha256 : undefined),
    },
    fetch: { ...fetchOptions(options), signal, partialOf: partialDownload },
    findTarget: lazyFindTarget(context, from),
    findCarried: lazyFindCarried(context, options.bundleTrust ?? {}),
    ...(keys.length > 0 && { artifactKeys: keys }),
    ...(deviceType !== undefined && { deviceType }),
    ...(provides && { provides: Object.fromEntries(provides.map((pair) => keyValue("--provides", pair))) }),
  }).catch(recordSourceRefusal);
  tellSource(source, context);
  return source;
}

/** How files are fetched: whom to trust, and the limits. */
export function fetchOptions(options: SourceOptions): FetchOptions {
  const { ca = [], fetchMaxBytes, fetchMinRate, fetchTimeout } = options;
  return {
    ca: ca.map((file) => new TextDecoder().decode(readInput(file))),
    maxBytes: fetchMaxBytes,
    minRate: fetchMinRate,
    patienceMs: fetchTimeout === undefined ? undefined : fetchTimeout * 1000,
  };
}

/** Asks TUF repositories; their client is loaded when there is something to ask. */
function lazyFindTarget(context: Context, from: string | undefined): FindTarget {
  let find: Promise<FindTarget> | undefined;
  return async (repository, path) => {
    find ??= import("./tuf/find-target.js").then(({ findTargetFor }) => findTargetFor(context, from));
    return (await find)(repository, path);
  };
}

function lazyFindCarried(context: Context, trust: BundleTrustOptions): FindCarried {
  return async (bundle, hardwareId) => {
    const { findCarried } = await import("./bundle/open-bundle.js");
    return findCarried(bundle, hardwareId, trust, context);
  };
}

/**
 * The same for an image that is at hand and must be a target of a TUF repository.
 *
 * @param repository - `REPOSITORY#PATH`, or the repository alone for a target of the file's name
 */
export async function openUpdateOfTuf(
  file: string,
  repository: string,
  options: SourceOptions,
  context: Context,
): Promise<Source> {
  const [name, path = basename(file)] = repository.split("#", 2) as [string, string?];
  const source = await openUpdate(file, options, context);
  const target = { repository: name, path };
  const check = await checkByTuf(readInput(file), target, lazyFindTarget(context, options.from)).catch(
    recordSourceRefusal,
  );
  tellChecks([check], context);
  return { ...source, checks: [...source.checks, check] };
}

/** Refuses a source whose own checks failed. Throws `SourceError` `not-vouched`. */
export function mustBeVouched(source: Source): void {
  const failed = failedCheck(source);
  if (!failed) return;
  // The log says which link of the chain refused.
  recorder()?.record({
    type: "refusal",
    rule: `source/${failed.name}`,
    result: "refused",
    detail: { source: source.kind, message: failed.message },
  });
  throw new SourceError("not-vouched", `${source.name}: ${failed.message}`, {
    hint: "Nothing was sent. Get the update again from its publisher.",
  });
}

/** What came over a network is only used when a key says whose it is. Throws `SourceError` `not-vouched`. */
export function mustBeVerifiable(source: Source, isVerified: boolean): void {
  if (!source.transport || isVerified) return;
  recorder()?.record({
    type: "refusal",
    rule: "source/key",
    result: "refused",
    detail: { source: source.kind, message: "fetched, and no key was given to check its signature" },
  });
  throw new SourceError(
    "not-vouched",
    `${source.name} came over a network, and no key was given to check its signature.`,
    {
      hint: "Give the public key with --key FILE. The signature check cannot be skipped for a downloaded file.",
    },
  );
}

/** The one image that a verb can use: the only one, or that of the number given. Throws `SourceError`. */
export function onePayload(source: Source, imageNumber: number | undefined): Payload {
  const { payloads, name } = source;
  const fitting = payloads.filter(
    ({ image = 0, slot = 0 }) => slot === 0 && (imageNumber === undefined || image === imageNumber),
  );
  // A single image is taken whatever number its source gives it.
  const [only] = payloads.length === 1 ? payloads : fitting;
  if (only && (payloads.length === 1 || fitting.length === 1)) return only;
  const numbers = [...new Set(payloads.map(({ image = 0 }) => image))].join(", ");
  throw new SourceError("bad-source", `${name} holds the images ${numbers}; only one can be used here.`, {
    hint: "Choose one with --image N.",
  });
}

/** The builds of one image for execute in place; none when its source tells no slots. */
export function variantsOf({ payloads }: Source, imageNumber: number | undefined): Payload[] {
  return payloads.filter(({ image = 0, slot }) => slot !== undefined && image === (imageNumber ?? 0));
}

const TITLES: Readonly<Record<Source["kind"], string>> = {
  file: "file",
  bundle: "build bundle",
  "build-folder": "build folder",
  mender: "Mender artifact",
  tuf: "TUF target",
  "offline-bundle": "bundle for offline updates",
};

const MARKS: Readonly<Record<SourceCheck["result"], string>> = {
  pass: tone("good", "pass"),
  fail: tone("bad", "FAIL"),
  warn: tone("warn", "note"),
  "not-checked": tone("dim", " -  "),
};

function tellSource(source: Source, { out }: Context): void {
  const { kind, name, payloads, checks, vouchedBy, transport, build } = source;
  if (transport) {
    const { finalUrl, bytes, resumed, reused, certificate } = transport;
    const how = certificate === undefined ? "without TLS" : `certificate ${certificate.slice(0, 16)}`;
    const earlier = reused === undefined ? "" : `, ${reused} of them kept by an earlier run`;
    const again = resumed === 0 ? earlier : `${earlier}, went on ${resumed} times`;
    out.note(
      `Fetched ${bytes} bytes from ${printable(finalUrl)} (${how}${again}). This does not show who made them.`,
    );
  }
  if (kind === "file") return;
  const list = payloads
    .map((one) => `${one.name}${one.image === undefined ? "" : ` (image ${one.image})`}`)
    .join(", ");
  out.note(`${TITLES[kind]} ${printable(name)}: ${printable(list)}`);
  tellChecks(checks, { out });
  if (build) {
    const facts = [build.mode, build.signatureType, build.keyFile].filter((fact) => fact !== undefined);
    if (facts.length > 0) out.note(`  built for: ${printable(facts.join(", "))}`);
  }
  out.note(`  vouched for by: ${vouchedBy ?? "only the signature in each image"}`);
}

function tellChecks(checks: readonly SourceCheck[], { out }: Pick<Context, "out">): void {
  for (const { name, result, message } of checks)
    out.note(`  ${MARKS[result]}  ${name.padEnd(17)} ${printable(message)}`);
}

/** A source for `--json`, without the payloads' bytes. */
export function describeSource({ payloads, ...rest }: Source) {
  return { ...rest, payloads: payloads.map(({ bytes, ...one }) => ({ ...one, size: bytes.length })) };
}

/** How sources read this machine's files. */
export const SOURCE_FILES = {
  read: (path: string) => readContent(path),
  exists: (path: string) => path === STDIN || existsSync(path),
  isFolder,
  list: listFolder,
  join,
};

/** Is this more than the file of one image? */
export function isContainer(where: string): boolean {
  return isContainerOf(where, SOURCE_FILES);
}

function imageIn(path: string, { out }: Pick<Context, "out">, expected: string | undefined): Uint8Array {
  const { bytes, notes } = readImageFile(path, readContent(path, expected));
  for (const sentence of notes) out.note(printable(sentence));
  return bytes;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (cause) {
    throw new FileError(
      "file-unreadable",
      path,
      `Cannot read the folder ${path}: ${(cause as Error).message}.`,
      {
        cause,
        hint: "Do you have permission to read it?",
      },
    );
  }
}
