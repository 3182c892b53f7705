import { concat, equal, fromBase64, fromHex, ORDER, toBase64, toHex } from "../bytes.js";
import type { SchemeName, SigningKeyType } from "../crypto/algorithms.js";
import { HASHES, type HashName } from "../crypto/hashes.js";
import { type Key, parseKey, signatureAlgorithmOf, toPem } from "../crypto/keys.js";
import { type SignatureEncoding, toImageSignature } from "../crypto/signature-encoding.js";
import type { SigningRequest } from "../crypto/signer.js";
import { endianOf, flagNames } from "./header.js";
import { type Image, parseImage } from "./image.js";
import type { PreparedImage } from "./sign.js";
import { SigningRequestError } from "./signing-request-error.js";
import { bytesOf, REQUEST_FIELDS, RESPONSE_FIELDS, readFields } from "./signing-request-fields.js";
import { TLV, TLV_HEADER_SIZE, TLV_INFO_MAGIC, tlvName } from "./tlv.js";
import { formatUuid } from "./uuid.js";
import { formatVersion } from "./version.js";

/** What the image is, for the person who approves it. */
export interface SigningFacts {
  readonly version: string;
  readonly securityCounter?: number;
  readonly headerSize: number;
  readonly bodySize: number;
  /** SHA-256 of the body: what a build that can be repeated gives again. */
  readonly bodySha256: string;
  readonly flags: readonly string[];
  readonly loadAddress: number;
  /** Image number and least version. */
  readonly dependencies: readonly string[];
  readonly vendorId?: string;
  readonly classId?: string;
  /** Other TLVs that the signature covers. */
  readonly otherTlvs: readonly string[];
}

export interface SigningRequestFile {
  readonly type: "bootproof-signing-request";
  readonly v: 1;
  /** What the requester calls it. */
  readonly name: string;
  /** As the requester states them; proven only by a payload. */
  readonly image: SigningFacts;
  readonly key: { readonly type: SigningKeyType; readonly publicKey: string; readonly keyHash: string };
  readonly scheme: SchemeName;
  readonly toSign: {
    /** `digest`: sign as prehashed. `message`: sign these bytes. */
    readonly kind: "digest" | "message";
    readonly hash: HashName;
    /** Hex: the image hash. For Ed25519 these bytes are the message, unless pure. */
    readonly digest: string;
    readonly pure: boolean;
    /** Base64 of header, body and protected TLVs; needed for a pure signature, else for whoever wants to look. */
    readonly payload?: string;
  };
  readonly createdAt: string;
  readonly nonce: string;
}

export interface SigningResponseFile {
  readonly type: "bootproof-signing-response";
  readonly v: 1;
  /** Hex SHA-256 of the request's file. */
  readonly requestSha256: string;
  readonly digest: string;
  readonly scheme: SchemeName;
  readonly publicKey: string;
  readonly signature: string;
  readonly encoding: SignatureEncoding;
  readonly signedAt: string;
  readonly signer: string;
}

/** What the requester adds: this room has neither clock nor dice. */
export interface RequestCircumstances {
  readonly name: string;
  readonly createdAt: string;
  readonly nonce: string;
  /** Carry all that is signed, so that the other side can check what it reads. Always done for a pure signature. */
  readonly withPayload: boolean;
}

/**
 * The request for a prepared image and the key that shall sign it.
 *
 * @param prepared - by `prepareImage`
 * @param key - public part of whoever shall sign
 * @param circumstances - time as RFC 3339, UTC; `nonce` hex
 * @returns to be written as JSON
 */
