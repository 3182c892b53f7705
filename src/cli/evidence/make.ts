import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { toHex } from "../../bytes.js";
import type { Key } from "../../crypto/keys.js";
import { parseImage } from "../../mcuboot/image.js";
import { formatVersion } from "../../mcuboot/version.js";
import { renameOver } from "../../rename-over.js";
import { readFacts, runningSlot } from "../../session/board-facts.js";
import type { BoardFacts } from "../../session/facts.js";
import { openEnvelope, parseEnvelope, signEnvelope } from "../../trust/dsse.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { formatVerifierKey, parseVerifierKey } from "../../trust/signed-note.js";
import { formatStatement, IN_TOTO, parseStatement } from "../../trust/statement.js";
import { parseProof, verifyProof } from "../../trust/tlog-proof.js";
import { noteVerifier } from "../../trust-store/log-key.js";
import { openAuditLog } from "../audit/open-log.js";
import { recorder } from "../audit/recorder.js";
import type { BoardOptions } from "../board-options.js";
import { type Context, onBoard, readKeys } from "../context.js";
import { FileError, naming, readInput } from "../files.js";
import { toJsonText } from "../output.js";
import { readPolicyFile } from "../policy/policy-options.js";
import { openSigner, type SigningOptions, wayOf } from "../signing/choose.js";
import { UsageError } from "../usage-error.js";
import { version } from "../version.js";
import { type PackPart, type PartKind, packPage } from "./page.js";

/** Predicate of a pack; the page in it describes it. */
export const EVIDENCE_PREDICATE = "urn:x-bootproof:attestation:evidence:v1";

export interface EvidenceOptions extends BoardOptions, Omit<SigningOptions, "publicKey"> {
  about?: string;
  image?: string;
  statement?: string[];
  report?: string[];
  sbom?: string;
  policyFile?: string;
  logProof?: string[];
  logKey?: string;
  trustedKey?: string[];
}

interface Part extends PackPart {
  readonly content: Uint8Array;
}

/** Gathers what an auditor asks for into one folder, signed; nothing is left behind when something is wrong with it. */
export async function makeEvidence(
  folder: string,
  options: EvidenceOptions,
  context: Context,
): Promise<void> {
  if (existsSync(folder))
    throw new FileError("file-exists", folder, `${folder} is there already.`, { hint: "Name a new folder." });
  const way = wayOf(options, ["key", "signerCommand", "pkcs11Module"]);
  const parts: Part[] = [];
  const add = (kind: PartKind, path: string, content: Uint8Array) => {
    if (parts.some((part) => part.path === path))
      throw new UsageError(`Two files of the pack would be called ${path}.`, "Rename one of them.");
    parts.push({ kind, path, content });
  };
  const keys = await readKeys(options.trustedKey ?? [], context.out);
  for (const file of options.trustedKey ?? []) add("key", `keys/${basename(file)}`, readInput(file));
  const image =
    options.image === undefined ? undefined : await naming(options.image, () => readImage(options.image!));
  if (image) add("image", `image/${basename(options.image!)}`, image.content);
  for (const file of options.statement ?? []) {
    const content = readInput(file);
    add(await statementKind(file, content, keys, image), `statements/${basename(file)}`, content);
  }
  for (const file of options.report ?? []) {
    const content = readInput(file);
    mustBeReport(file, content);
    add("report", `reports/${basename(file)}`, content);
  }
  if (options.sbom !== undefined) {
    const content = readInput(options.sbom);
    mustBeSbom(options.sbom, content);
    add("sbom", `sbom/${basename(options.sbom)}`, content);
  }
  if (options.policyFile !== undefined) {
    await readPolicyFile(options.policyFile);
    add("policy", `policy/${basename(options.policyFile)}`, readInput(options.policyFile));
  }
  if (options.logProof !== undefined) {
    const key = options.logKey ?? (await ownLogKey(context.signal));
    add("log-key", "log/log.vkey", encode(`${key}\n`));
    for (const file of options.logProof) {
      const content = readInput(file);
      await verifyProof(parseProof(new TextDecoder().decode(content)), [noteVerifier(parseVerifierKey(key))]);
      add("log-proof", `log/${basename(file)}`, content);
    }
  }
  const finish = (board?: { facts: BoardFacts; identity: BoardIdentity }) =>
    write(folder, { parts, image, board, way, options }, context);
  if (options.device === undefined) {
    if (parts.length === 0)
      throw new UsageError(
        "The pack would be empty.",
        "Name what goes into it: --image, --statement, -d BOARD, ...",
      );
    return finish();
  }
  await onBoard(options, context, async (session, identity) => {
    const facts = await readFacts(session, { signal: context.signal });
    add("board", "board.json", encode(`${toJsonText(facts)}\n`));
    await finish({ facts, identity });
  });
}

