import { equal, toHex } from "../bytes.js";
import {
  canSign,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type SigningKeyType,
} from "../crypto/algorithms.js";
import { HASHES, type HashAlgorithm, type HashName } from "../crypto/hashes.js";
import { type Key, publicRawOf } from "../crypto/keys.js";
import { HASH_TLVS, SIGNATURE_TLVS } from "./crypto-tlvs.js";
import type { Image } from "./image.js";
import { TLV, type Tlv } from "./tlv.js";

/** What became of one signature TLV. */
export interface SignatureResult {
  /** Of the TLV. */
  readonly offset: number;
  /** `ignored`: no trusted key was named before it. */
  readonly result: "good" | "bad" | "ignored";
  /** The key it was checked with. */
  readonly key?: Key;
}

/** What a bootloader with keys of one type finds. */
export interface SignatureWalk {
  readonly valid: boolean;
  /** The image is refused whatever else it holds. */
  readonly refused?: string;
  readonly signatures: readonly SignatureResult[];
  /** Oddities that do not decide. */
  readonly warnings: readonly string[];
}

/** The message of this image's signatures. */
export interface SignatureContext {
  readonly algorithm: SignatureAlgorithm;
  readonly hash: HashAlgorithm;
  readonly keys: readonly Key[];
  /** Header, plaintext body, protected TLVs; undefined while that is encrypted. */
  readonly range: Uint8Array | undefined;
  /** Of the range by `hash`; the one that the image states while the range is encrypted. */
  readonly digest: Uint8Array;
  readonly pure: boolean;
}

/**
 * Walks the TLVs of both areas as MCUboot does (image_validate.c): a KEYHASH (or, without one, a PUBKEY) names the key
 * for the next signature; a signature without a key is passed over; of several the last one that was checked decides.
 */
export async function walkSignatures(image: Image, context: SignatureContext): Promise<SignatureWalk> {
  const { algorithm, range, digest, pure } = context;
  const keyTlv = image.tlvs.some(({ type }) => type === TLV.KEYHASH) ? TLV.KEYHASH : TLV.PUBKEY;
  const signatures: SignatureResult[] = [];
  const warnings: string[] = [];
  const found = (valid: boolean, refused?: string) => ({
    valid,
    signatures,
    warnings,
    ...(refused !== undefined && { refused }),
  });
  let key: Key | undefined;
  let valid = false;
  for (const tlv of image.tlvs) {
    if (tlv.type === keyTlv) {
      if (keyTlv === TLV.KEYHASH && tlv.value.length > context.hash.length)
        return found(
          false,
          `The key hash at ${tlv.offset} has ${tlv.value.length} bytes; at most ${context.hash.length} are taken.`,
        );
      key = findKey(tlv, context);
      if (key && keyTlv === TLV.KEYHASH && tlv.value.length < context.hash.length)
        warnings.push(
          `The key hash at ${tlv.offset} has only ${tlv.value.length} bytes. MCUboot compares only these and uses the first key that matches.`,
        );
    } else if (tlv.type === SIGNATURE_TLVS[algorithm.keyType]) {
      if (!key) {
        signatures.push({ offset: tlv.offset, result: "ignored" });
        continue;
      }
      const { min, max } = algorithm.signatureLength;
      // ECDSA: MCUboot leaves the length to the decoder, which stops at the sequence's end.
      if (min === max && tlv.value.length !== min)
        return found(
          false,
          `The signature at ${tlv.offset} has ${tlv.value.length} bytes instead of ${min}.`,
        );
      valid = await algorithm.verify(publicRawOf(key), { range, digest, pure }, tlv.value);
      signatures.push({ offset: tlv.offset, result: valid ? "good" : "bad", key });
      key = undefined;
    }
  }
  return found(valid);
}

/** The hash that goes with signatures of this type: of those that the type allows, the one that the image carries. */
export function hashForSignatures(
  image: Image,
  type: SigningKeyType,
  { pure, wanted }: { pure: boolean; wanted?: HashName | undefined },
): HashAlgorithm {
  const candidates = wanted ? [wanted] : pure ? (["sha512"] as const) : SIGNATURE_ALGORITHMS[type].hashes;
  const carried = candidates.find((name) => image.tlvs.some((tlv) => tlv.type === HASH_TLVS[name]));
  return HASHES[carried ?? candidates[0]!];
}

/**
 * The digest that signatures are checked against: that of the range, or of an encrypted range the one that the image states,
 * which is over the plain image. Undefined when only the plain image would do (pure signatures) or none is stated.
 */
export function digestToCheck(
  image: Image,
  range: Uint8Array | undefined,
  hash: HashAlgorithm,
  pure: boolean,
): Uint8Array | undefined {
  if (range) return hash.digest(range);
  if (pure) return undefined;
  return image.tlvs.find(({ type, value }) => type === HASH_TLVS[hash.name] && value.length === hash.length)
    ?.value;
}

/** One signature and every key that could have made it. */
export interface SignatureTrial {
  /** Of the TLV. */
  readonly offset: number;
  readonly type: number;
  readonly tried: readonly { readonly key: Key; readonly good: boolean }[];
}

/** Signatures beyond these are left out: a hostile file can hold hundreds. */
const MOST_TRIED = 16;

/** Each signature against each key of its type, whatever key the image names: for people, no bootloader does this. */
export async function tryEveryKey(
  image: Image,
  keys: readonly Key[],
  { range, pureOf }: { range: Uint8Array | undefined; pureOf: (type: SigningKeyType) => boolean },
): Promise<SignatureTrial[]> {
  const groups = [...keysByType(keys)].flatMap(([type, group]) => {
    const pure = pureOf(type);
    const digest = digestToCheck(image, range, hashForSignatures(image, type, { pure }), pure);
    if (digest === undefined) return [];
    return [{ algorithm: SIGNATURE_ALGORITHMS[type], group, message: { range, digest, pure } }];
  });
  return Promise.all(
    image.signatures.slice(0, MOST_TRIED).map(async ({ offset, type, value }) => {
      const able = groups.filter(({ algorithm }) => SIGNATURE_TLVS[algorithm.keyType] === type);
      const tried = able.flatMap(({ algorithm, group, message }) =>
        group.map(async (key) => {
          const { min, max } = algorithm.signatureLength;
          const fits = min !== max || value.length === min;
          return { key, good: fits && (await algorithm.verify(publicRawOf(key), message, value)) };
        }),
      );
      return { offset, type, tried: await Promise.all(tried) };
    }),
  );
}

/** In words, for a verdict: which key each key hash of the image names. */
export function describeKeyHashes(image: Image): string {
  return image.keyHashes.map((hash) => toHex(hash)).join(", ");
}

/** Keys grouped by what a bootloader could be built with: one signature type each. */
export function keysByType(keys: readonly Key[]): Map<SigningKeyType, Key[]> {
  const groups = new Map<SigningKeyType, Key[]>();
  for (const key of keys) {
    if (!canSign(key.type)) continue;
    groups.set(key.type, [...(groups.get(key.type) ?? []), key]);
  }
  return groups;
}

function findKey({ type, value }: Tlv, { keys, hash }: SignatureContext): Key | undefined {
  if (type === TLV.PUBKEY) return keys.find((key) => equal(key.publicDer, value));
  return keys.find((key) => equal(key.keyHashBy(hash.name).subarray(0, value.length), value));
}