export async function signingRequestFile(
  prepared: PreparedImage,
  key: Key,
  { name, createdAt, nonce, withPayload }: RequestCircumstances,
): Promise<SigningRequestFile> {
  const { keyType, scheme, signs } = signatureAlgorithmOf(key);
  const { range, digest, hash, pure } = prepared;
  return {
    type: "bootproof-signing-request",
    v: 1,
    name,
    image: signingFacts(range),
    key: { type: keyType, publicKey: await toPem(key, "public"), keyHash: toHex(key.keyHash) },
    scheme,
    toSign: {
      kind: signs,
      hash: hash.name,
      digest: toHex(digest),
      pure,
      ...((withPayload || pure) && { payload: toBase64(range) }),
    },
    createdAt,
    nonce,
  };
}

/** What a signed range says of its image. Throws `ImageError` when it is none. */
export function signingFacts(range: Uint8Array): SigningFacts {
  const image = parseRange(range);
  const { header, securityCounter, dependencies } = image;
  const { names, unknown } = flagNames(header.flags);
  const id = (type: number) => image.tlvs.find((tlv) => tlv.type === type)?.value;
  const [vendor, productClass] = [id(TLV.UUID_VID), id(TLV.UUID_CID)];
  return {
    version: formatVersion(image.version),
    ...(securityCounter === undefined ? {} : { securityCounter }),
    headerSize: header.headerSize,
    bodySize: header.bodySize,
    bodySha256: toHex(HASHES.sha256.digest(image.body)),
    flags: [...names, ...(unknown === 0 ? [] : [`0x${unknown.toString(16)}`])],
    loadAddress: header.loadAddress,
    dependencies: dependencies.map(
      (dependency) => `${dependency.image}: ${formatVersion(dependency.version)}`,
    ),
    ...(vendor?.length === 16 && { vendorId: formatUuid(vendor) }),
    ...(productClass?.length === 16 && { classId: formatUuid(productClass) }),
    otherTlvs: image.tlvs
      .filter(({ type }) => !SHOWN.includes(type))
      .map(
        ({ type, value }) =>
          `${tlvName(type)}: ${toHex(value.subarray(0, 32))}${value.length > 32 ? "..." : ""}`,
      ),
  };
}

const SHOWN: readonly number[] = [TLV.SEC_CNT, TLV.DEPENDENCY, TLV.UUID_VID, TLV.UUID_CID];

/** Header, body and protected TLVs as an image without unprotected TLVs. */
function parseRange(range: Uint8Array): Image {
  const { putU16 } = ORDER[endianOf(range) ?? "little"];
  const emptyArea = new Uint8Array(TLV_HEADER_SIZE);
  putU16(emptyArea, 0, TLV_INFO_MAGIC);
  putU16(emptyArea, 2, TLV_HEADER_SIZE);
  return parseImage(concat(range, emptyArea));
}

/** A request as the key's side takes it apart. */
export interface OpenedRequest {
  readonly file: SigningRequestFile;
  readonly publicKey: Key;
  /** For a signer. Without a payload `range` is empty, which only RSA and pure Ed25519 at hand would need. */
  readonly request: SigningRequest;
  /** Are the facts about the image proven by a payload, or only stated? */
  readonly proven: boolean;
}

/**
 * Reads a request and checks it against itself: key and scheme fit, and with a payload digest and facts are what it
 * gives.
 *
 * @param text - JSON, as it came
 * @returns what to sign, by which key, and whether its facts are proven
 * @throws {@link SigningRequestError}, `KeyError`
 */
export async function openSigningRequest(text: string): Promise<OpenedRequest> {
  const file = readFields<SigningRequestFile>(text, "bootproof-signing-request", REQUEST_FIELDS);
  const publicKey = (await parseKey(file.key.publicKey)).publicKey;
  const algorithm = signatureAlgorithmOf(publicKey);
  const { toSign } = file;
  const digest = bytesOf(() => fromHex(toSign.digest), "the digest is not hex");
  const payload = toSign.payload;
  const range =
    payload === undefined
      ? new Uint8Array(0)
      : bytesOf(() => fromBase64(payload), "the payload is not base64");
  mustAgree(file, publicKey, digest, range);
  const { hash, pure } = toSign;
  return {
    file,
    publicKey,
    request: { algorithm, hash, range, digest, pure },
    proven: payload !== undefined,
  };
}

