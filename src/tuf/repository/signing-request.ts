import { toHex } from "../../bytes.js";
import { canonicalJson, isObject, type Json, type JsonObject, parseJson } from "../canonical-json.js";
import { TufError } from "../error.js";
import { sha256Hex } from "../hashes.js";
import { parseMetadata } from "../metadata.js";
import type { MetadataSignature, TufKey } from "../metadata-types.js";
import type { VerifySignature } from "../signatures.js";
import { OFFLINE_ROLES, type RepositoryState, typeOf, withSignatures } from "./draft.js";
import { trustsFor } from "./publish.js";
import { TufRepositoryError } from "./repository-error.js";
import { type MetadataSigner, signBytes } from "./tuf-key.js";

/**
 * Signing metadata where the repository cannot reach: a request travels to the key, a response travels back. The request
 * holds the whole signed part, so that whoever signs sees all of it; what is signed is made from it there.
 */

export interface TufSigningRequest {
  readonly type: "bootproof-tuf-signing-request";
  readonly v: 1;
  readonly role: string;
  readonly version: number;
  /** Ids of the keys that may sign. */
  readonly keyids: readonly string[];
  /** The signed part of the metadata. */
  readonly signed: JsonObject;
  readonly createdAt: string;
}

export interface TufSigningResponse {
  readonly type: "bootproof-tuf-signing-response";
  readonly v: 1;
  readonly role: string;
  readonly version: number;
  /** SHA-256 of the canonical form that was signed, hex. */
  readonly sha256: string;
  readonly signatures: readonly MetadataSignature[];
  readonly signedAt: string;
  readonly signer: string;
}

/**
 * The request by which staged metadata is signed on another machine.
 *
 * @param state - of the repository
 * @param asked - the staged role, its version, and ids of the keys that should sign
 * @param createdAt - RFC 3339, UTC
 * @returns to be written as JSON
 */
export function tufSigningRequest(
  state: RepositoryState,
  { role, version, keyids }: { role: string; version: number; keyids: readonly string[] },
  createdAt: string,
): TufSigningRequest {
  return requestToSign(state.staged.get(role)!.signed, { role, version, keyids }, createdAt);
}

/**
 * The same for the signed part of any file.
 *
 * @param signed - what is to be signed
 * @param asked - role, version, and ids of the keys that should sign
 * @param createdAt - RFC 3339, UTC
 * @returns to be written as JSON
 */
export function requestToSign(
  signed: JsonObject,
  { role, version, keyids }: { role: string; version: number; keyids: readonly string[] },
  createdAt: string,
): TufSigningRequest {
  return { type: "bootproof-tuf-signing-request", v: 1, role, version, keyids, signed, createdAt };
}

/**
 * Reads a request to sign metadata and checks that it says of itself what would be signed.
 *
 * @param bytes - JSON, as it came
 * @returns what to sign, and by which keys
 * @throws TufRepositoryError `bad-signing-file` also when the request says other things than what would be signed
 */
export function openTufSigningRequest(bytes: Uint8Array): TufSigningRequest {
  const file = readFile(bytes, "bootproof-tuf-signing-request");
  const { role, version, keyids, signed, createdAt } = file;
  if (typeof role !== "string" || !isObject(signed) || !isTexts(keyids) || typeof createdAt !== "string")
    throw bad("a field is missing");
  let found: number;
  try {
    found = versionIn(role, signed);
  } catch (cause) {
    if (!(cause instanceof TufError)) throw cause;
    throw bad(cause.message);
  }
  if (found !== version) throw bad(`it states version ${String(version)} and contains version ${found}`);
  return { type: "bootproof-tuf-signing-request", v: 1, role, version: found, keyids, signed, createdAt };
}

/** A file for offline updates has the form of the role that it stands for, and a `_type` of its own. */
function versionIn(role: string, signed: JsonObject): number {
  const type = role === OFFLINE_ROLES[0] ? "targets" : role === OFFLINE_ROLES[1] ? "snapshot" : undefined;
  const spelled = type === undefined ? signed : { ...signed, _type: type };
  const bytes = new TextEncoder().encode(JSON.stringify({ signed: spelled, signatures: [] }));
  return parseMetadata(type ?? typeOf(role), bytes, role).signed.version;
}