interface PackedImage {
  readonly content: Uint8Array;
  readonly sha256: string;
  readonly hash?: string;
  readonly version: string;
  readonly securityCounter?: number;
}

/** How reports of prove begin, by the ending of their names. */
const REPORT_STARTS: Readonly<Record<string, RegExp>> = {
  ".html": /^<!doctype html>/i,
  ".xml": /^<\?xml [^>]*>\s*<testsuites?\b/,
  ".json": /^\{\s*"format": ?"bootproof proof 1"/,
};

/** The pack's page says that a report shows what prove tried: another file must not be taken for one. */
function mustBeReport(file: string, content: Uint8Array): void {
  const start = new TextDecoder().decode(content.subarray(0, 1000));
  if (!REPORT_STARTS[extname(file).toLowerCase()]?.test(start))
    throw new UsageError(`${file} is not a report of prove.`, "bootproof prove --report FILE writes one.");
}

/** Only the two formats that auditors' tools read: CycloneDX and SPDX (2 and 3), as JSON. */
function mustBeSbom(file: string, content: Uint8Array): void {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
  } catch {
    document = undefined; // not JSON, or not UTF-8
  }
  const { bomFormat, specVersion, spdxVersion, ...rest } = (document ?? {}) as Record<string, unknown>;
  const isCycloneDx = bomFormat === "CycloneDX" && typeof specVersion === "string";
  const isSpdx2 = typeof spdxVersion === "string" && /^SPDX-\d/.test(spdxVersion);
  const isSpdx3 = /spdx\.org\/rdf\/3\./.test(JSON.stringify(rest["@context"] ?? ""));
  if (!isCycloneDx && !isSpdx2 && !isSpdx3)
    throw new UsageError(
      `${file} is not a software bill of materials in CycloneDX or SPDX, as JSON.`,
      "A CycloneDX file has bomFormat and specVersion, an SPDX file spdxVersion (or, from 3.0, its @context).",
    );
}

function readImage(file: string): PackedImage {
  const content = readInput(file);
  const { imageHash, version: itsVersion, securityCounter } = parseImage(content);
  return {
    content,
    sha256: sha256(content),
    ...(imageHash && { hash: toHex(imageHash.value) }),
    version: formatVersion(itsVersion),
    ...(securityCounter === undefined ? {} : { securityCounter }),
  };
}

/** A statement has to be signed by one of the keys in the pack, and an update's to be about the image in it. */
async function statementKind(
  file: string,
  content: Uint8Array,
  keys: readonly Key[],
  image: PackedImage | undefined,
): Promise<PartKind> {
  if (keys.length === 0)
    throw new UsageError(
      `Name the public key that signed ${file}: --trusted-key FILE.`,
      "It goes into the pack, so that somebody else can check the statement.",
    );
  const envelope = await naming(file, () => parseEnvelope(new TextDecoder().decode(content)));
  const { payload } = await openEnvelope(envelope, { keys, payloadType: IN_TOTO });
  const { predicateType, subject } = parseStatement(payload);
  if (predicateType.includes("test-result")) return "prove-statement";
  const isOfImage = image !== undefined && subject.some(({ digest }) => digest.sha256 === image.sha256);
  if (image !== undefined && !isOfImage)
    throw new UsageError(`${file} is about another file than ${image.version}, the image of this pack.`);
  return predicateType.includes("provenance") ? "provenance" : "flash-attestation";
}

