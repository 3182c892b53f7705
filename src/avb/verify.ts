import { concat, equal, equalConstantTime, toHex } from "../bytes.js";
import { HASHES } from "../crypto/hashes.js";
import { verifyRsaPkcs1 } from "../crypto/pkcs1.js";
import { isRsaKey, keyTypeText, type VerificationKey } from "../crypto/verification-key.js";
import type { HashDescriptor } from "./descriptors.js";
import { embeddedForm } from "./public-key.js";
import { AVB_FLAG, type AvbImage, type Vbmeta } from "./vbmeta.js";

/** One thing that was looked at. */
export interface AvbCheck {
  readonly name: "algorithm" | "key" | "hash" | "signature" | "content" | "rollback-index" | "flags";
  readonly result: "pass" | "fail" | "warn" | "not-checked";
  readonly message: string;
}

export interface AvbVerdict {
  /** `signature-not-checked`: nothing is wrong, but no key says whose it is. */
  readonly result: "good" | "signature-not-checked" | "bad";
  readonly checks: readonly AvbCheck[];
}

export interface AvbPolicy {
  /** Keys of which one must have signed. The key inside the structure is never trusted for being there. */
  readonly keys?: readonly VerificationKey[];
  /** Take a structure that is not signed at all. */
  readonly allowUnsigned?: boolean;
  /** The index that the device has stored at the structure's location. */
  readonly storedRollbackIndex?: bigint;
  /** Contents of other partitions that descriptors may speak of, by name. */
  readonly partitions?: Readonly<Record<string, Uint8Array>>;
}

/**
 * Judges Android boot metadata by *given* keys: algorithm, hash, signature, the digests of contents at hand, and freshness.
 * Source: AVB README, "The VBMeta struct" and "Rollback Protection"; avb_vbmeta_image.c.
 *
 * @param image - by {@link parseAvb}
 * @param policy - keys that may have signed, stored rollback index, contents of partitions
 * @returns every check with its result; `good` only when nothing failed and a given key has signed
 */
export async function verifyAvb(image: AvbImage, policy: AvbPolicy = {}): Promise<AvbVerdict> {
  const { vbmeta } = image;
  const { keys = [], allowUnsigned = false } = policy;
  const vouched = await checkSignature(vbmeta, keys, allowUnsigned);
  const checks = [
    ...vouched,
    ...checkContents(image, policy),
    checkRollback(vbmeta, policy),
    ...checkFlags(vbmeta),
  ];
  const isBad = checks.some(({ result }) => result === "fail");
  const isSigned = checks.some(({ name, result }) => name === "signature" && result === "pass");
  return { result: isBad ? "bad" : isSigned ? "good" : "signature-not-checked", checks };
}

async function checkSignature(
  { algorithm, hash, signature, signed, publicKey }: Vbmeta,
  keys: readonly VerificationKey[],
  allowUnsigned: boolean,
): Promise<AvbCheck[]> {
  if (!("hash" in algorithm)) return [unsigned(allowUnsigned, keys.length > 0)];
  const digest = HASHES[algorithm.hash].digest(signed);
  const hashCheck: AvbCheck = equalConstantTime(digest, hash)
    ? { name: "hash", result: "pass", message: `${algorithm.hash} over header and auxiliary block` }
    : {
        name: "hash",
        result: "fail",
        message: "The hash does not match: header or auxiliary block was changed.",
      };
  const named: AvbCheck = { name: "algorithm", result: "pass", message: algorithm.name };
  if (keys.length === 0)
    return [
      named,
      hashCheck,
      {
        name: "signature",
        result: "not-checked",
        message: "No key was given. The embedded one proves nothing.",
      },
    ];
  for (const key of keys) {
    if (!isRsaKey(key) || key.bits !== algorithm.bits || !isEmbedded(key, publicKey)) continue;
    const holds = await verifyRsaPkcs1(key, algorithm.hash, signed, signature);
    return [
      named,
      hashCheck,
      {
        name: "key",
        result: "pass",
        message: `names the ${keyTypeText(key)} key ${toHex(key.fingerprint).slice(0, 16)}`,
      },
      holds
        ? { name: "signature", result: "pass", message: `${algorithm.name} by that key` }
        : {
            name: "signature",
            result: "fail",
            message: "The signature was not made by that key over these bytes.",
          },
    ];
  }
  const list = keys.map((key) => `${keyTypeText(key)} ${toHex(key.fingerprint).slice(0, 16)}`).join(", ");
  return [
    named,
    hashCheck,
    { name: "key", result: "fail", message: `It is signed with another key than the given ${list}.` },
  ];
}

