import { equal } from "../bytes.js";
import { SIGNATURE_ALGORITHMS, type SigningKeyType } from "../crypto/algorithms.js";
import { HASHES, type HashAlgorithm, type HashName } from "../crypto/hashes.js";
import type { Key } from "../crypto/keys.js";
import { checkCompressed } from "./check-compressed.js";
import {
  check,
  checkBootable,
  checkCounter,
  checkDecryption,
  checkDependencies,
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
import { decryptRange, EncryptionError } from "./encryption.js";
import { ImageError } from "./header.js";
import { hashAlgorithmOf, type Image, parseImage } from "./image.js";
import {
  describeKeyHashes,
  digestToCheck,
  hashForSignatures,
  keysByType,
  type SignatureResult,
  tryEveryKey,
  walkSignatures,
} from "./signatures.js";
import { tlvName } from "./tlv.js";
import type { Check, CheckName, Verdict, VerifyOptions } from "./verdict.js";

export type { Check, CheckName, Verdict, VerifyOptions } from "./verdict.js";

/**
 * Checks an image as a bootloader with this policy would. Never throws for what the bytes are.
 *
 * @param bytes - a signed image, or a slot that begins with one
 * @param options - the bootloader: its keys, what it was built with; sizes in bytes
 * @returns every check with its result; `result` is `good` only when nothing failed and the signature was checked
 *
 * @example
 * ```ts
 * import { generateKey, signImage, verifyImage } from "bootproof";
 * const [mine, other] = [await generateKey("ed25519"), await generateKey("ed25519")];
 * const options = { version: "1.0.0", headerSize: 32, padHeader: true, slotSize: 0x20000 };
 * const { image } = await signImage(new Uint8Array(512), { ...options, key: mine });
 * const { result, checks } = await verifyImage(image, { keys: [other.publicKey] });
 * if (result !== "bad") throw new Error("a foreign signature passed");
 * if (!checks.some((check) => check.name === "signature" && check.result === "fail")) throw new Error("no reason");
 * ```
 */
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
    ...checkDependencies(image),
  ];
  const { keys = [] } = options;
  const pureOf = (type: SigningKeyType) => SIGNATURE_ALGORITHMS[type].mayBePure && isPure(image);
  const trials = options.tryEveryKey ? await tryEveryKey(image, keys, { range, pureOf }) : undefined;
  return {
    result: resultOf(checks),
    checks,
    warnings: [...signature.warnings, ...warningsAbout(image, bytes, options.slotAddress)],
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
      : check(name, "not-checked", "The image could not be parsed."),
  );
  return { result: "bad", checks, warnings: [], signatures: [] };
}

function resultOf(checks: readonly Check[]): Verdict["result"] {
  if (checks.some(({ result }) => result === "fail")) return "bad";
  const signature = checks.find(({ name }) => name === "signature");
  if (signature?.result !== "pass") return "signature-not-checked";
  return checks.some(({ name, result }) => name === "hash" && result === "not-checked")
    ? "digest-not-checked"
    : "good";
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
  range: Uint8Array | undefined,
  type: SigningKeyType,
  keys: readonly Key[],
  wanted: HashName | undefined,
): Promise<SignatureOutcome> {
  const algorithm = SIGNATURE_ALGORITHMS[type];
  const pure = algorithm.mayBePure && isPure(image);
  const hash = hashForSignatures(image, type, { pure, wanted });
  const digest = digestToCheck(image, range, hash, pure);
  if (digest === undefined) {
    const why = pure
      ? "The image is encrypted, and its signature is over the plain image: checking it needs the key that decrypts it."
      : `The image is encrypted and states no ${hash.label} hash that a ${type} signature could be over.`;
    return { check: check("signature", "not-checked", why), hash, signatures: [], warnings: [] };
  }
  const walk = await walkSignatures(image, { algorithm, hash, keys, range, digest, pure });
  const last = walk.signatures.findLast(({ result }) => result !== "ignored");
  const outcome = (result: Check["result"], sentence: string) => ({
    check: check("signature", result, sentence),
    hash,
    signatures: walk.signatures,
    warnings: walk.warnings,
  });
  const over = range ? "" : ", over the digest that the encrypted image states";
  if (walk.refused) return outcome("fail", walk.refused);
  if (walk.valid && last?.key)
    return {
      ...outcome("pass", `Signed by ${type} key ${short(last.key.keyHash)}${over}.`),
      signedBy: last.key,
    };
  if (last)
    return outcome(
      "fail",
      `The signature at ${last.offset} was not made by ${type} key ${short(last.key!.keyHash)}.`,
    );
  if (walk.signatures.length === 0)
    return outcome("fail", `The image has no ${type} signature, only ${signatureTypes(image)}.`);
  const named = image.keyHashes.length > 0 ? `It names key ${describeKeyHashes(image)}.` : "It names no key.";
  return outcome("fail", `None of the given keys signed the image. ${named}`);
}

function signatureTypes(image: Image): string {
  return [...new Set(image.signatures.map(({ type }) => tlvName(type)))].join(", ");
}
