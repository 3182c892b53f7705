import { equal } from "../bytes.js";
import { SIGNATURE_ALGORITHMS } from "./algorithms.js";
import { checkCompressed } from "./check-compressed.js";
import {
  check,
  checkBootable,
  checkCounter,
  checkDecryption,
  checkFlags,
  checkHash,
  checkKeyHash,
  checkProtectedArea,
  checkSize,
  checkTlvTypes,
  isPure,
  short,
  warningsAbout,
} from "./checks.js";
import { type DecryptionKey, decryptRange, EncryptionError } from "./encryption.js";
import { HASHES, type HashAlgorithm, type HashName } from "./hashes.js";
import { ImageError } from "./header.js";
import { hashAlgorithmOf, type Image, parseImage } from "./image.js";
import type { Key } from "./keys.js";
import type { BootMode, SlotGeometry } from "./largest-image.js";
import {
  describeKeyHashes,
  hashForSignatures,
  keysByType,
  type SignatureResult,
  type SignatureTrial,
  tryEveryKey,
  walkSignatures,
} from "./signatures.js";
import { tlvName } from "./tlv.js";

/** What is looked at, in this order. */
export type CheckName =
  /** Header and TLVs can be read, and everything that they state is there. */
  | "structure"
  /** The bootloader can handle what the header's flags ask for. */
  | "flags"
  /** The image is there to be booted. */
  | "bootable"
  /** It fits the slot. */
  | "size"
  /** The unprotected TLVs are of types that a bootloader lets pass. */
  | "tlv-types"
  /** What must be covered by hash and signature stands in the protected area, whose size is the header's. */
  | "protected-area"
  /** The given key opens it. Only of images that are encrypted. */
  | "decryption"
  /** The image hash is the hash of what is there. */
  | "hash"
  /** It names a key that is trusted. */
  | "key-hash"
  /** A trusted key signed it. */
  | "signature"
  /** A compressed image unpacks to what it says. Only of images that are compressed. */
  | "compressed-body"
  /** The security counter is not behind the device's. */
  | "security-counter";

export interface Check {
  readonly name: CheckName;
  readonly result: "pass" | "fail" | "not-checked";
  /** One sentence for people. */
  readonly sentence: string;
}

/**
 * What came of it. `good`: nothing failed and a trusted key's signature was verified. `signature-not-checked`: nothing
 * failed, but who made the image is unknown. `bad`: at least one check failed.
 */
export interface Verdict {
  readonly result: "good" | "signature-not-checked" | "bad";
  readonly checks: readonly Check[];
  /** Things worth knowing that do not decide. */
  readonly warnings: readonly string[];
  readonly signatures: readonly SignatureResult[];
  /** With `tryEveryKey`: each signature against each key. */
  readonly trials?: readonly SignatureTrial[];
  /** Whose signature decided, when it was good. */
  readonly signedBy?: Key;
  /** Absent when the structure is broken. */
  readonly image?: Image;
}

/** The bootloader's policy, as far as it is known. What is left out is not checked. */
export interface VerifyOptions {
  /** Public keys it trusts, in its order. Empty: no signature can be good. Left out: signatures are not checked. */
  readonly keys?: readonly Key[];
  /** The only hash it knows. Default: what goes with the key. */
  readonly hash?: HashName;
  readonly slotSize?: number;
  /** Together with `mode`: the real limit of its upgrade mode; without: whether any mode takes it. */
  readonly geometry?: SlotGeometry;
  readonly mode?: BootMode;
  /** The stored security counter. When given, the image must carry one that is not lower. */
  readonly storedCounter?: number;
  /** MCUBOOT_USE_TLV_ALLOW_LIST, on unless switched off. Default true. */
  readonly allowList?: boolean;
  /** Private key for the content key of an encrypted image, whose hash and signature are over plaintext. */
  readonly decryptionKey?: DecryptionKey;
  /** It can decrypt, or decompress. Left out: unknown. */
  readonly supports?: { readonly encryption?: boolean; readonly compression?: boolean };
  /** The image shall run: NON_BOOTABLE is a failure. */
  readonly toBoot?: boolean;
  /** Find out about each signature and each key, beyond what decides. */
  readonly tryEveryKey?: boolean;
  /** Where the slot begins in flash: an image that is linked for another address is not started there. */
  readonly slotAddress?: number;
}

/** Checks an image as a bootloader with this policy would. Never throws for what the bytes are. */
export async function verifyImage(bytes: Uint8Array, options: VerifyOptions = {}): Promise<Verdict> {
  const image = tryParse(bytes);
  if (image instanceof ImageError) return brokenStructure(image);
  const range = await plainRange(image, options);
  const signature = await checkSignature(image, range, options);
  const checks = [
    check("structure", "pass", "Header and TLVs are complete."),
    checkFlags(image, range, options),
    checkBootable(image, options),
    checkSize(image, options),
    checkTlvTypes(image, options),
    checkProtectedArea(image, options),
    ...checkDecryption(image, range, options),
    checkHash(image, range, signature.hash),
    checkKeyHash(image, options),
    signature.check,
    ...(await checkCompressed(image, range, signature.signedBy)),
    checkCounter(image, options),
  ];
  const { keys = [] } = options;
  const pureOf = (type: string) => type === "ed25519" && isPure(image);
  const trials = options.tryEveryKey && range ? await tryEveryKey(image, keys, { range, pureOf }) : undefined;
  return {
    result: resultOf(checks),
    checks,
    warnings: [...signature.warnings, ...warningsAbout(image, bytes)],
    signatures: signature.signatures,
    ...(trials && { trials }),
    ...(signature.signedBy && { signedBy: signature.signedBy }),
    image,
  };
}

