import { toHex } from "../bytes.js";
import type { Key } from "../crypto/keys.js";
import type { Signer } from "../crypto/signer.js";
import { openEnvelope, parseEnvelope, signEnvelope } from "./dsse.js";
import { RatchetError, type RatchetPermission } from "./ratchet.js";

/** Break-glass: somebody with a named key lets one image onto one board once, although the ratchet refuses it. */

export const PERMISSION_TYPE = "application/vnd.bootproof.ratchet-permission+json";

export interface PermissionRequest {
  /** Board identity. */
  readonly board: string;
  /** Image hash, hex. */
  readonly image: string;
  readonly reason: string;
  /** Random, hex: two permissions are never the same. */
  readonly nonce: string;
  /** RFC 3339, UTC; not valid afterwards. */
  readonly expires: string;
}

/**
 * Signs a permission to put one image on one board in spite of its ratchet (DSSE, one signature).
 *
 * @param request - `expires` RFC 3339, UTC; `image` and `nonce` hex
 * @param signer - of a key that hosts trust for permissions
 * @returns the envelope, as text
 */
export function signPermission(request: PermissionRequest, signer: Signer): Promise<string> {
  const { board, image, reason, nonce, expires } = request;
  const text = JSON.stringify({ v: 1, board, image, reason, nonce, expires });
  return signEnvelope(PERMISSION_TYPE, new TextEncoder().encode(text), [signer]);
}

/**
 * A permission that one of these keys signed and that still holds.
 *
 * @param text - the envelope, as it came
 * @param keys - that may give permissions
 * @param now - RFC 3339, UTC
 * @returns the board's identity, and what is permitted
 * @throws EnvelopeError; RatchetError `bad-permission`
 */
export async function openPermission(
  text: string,
  keys: readonly Key[],
  now: string,
): Promise<{ board: string; permission: RatchetPermission }> {
  const { payload, signedBy } = await openEnvelope(parseEnvelope(text), {
    keys,
    payloadType: PERMISSION_TYPE,
  });
  const request = readRequest(payload);
  if (request.expires < now)
    throw new RatchetError("bad-permission", `The permission was valid until ${request.expires}.`, {
      hint: "Get a new one signed.",
    });
  const { board, image, reason, nonce } = request;
  const keyHash = toHex(signedBy[0]!.keyHash);
  return { board, permission: { hash: image, reason, nonce, keyHash, at: now } };
}

function readRequest(payload: Uint8Array): PermissionRequest {
  const wrong = (cause?: unknown) =>
    new RatchetError("bad-permission", "The signed text is not a permission for the ratchet.", {
      cause,
      hint: "bootproof ratchet permit writes one.",
    });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch (cause) {
    throw wrong(cause);
  }
  if (typeof value !== "object" || value === null) throw wrong();
  const { v, board, image, reason, nonce, expires } = value as Record<string, unknown>;
  const isText = (one: unknown, form: RegExp): one is string => typeof one === "string" && form.test(one);
  if (v !== 1 || !isText(board, /^.{1,200}$/) || !isText(image, /^([0-9a-f]{2}){16,64}$/)) throw wrong();
  if (!isText(reason, /^.{1,1000}$/s) || !isText(nonce, /^([0-9a-f]{2}){8,32}$/)) throw wrong();
  if (!isText(expires, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)) throw wrong();
  return { board, image, reason, nonce, expires };
}
