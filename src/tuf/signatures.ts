import { fromHex } from "../bytes.js";
import { TufError } from "./error.js";
import type { Metadata, RoleKeys, TufKey } from "./metadata-types.js";

/**
 * Is this a good signature of the key over the message? False for schemes and keys that are not understood: a role may
 * list keys that only other clients can use.
 *
 * Schemes (section 4.2): `ed25519`, `ecdsa-sha2-nistp256`, `ecdsa-sha2-nistp384`, `rsassa-pss-sha256`.
 */
export type VerifySignature = (
  key: TufKey,
  message: Uint8Array,
  signature: Uint8Array,
) => Promise<boolean> | boolean;

/** A role's keys with what their ids stand for where the role is defined: at its parent. */
export interface RoleTrust extends RoleKeys {
  readonly keys: ReadonlyMap<string, TufKey>;
}

export interface SignatureTally {
  readonly reached: boolean;
  readonly threshold: number;
  /** Ids of the keys whose signatures are good, each key counted once. */
  readonly signedBy: readonly string[];
}

/**
 * Counts the keys of a role that have signed. A key that is listed under two ids counts once, or a threshold of two
 * would be reached by one person.
 */
export async function tallySignatures(
  metadata: Metadata,
  role: RoleTrust,
  verify: VerifySignature,
): Promise<SignatureTally> {
  const signedBy = new Map<string, string>();
  for (const id of role.keyids) {
    const key = role.keys.get(id);
    const signature = metadata.signatures.find(({ keyid }) => keyid === id);
    if (!key || !signature || signedBy.has(identityOf(key))) continue;
    const bytes = hexOrNone(signature.sig);
    if (bytes && (await verify(key, metadata.signedBytes, bytes))) signedBy.set(identityOf(key), id);
  }
  const ids = [...signedBy.values()];
  return { reached: ids.length >= role.threshold, threshold: role.threshold, signedBy: ids };
}

/** @throws TufError `arbitrary-software` when the role's threshold is not reached */
export async function mustBeSigned(
  metadata: Metadata,
  role: RoleTrust,
  verify: VerifySignature,
  { name, by, step }: { name: string; by: string; step: string },
): Promise<SignatureTally> {
  const tally = await tallySignatures(metadata, role, verify);
  if (tally.reached) return tally;
  const { length } = tally.signedBy;
  throw new TufError(
    "arbitrary-software",
    name,
    `The ${name} metadata is signed by ${length} of the ${role.threshold} keys that ${by} requires.`,
    { step },
  );
}

/**
 * What makes two keys the same key: neither their ids, nor how the text is wrapped, nor fields that somebody added.
 *
 * @param key - as the metadata has it
 * @returns equal for equal keys
 */
export function identityOf(key: TufKey): string {
  const text = key.public.replace(/-----[^-]*-----|\s/g, "");
  return /^[0-9a-f]+$/i.test(text) ? text.toLowerCase() : text;
}

/** Signatures that are no hex are bad ones, not a reason to refuse the good ones beside them. */
function hexOrNone(text: string): Uint8Array | undefined {
  return /^([0-9a-f]{2})+$/i.test(text) ? fromHex(text) : undefined;
}