async function ownLogKey(signal: AbortSignal): Promise<string> {
  const log = openAuditLog(signal);
  const { checkpoint } = await log.checkpoint(log.newest());
  return formatVerifierKey(log.verifier(checkpoint.origin));
}

interface Pack {
  readonly parts: readonly Part[];
  readonly image: PackedImage | undefined;
  readonly board: { readonly facts: BoardFacts; readonly identity: BoardIdentity } | undefined;
  readonly way: ReturnType<typeof wayOf>;
  readonly options: EvidenceOptions;
}

async function write(folder: string, pack: Pack, { out, signal }: Context): Promise<void> {
  const { parts, image, board, way, options } = pack;
  const about = options.about ?? (image ? `version ${image.version}` : basename(folder));
  const page = encode(packPage(about.replace(/[\r\n|`]/g, " "), parts));
  const files = [{ path: "README.md", content: page }, ...parts];
  const comparison = board && compare(board.facts, image);
  const predicate = {
    about,
    ...(image && {
      image: {
        sha256: image.sha256,
        ...(image.hash !== undefined && { hash: image.hash }),
        version: image.version,
        ...(image.securityCounter !== undefined && { securityCounter: image.securityCounter }),
      },
    }),
    ...(board && {
      board: { ...(board.identity.id !== undefined && { id: board.identity.id }), ...comparison },
    }),
    tool: `bootproof ${version()}`,
    madeOn: new Date().toISOString(),
  };
  const subject = files.map(({ path, content }) => ({ name: path, digest: { sha256: sha256(content) } }));
  const chosen = (await openSigner(way, options, { signal, context: { purpose: "evidence" } }))!;
  let envelope: Uint8Array;
  try {
    envelope = encode(
      await signEnvelope(IN_TOTO, formatStatement(subject, EVIDENCE_PREDICATE, predicate), [chosen.signer]),
    );
  } finally {
    chosen.close();
  }
  const id = sha256(envelope);
  const top = `evidence-${id}.intoto.json`;
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  for (const { path, content } of [...files, { path: top, content: envelope }]) {
    mkdirSync(dirname(join(fresh, path)), { recursive: true });
    writeFileSync(join(fresh, path), content);
  }
  renameOver(fresh, folder);
  const keyHash = toHex(chosen.signer.publicKey.keyHash);
  recorder()?.record({ type: "attest", result: "ok", detail: { what: "evidence", evidence: id, keyHash } });
  const text =
    comparison?.runsImage === undefined
      ? ""
      : `\nThe board runs ${comparison.runsImage ? "this very image" : "ANOTHER image"}, says the board.`;
  out.result(
    {
      folder,
      id,
      top,
      files: files.map(({ path }) => path),
      signedBy: keyHash,
      ...(comparison && { board: comparison }),
    },
    `${folder}: ${files.length} files under ${top}.${text}\nKeep its name elsewhere: it is the SHA-256 of the signed file.`,
  );
}

/** What the board reports to run, beside the image of the pack. */
function compare(facts: BoardFacts, image: PackedImage | undefined) {
  const running = runningSlot(facts)?.content;
  const runningHash = running?.hash && toHex(running.hash);
  const stored = facts.images[0]?.storedCounter?.value;
  return {
    ...(running && { runningVersion: running.version }),
    ...(runningHash && { runningHash }),
    ...(stored !== undefined && { storedCounter: stored }),
    ...(runningHash && image?.hash !== undefined && { runsImage: runningHash === image.hash }),
  };
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
