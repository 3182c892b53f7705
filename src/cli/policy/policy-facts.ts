import { toHex } from "../../bytes.js";
import { HASHES } from "../../crypto/hashes.js";
import type { Key } from "../../crypto/keys.js";
import { publishedKeyName } from "../../crypto/published-keys.js";
import { tailOf } from "../../mcuboot/file-tail.js";
import { type Image, parseImage } from "../../mcuboot/image.js";
import { TLV } from "../../mcuboot/tlv.js";
import { formatVersion, parseVersion, VersionError } from "../../mcuboot/version.js";
import { runningSlot } from "../../session/board-facts.js";
import type { BoardFacts } from "../../session/facts.js";
import type { PolicyFacts } from "../../trust/policy-rules.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { names, type Statement } from "../../trust/statement.js";
import { revertsUnconfirmed } from "../../update/revert-checks.js";
import { orderOfVersions } from "../audit/ratchet-memory.js";
import type { ChosenPolicy } from "./policy-options.js";

/** Types that imgtool leaves to vendors. */
const CUSTOM_TLVS = { from: 0xa0, to: 0xfffe } as const;

/** What rules ask of an image. `signedBy`: the key whose signature was verified. */
export function imageFacts(file: Uint8Array, signedBy: Key | undefined): NonNullable<PolicyFacts["image"]> {
  const image = parseImage(file);
  const tail = tailOf(file, image);
  const custom = image.tlvs.filter(
    (tlv) => tlv.protected && tlv.type >= CUSTOM_TLVS.from && tlv.type <= CUSTOM_TLVS.to,
  );
  return {
    ...(image.imageHash && { hash: toHex(image.imageHash.value) }),
    version: formatVersion(image.version),
    ...(image.securityCounter === undefined ? {} : { counter: image.securityCounter }),
    ...(signedBy && { signedBy: signerFacts(signedBy) }),
    ...tlvValue(image, TLV.UUID_VID, "vendorId"),
    ...tlvValue(image, TLV.UUID_CID, "classId"),
    tlvs: Object.fromEntries(
      custom.map(({ type, value }) => [`0x${type.toString(16).padStart(4, "0")}`, toHex(value)]),
    ),
    isPreConfirmed: tail.kind === "trailer" && tail.intent === "confirmed",
  };
}

function signerFacts(key: Key) {
  const published = publishedKeyName(key.keyHash);
  return { type: key.type, hash: toHex(key.keyHash), ...(published !== undefined && { published }) };
}

function tlvValue(image: Image, type: number, name: "vendorId" | "classId") {
  const tlv = image.tlvs.find((one) => one.protected && one.type === type);
  return tlv && { [name]: toHex(tlv.value) };
}

/** What rules ask of a board. */
export function boardFacts(
  facts: BoardFacts | undefined,
  identity: BoardIdentity | undefined,
  imageNumber: number,
): NonNullable<PolicyFacts["board"]> {
  const stored = facts?.images.find(({ image }) => image === imageNumber)?.storedCounter?.value;
  const running = facts && runningSlot(facts, imageNumber)?.content?.version;
  return {
    ...(identity?.id === undefined
      ? { noIdentityBecause: identity?.reason ?? "there was no board." }
      : { identity: identity.id }),
    ...(stored === undefined ? {} : { storedCounter: stored }),
    ...(running !== undefined && isVersion(running) ? { runningVersion: asVersion(running) } : {}),
    ...(facts?.bootloader?.mode === undefined ? {} : { canRevert: revertsUnconfirmed(facts) }),
    ...(facts?.trustedKeys && { trustedKeys: facts.trustedKeys.map(({ hash }) => toHex(hash)) }),
  };
}

/** Boards write the build number behind a dot. */
const asVersion = (text: string): string => text.replace(/^(\d+\.\d+\.\d+)\.(\d+)$/, "$1+$2");

function isVersion(text: string): boolean {
  try {
    parseVersion(asVersion(text));
    return true;
  } catch (error) {
    if (error instanceof VersionError) return false;
    throw error;
  }
}

/** The provenance that was given, applied to an image: SLSA names files by SHA-256; the image hash counts as well. */
export function provenanceFacts(
  { provenance }: ChosenPolicy,
  file: Uint8Array,
  imageHash: string | undefined,
): Pick<PolicyFacts, "provenance"> {
  if (provenance === undefined) return {};
  const { statement, signedBy } = provenance;
  const digest = toHex(HASHES.sha256.digest(file));
  const namesImage = names(statement, digest) || (imageHash !== undefined && names(statement, imageHash));
  const builder = (statement.predicate.runDetails as { builder?: { id?: unknown } } | undefined)?.builder?.id;
  return {
    provenance: { namesImage, signedBy, ...(typeof builder === "string" && { builder }) },
  };
}

/** What came with the image beside its provenance. */
export function companionFacts({
  sbom,
  proof,
  provenance,
}: ChosenPolicy): Pick<PolicyFacts, "sbom" | "proof"> {
  return {
    ...(sbom !== undefined && {
      sbom: {
        digest: sbom,
        isNamedByProvenance: provenance !== undefined && mentions(provenance.statement, sbom),
      },
    }),
    ...(proof && { proof }),
  };
}

/** A subject, a dependency or a by-product of the build has this SHA-256. */
function mentions(statement: Statement, sha256: string): boolean {
  const { buildDefinition, runDetails } = statement.predicate as Readonly<
    Record<string, Readonly<Record<string, unknown>> | undefined>
  >;
  const listed = [buildDefinition?.resolvedDependencies, runDetails?.byproducts].flatMap((list) =>
    Array.isArray(list) ? list : [],
  ) as { digest?: { sha256?: unknown } }[];
  return names(statement, sha256) || listed.some((one) => one?.digest?.sha256 === sha256);
}

export const compareVersions = orderOfVersions;