function mustAgree(file: SigningRequestFile, publicKey: Key, digest: Uint8Array, range: Uint8Array): void {
  const { toSign, scheme, key, image } = file;
  const algorithm = signatureAlgorithmOf(publicKey);
  const { keyType, hashes } = algorithm;
  const contradiction = (what: string) =>
    new SigningRequestError("request-contradicts-itself", `The request contradicts itself: ${what}.`);
  if (key.type !== keyType || key.keyHash !== toHex(publicKey.keyHash))
    throw contradiction("its key is not the one that it names");
  if (scheme !== algorithm.scheme) throw contradiction(`${scheme} is not how a ${keyType} key signs`);
  if (toSign.kind !== algorithm.signs) throw contradiction(`${scheme} signs no ${toSign.kind}`);
  if (!(toSign.hash in HASHES)) throw contradiction("its hash is not one that images carry");
  if (!hashes.includes(toSign.hash)) throw contradiction(`a ${keyType} key does not go with ${toSign.hash}`);
  if (digest.length !== HASHES[toSign.hash].length) throw contradiction("the digest has a wrong length");
  if (toSign.pure && (!algorithm.mayBePure || toSign.payload === undefined))
    throw contradiction("a pure signature needs an Ed25519 key and the payload");
  if (toSign.payload === undefined) return;
  if (!equal(HASHES[toSign.hash].digest(range), digest))
    throw contradiction("the digest is not that of the payload");
  if (JSON.stringify(signingFacts(range)) !== JSON.stringify(image))
    throw contradiction("the payload is another image than the one described");
}

/**
 * The answer to a request. `requestFile` is what was read, byte for byte.
 *
 * @param opened - by {@link openSigningRequest}
 * @param requestFile - what was read, byte for byte
 * @param signed - the signature (DER for ECDSA), when as RFC 3339, and by whom
 * @returns to be written as JSON
 */
export async function signingResponseFile(
  { file, publicKey, request }: OpenedRequest,
  requestFile: Uint8Array,
  signed: { readonly signature: Uint8Array; readonly signedAt: string; readonly signer: string },
): Promise<SigningResponseFile> {
  return {
    type: "bootproof-signing-response",
    v: 1,
    requestSha256: toHex(HASHES.sha256.digest(requestFile)),
    digest: toHex(request.digest),
    scheme: file.scheme,
    publicKey: await toPem(publicKey, "public"),
    signature: toBase64(signed.signature),
    encoding: request.algorithm.family === "ecdsa" ? "der" : "raw",
    signedAt: signed.signedAt,
    signer: signed.signer,
  };
}

/**
 * The signature out of a response, for this image and key. That it verifies is checked by `finishImage`; here it is
 * found out why it could not.
 *
 * @param text - JSON, as it came
 * @param prepared - by `prepareImage`, with the options of the request
 * @param key - whose signature is expected
 * @returns as images carry it; not verified yet
 * @throws {@link SigningRequestError}
 */
export function signatureFromResponse(text: string, prepared: PreparedImage, key: Key): Uint8Array {
  const response = readFields<SigningResponseFile>(text, "bootproof-signing-response", RESPONSE_FIELDS);
  if (response.digest !== toHex(prepared.digest))
    throw new SigningRequestError(
      "other-request",
      `The response is for the digest ${response.digest.slice(0, 16)}..., this image has ${toHex(prepared.digest).slice(0, 16)}...`,
      { hint: "The body or an option has changed since the request was made." },
    );
  const { keyType, scheme } = signatureAlgorithmOf(key);
  if (response.scheme !== scheme)
    throw new SigningRequestError(
      "other-request",
      `The response was made by ${response.scheme}, not by a ${keyType} key.`,
    );
  const signature = bytesOf(() => fromBase64(response.signature), "the signature is not base64");
  return toImageSignature(keyType, signature, response.encoding);
}