const ALL_CHECKS: readonly CheckName[] = [
  "structure",
  "flags",
  "bootable",
  "size",
  "tlv-types",
  "protected-area",
  "hash",
  "key-hash",
  "signature",
  "security-counter",
];

function tryParse(bytes: Uint8Array): Image | ImageError {
  try {
    return parseImage(bytes);
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
}

function brokenStructure(error: ImageError): Verdict {
  const checks = ALL_CHECKS.map((name) =>
    name === "structure" || (name === "protected-area" && error.code === "protected-size")
      ? check(name, "fail", error.message)
      : check(name, "not-checked", "The image could not be taken apart."),
  );
  return { result: "bad", checks, warnings: [], signatures: [] };
}

function resultOf(checks: readonly Check[]): Verdict["result"] {
  if (checks.some(({ result }) => result === "fail")) return "bad";
  const signature = checks.find(({ name }) => name === "signature");
  return signature?.result === "pass" ? "good" : "signature-not-checked";
}

/** What the hash is over; undefined when that is encrypted and there is no key, or not the right one. */
async function plainRange(image: Image, { decryptionKey }: VerifyOptions): Promise<Uint8Array | undefined> {
  const hash = hashAlgorithmOf(image);
  const isPlain = () => image.imageHash && equal(hash.digest(image.hashedRange), image.imageHash.value);
  // imgtool's --clear: flagged and with a content key, for the primary slot, but not encrypted yet.
  if (!image.encrypted || isPlain()) return image.hashedRange;
  if (!decryptionKey) return undefined;
  try {
    return await decryptRange(image, decryptionKey);
  } catch (error) {
    if (error instanceof EncryptionError) return undefined;
    throw error;
  }
}

interface SignatureOutcome {
  readonly check: Check;
  readonly hash: HashAlgorithm;
  readonly signatures: readonly SignatureResult[];
  readonly warnings: readonly string[];
  readonly signedBy?: Key;
}

async function checkSignature(
  image: Image,
  range: Uint8Array | undefined,
  { keys, hash }: VerifyOptions,
): Promise<SignatureOutcome> {
  const none = (result: Check["result"], sentence: string): SignatureOutcome => ({
    check: check("signature", result, sentence),
    hash: hash ? HASHES[hash] : hashAlgorithmOf(image),
    signatures: [],
    warnings: [],
  });
  const unsigned = image.signatures.length === 0;
  if (!keys)
    return none(
      "not-checked",
      unsigned ? "The image is not signed." : "Not checked: no key was given to check it with.",
    );
  if (unsigned) return none("fail", "The image is not signed.");
  if (!range)
    return none("not-checked", "The image is encrypted: its signature is over what it decrypts to.");
  const outcomes = [];
  for (const [type, group] of keysByType(keys))
    outcomes.push(await checkWithType(image, range, type, group, hash));
  const good = outcomes.find((outcome) => outcome.check.result === "pass");
  // Of several key types, the one that says most: it has the type of a signature of the image.
  const closest = outcomes.find((outcome) => outcome.signatures.length > 0);
  return good ?? closest ?? outcomes[0] ?? none("fail", "The bootloader trusts no key.");
}

async function checkWithType(
  image: Image,
  range: Uint8Array,
  type: keyof typeof SIGNATURE_ALGORITHMS,
  keys: readonly Key[],
  wanted: HashName | undefined,
): Promise<SignatureOutcome> {
  const algorithm = SIGNATURE_ALGORITHMS[type];
  const pure = type === "ed25519" && isPure(image);
  const hash = hashForSignatures(image, type, { pure, wanted });
  const digest = hash.digest(range);
  const walk = await walkSignatures(image, { algorithm, hash, keys, range, digest, pure });
  const last = walk.signatures.findLast(({ result }) => result !== "ignored");
  const outcome = (result: Check["result"], sentence: string) => ({
    check: check("signature", result, sentence),
    hash,
    signatures: walk.signatures,
    warnings: walk.warnings,
  });
  if (walk.refused) return outcome("fail", walk.refused);
  if (walk.valid && last?.key)
    return { ...outcome("pass", `Signed by ${type} key ${short(last.key.keyHash)}.`), signedBy: last.key };
  if (last)
    return outcome(
      "fail",
      `The signature at ${last.offset} is not one of ${type} key ${short(last.key!.keyHash)}.`,
    );
  if (walk.signatures.length === 0)
    return outcome("fail", `The image has no ${type} signature, only ${signatureTypes(image)}.`);
  const named = image.keyHashes.length > 0 ? `It names key ${describeKeyHashes(image)}.` : "It names no key.";
  return outcome("fail", `The image is signed by a key that is not trusted. ${named}`);
}

function signatureTypes(image: Image): string {
  return [...new Set(image.signatures.map(({ type }) => tlvName(type)))].join(", ");
}