function isEmbedded(key: VerificationKey & { type: "rsa" }, publicKey: Uint8Array): boolean {
  const form = embeddedForm(key);
  return form !== undefined && equal(form, publicKey);
}

function unsigned(allowed: boolean, hasKey: boolean): AvbCheck {
  const name = "algorithm";
  if (allowed && !hasKey)
    return { name, result: "warn", message: "NONE: it is not signed, which was allowed" };
  return {
    name,
    result: "fail",
    message: hasKey
      ? "NONE: it is not signed, and a key was given that should have signed it."
      : "NONE: it is not signed. Anybody could have made it.",
  };
}

function checkContents({ vbmeta, content }: AvbImage, { partitions = {} }: AvbPolicy): AvbCheck[] {
  const hashes = vbmeta.descriptors.filter((one): one is HashDescriptor => one.kind === "hash");
  return hashes.map((descriptor) => {
    const { partition } = descriptor;
    const given = Object.hasOwn(partitions, partition) ? partitions[partition] : content;
    if (!given)
      return {
        name: "content",
        result: "not-checked",
        message: `the digest of partition ${partition} is not compared: its content was not given`,
      };
    return checkContent(descriptor, given);
  });
}

function checkContent(descriptor: HashDescriptor, given: Uint8Array): AvbCheck {
  const { partition, imageSize, algorithm, salt, digest } = descriptor;
  const name = "content";
  if (algorithm !== "sha256" && algorithm !== "sha512")
    return {
      name,
      result: "fail",
      message: `Partition ${partition} is hashed with ${algorithm}, which is not trusted.`,
    };
  if (given.length < imageSize)
    return {
      name,
      result: "fail",
      message: `Partition ${partition} has ${given.length} bytes of ${imageSize}.`,
    };
  const actual = HASHES[algorithm].digest(concat(salt, given.subarray(0, imageSize)));
  return equalConstantTime(actual, digest)
    ? { name, result: "pass", message: `${imageSize} bytes of partition ${partition} have the digest` }
    : { name, result: "fail", message: `Partition ${partition} was changed: its digest does not match.` };
}

/** AVB_MAX_NUMBER_OF_ROLLBACK_INDEX_LOCATIONS. */
const LOCATIONS = 32;

function checkRollback(
  { rollbackIndex, rollbackIndexLocation }: Vbmeta,
  { storedRollbackIndex }: AvbPolicy,
): AvbCheck {
  const name = "rollback-index";
  const place = `rollback index ${rollbackIndex} at location ${rollbackIndexLocation}`;
  if (rollbackIndexLocation >= LOCATIONS)
    return { name, result: "fail", message: `There is no ${place}: devices have ${LOCATIONS} locations.` };
  if (storedRollbackIndex === undefined)
    return { name, result: "not-checked", message: `${place}; what the device has stored was not given` };
  return rollbackIndex >= storedRollbackIndex
    ? { name, result: "pass", message: `${place}; the device has stored ${storedRollbackIndex}` }
    : {
        name,
        result: "fail",
        message: `An old image: ${place}, but the device has stored ${storedRollbackIndex}.`,
      };
}

function checkFlags({ flags }: Vbmeta): AvbCheck[] {
  const checks: AvbCheck[] = [];
  if (flags & AVB_FLAG.hashtreeDisabled)
    checks.push({
      name: "flags",
      result: "warn",
      message: "The device will not check contents while it runs (flag 1).",
    });
  if (flags & AVB_FLAG.verificationDisabled)
    checks.push({
      name: "flags",
      result: "warn",
      message: "Verification is off: the device checks no descriptor (flag 2).",
    });
  return checks;
}