/**
 * Signs a request with every signer that it asks for.
 *
 * @param request - by {@link openTufSigningRequest}
 * @param signers - whoever is at hand
 * @param circumstances - when as RFC 3339, UTC, and who; `as`: the key's id where metadata has another
 * @returns to be written as JSON
 * @throws TufRepositoryError `no-such-key` when it asks for none
 */
export async function answerTufRequest(
  request: TufSigningRequest,
  signers: readonly MetadataSigner[],
  { signedAt, signer: who, as }: { signedAt: string; signer: string; as?: string | undefined },
): Promise<TufSigningResponse> {
  const bytes = canonicalJson(request.signed);
  const signatures: MetadataSignature[] = [];
  for (const signer of signers) {
    const id = as ?? signer.id;
    if (!request.keyids.includes(id))
      throw new TufRepositoryError("no-such-key", `The request is not for the key ${id}.`, {
        hint: `It asks for: ${request.keyids.join(", ")}. If the repository uses another id for the key, give it with --key-id.`,
      });
    signatures.push(await signBytes(bytes, signer, id));
  }
  const { role, version } = request;
  const sha256 = sha256Hex(bytes);
  return {
    type: "bootproof-tuf-signing-response",
    v: 1,
    role,
    version,
    sha256,
    signatures,
    signedAt,
    signer: who,
  };
}

/**
 * Takes the signatures of a response over, each checked by the key that the repository knows.
 *
 * @param state - of the repository; not changed
 * @param bytes - JSON, as it came
 * @param verify - checks a signature
 * @returns with the signatures
 * @throws TufRepositoryError `other-request` when something else was signed, or by others
 */
export async function attachTufResponse(
  state: RepositoryState,
  bytes: Uint8Array,
  verify: VerifySignature,
): Promise<RepositoryState> {
  const { role, version, sha256, signatures } = openTufSigningResponse(bytes);
  const file = state.staged.get(role);
  const message = file && canonicalJson(file.signed);
  if (!message || sha256Hex(message) !== sha256)
    throw new TufRepositoryError(
      "other-ceremony",
      `The response signs another version ${version} of ${role} than the one that is staged.`,
      {
        hint: "The staged change was made again in the meantime: write a new request with bootproof tuf publish --request.",
      },
    );
  for (const signature of signatures) {
    const key = keyWithId(state, role, signature.keyid);
    if (!key || !(await verify(key, message, hexBytes(signature.sig))))
      throw new TufRepositoryError(
        "other-ceremony",
        `The signature by key ${signature.keyid} was not made by a key of ${role}.`,
      );
  }
  return withSignatures(state, role, signatures);
}

function keyWithId(state: RepositoryState, role: string, id: string): TufKey | undefined {
  const trust = trustsFor(state, role).find(({ trust: { keyids } }) => keyids.includes(id));
  return trust?.trust.keys.get(id);
}

/**
 * Reads a response. Its signatures are not verified yet.
 *
 * @throws TufRepositoryError `bad-ceremony-file`
 */
export function openTufSigningResponse(
  bytes: Uint8Array,
): Pick<TufSigningResponse, "role" | "version" | "sha256" | "signatures"> {
  const { role, version, sha256, signatures } = readFile(bytes, "bootproof-tuf-signing-response");
  if (typeof role !== "string" || typeof version !== "number" || typeof sha256 !== "string")
    throw bad("a field is missing");
  if (!Array.isArray(signatures)) throw bad("it contains no signatures");
  return { role, version, sha256, signatures: signatures.map(readSignature) };
}

function readSignature(value: Json): MetadataSignature {
  if (!isObject(value) || typeof value.keyid !== "string" || typeof value.sig !== "string")
    throw bad("a signature has no key id or no value");
  return { keyid: value.keyid, sig: toHex(hexBytes(value.sig)) };
}

function hexBytes(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw bad("a signature is not hex");
  return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
    Number.parseInt(text.slice(2 * at, 2 * at + 2), 16),
  );
}

function isTexts(value: Json | undefined): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function readFile(bytes: Uint8Array, type: string): JsonObject {
  const value = parseJson(bytes, "The signing file");
  if (!isObject(value) || value.type !== type || value.v !== 1)
    throw bad(`it is not a valid ${type} of version 1`);
  return value;
}

function bad(why: string): TufRepositoryError {
  return new TufRepositoryError("bad-ceremony-file", `The signing file cannot be used: ${why}.`, {
    hint: "Was it copied completely? bootproof tuf publish --request writes requests, bootproof tuf sign answers them.",
  });
}
