import { equal, toHex } from "../bytes.js";
import {
  HASHES,
  type HashAlgorithm,
  type HashName,
  hashOfTlv,
  isSignatureTlv,
  SIGNATURE_ALGORITHMS,
} from "./algorithms.js";
import { decryptRange, EncryptionError } from "./encryption.js";
import { ORDER } from "./endian.js";
import { flagNames, IMAGE_F, ImageError } from "./header.js";
import { hashAlgorithmOf, type Image, parseImage } from "./image.js";
import type { Key } from "./keys.js";
import { type BootMode, largestImage, type SlotGeometry } from "./largest-image.js";
import { publishedKeyName } from "./published-keys.js";
import { describeKeyHashes, keysByType, type SignatureResult, walkSignatures } from "./signatures.js";
import { CUSTOM_TLV_RANGE, TLV, type Tlv, tlvKind, tlvName } from "./tlv.js";

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
  /** The image hash is the hash of what is there. */
  | "hash"
  /** A trusted key signed it. */
  | "signature"
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
  readonly decryptionKey?: Key;
  /** It can decrypt, or decompress. Left out: unknown. */
  readonly supports?: { readonly encryption?: boolean; readonly compression?: boolean };
  /** The image shall run: NON_BOOTABLE is a failure. */
  readonly toBoot?: boolean;
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
    checkHash(image, range, signature.hash),
    signature.check,
    checkCounter(image, options),
  ];
  return {
    result: resultOf(checks),
    checks,
    warnings: [...signature.warnings, ...warningsAbout(image, bytes)],
    signatures: signature.signatures,
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
  "hash",
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
    name === "structure"
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

function check(name: CheckName, result: Check["result"], sentence: string): Check {
  return { name, result, sentence };
}

const COMPRESSED = IMAGE_F.COMPRESSED_LZMA1 | IMAGE_F.COMPRESSED_LZMA2 | IMAGE_F.COMPRESSED_ARM_THUMB_FLT;

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

function checkFlags(
  { header: { flags }, encrypted }: Image,
  range: Uint8Array | undefined,
  { supports, decryptionKey }: VerifyOptions,
): Check {
  const has = (bits: number) => (flags & bits) === bits;
  if (has(IMAGE_F.ENCRYPTED_AES128 | IMAGE_F.ENCRYPTED_AES256))
    return check(
      "flags",
      "fail",
      "Two kinds of encryption are flagged at once; every bootloader refuses that.",
    );
  if (has(IMAGE_F.COMPRESSED_LZMA1 | IMAGE_F.COMPRESSED_LZMA2))
    return check(
      "flags",
      "fail",
      "Two kinds of compression are flagged at once; every bootloader refuses that.",
    );
  const decrypted = decryptionKey ? range !== undefined : undefined;
  if (encrypted && decrypted === false)
    return check("flags", "fail", "The image is encrypted, and not for the given key.");
  const asked = [
    { what: "encrypted", needed: encrypted, supported: supports?.encryption ?? decrypted },
    { what: "compressed", needed: (flags & COMPRESSED) !== 0, supported: supports?.compression },
  ].filter(({ needed }) => needed);
  const refused = asked.find(({ supported }) => supported === false);
  if (refused)
    return check("flags", "fail", `The image is ${refused.what}; this bootloader was built without that.`);
  const unknown = asked.find(({ supported }) => supported === undefined);
  if (unknown)
    return check(
      "flags",
      "not-checked",
      `The image is ${unknown.what}: only a bootloader built for that takes it.`,
    );
  return check("flags", "pass", "The bootloader can handle what the flags ask for.");
}

function checkBootable({ header: { flags } }: Image, { toBoot }: VerifyOptions): Check {
  if ((flags & IMAGE_F.NON_BOOTABLE) === 0) return check("bootable", "pass", "The image may be booted.");
  const sentence = "The image is flagged NON_BOOTABLE: a bootloader validates it, but never starts it.";
  return check("bootable", toBoot ? "fail" : "not-checked", sentence);
}

const ALL_MODES: readonly BootMode[] = ["overwrite-only", "swap-scratch", "swap-move", "swap-offset"];

function checkSize(image: Image, { slotSize, geometry, mode }: VerifyOptions): Check {
  const slot = geometry?.primarySize ?? slotSize;
  if (slot === undefined) return check("size", "not-checked", "The slot's size is not known.");
  const covered = image.hashedRange.length;
  if (covered >= slot || image.size > slot)
    return check("size", "fail", `The image has ${image.size} bytes, the slot ${slot}.`);
  if (!geometry)
    return check(
      "size",
      "pass",
      `The image has ${image.size} bytes, the slot ${slot}; what the trailer needs is not known.`,
    );
  const limits = (mode ? [mode] : ALL_MODES).map((name) => ({ name, limit: largestImage(name, geometry) }));
  const tooSmall = limits.filter(({ limit }) => image.size > limit);
  const listed = tooSmall.map(({ name, limit }) => `${name} takes at most ${limit}`).join(", ");
  if (tooSmall.length === 0)
    return check(
      "size",
      "pass",
      `The image has ${image.size} bytes; at most ${Math.min(...limits.map(({ limit }) => limit))} fit.`,
    );
  const result = tooSmall.length === limits.length ? "fail" : "not-checked";
  return check("size", result, `The image has ${image.size} bytes: ${listed}.`);
}

function checkTlvTypes(image: Image, { allowList = true }: VerifyOptions): Check {
  if (!allowList) return check("tlv-types", "not-checked", "The bootloader lets all TLV types pass.");
  const pure = isPure(image);
  const refused = image.tlvs.find((tlv) => countsAsUnprotected(image, tlv) && !isAllowed(tlv, image, pure));
  if (refused)
    return check(
      "tlv-types",
      "fail",
      `The TLV ${tlvName(refused.type)} at ${refused.offset} is not allowed outside the protected area.`,
    );
  return check("tlv-types", "pass", "All unprotected TLVs are of types that may stand there.");
}

/** MCUboot goes by where a value starts: an empty one at the very end of the protected area is outside for it. */
function countsAsUnprotected({ protectedArea }: Image, tlv: Tlv): boolean {
  if (!tlv.protected || !protectedArea) return true;
  return tlv.value.length === 0 && tlv.offset + 4 === protectedArea.offset + protectedArea.length;
}

function isAllowed({ type, value }: Tlv, image: Image, pure: boolean): boolean {
  switch (tlvKind(type)?.allowList) {
    case "yes":
      return true;
    case "pure":
      return pure && value.length === 1 && value[0] === 1;
    case "x25519-sha512":
      return image.encrypted;
    default:
      return false;
  }
}

function checkHash(image: Image, range: Uint8Array | undefined, wanted: HashAlgorithm): Check {
  const hashes = image.tlvs.filter(({ type }) => type === wanted.tlv);
  const others = image.tlvs
    .filter(({ type }) => type !== wanted.tlv && hashOfTlv(type))
    .map(({ type }) => tlvName(type));
  if (hashes.length === 0) {
    const instead = others.length > 0 ? `, only ${others.join(", ")}` : "";
    return check("hash", "fail", `The image carries no ${wanted.label} hash${instead}.`);
  }
  if (!range)
    return check("hash", "not-checked", "The image is encrypted: its hash is over what it decrypts to.");
  const digest = wanted.digest(range);
  const wrong = hashes.find(({ value }) => !equal(value, digest));
  if (wrong && wrong.value.length !== wanted.length)
    return check(
      "hash",
      "fail",
      `The hash at ${wrong.offset} has ${wrong.value.length} bytes instead of ${wanted.length}.`,
    );
  if (wrong)
    return check(
      "hash",
      "fail",
      `The image was changed: its ${wanted.label} is ${short(digest)}, it states ${short(wrong.value)}.`,
    );
  return check("hash", "pass", `${wanted.label} ${short(digest)} is what the image states.`);
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
  const candidates: readonly HashName[] = wanted ? [wanted] : pure ? ["sha512"] : algorithm.hashes;
  const carried = candidates.find((name) => image.tlvs.some((tlv) => tlv.type === HASHES[name].tlv));
  const hash = HASHES[carried ?? candidates[0]!];
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

function checkCounter(image: Image, { storedCounter }: VerifyOptions): Check {
  const name = "security-counter";
  if (storedCounter === undefined)
    return check(name, "not-checked", "The device's security counter is not known.");
  const counters = image.tlvs.filter(({ type }) => type === TLV.SEC_CNT);
  if (counters.length === 0)
    return check(
      name,
      "fail",
      `The image carries no security counter; the device asks for at least ${storedCounter}.`,
    );
  const values = counters.map(({ value }) => (value.length === 4 ? ORDER[image.endian].u32(value, 0) : -1));
  const lowest = Math.min(...values);
  if (lowest < 0) return check(name, "fail", "The image's security counter does not have 4 bytes.");
  if (lowest < storedCounter)
    return check(
      name,
      "fail",
      `The image's security counter is ${lowest}, the device's ${storedCounter}: too old.`,
    );
  return check(name, "pass", `The image's security counter is ${lowest}, the device's ${storedCounter}.`);
}

function warningsAbout(image: Image, bytes: Uint8Array): string[] {
  const warnings: string[] = [];
  for (const hash of image.keyHashes) {
    const published = publishedKeyName(hash);
    if (published)
      warnings.push(
        `Signed with MCUboot's published development key ${published}: everybody can sign like this.`,
      );
  }
  const { unknown } = flagNames(image.header.flags);
  if (unknown !== 0)
    warnings.push(`Header flags 0x${unknown.toString(16)} have no meaning; MCUboot ignores them.`);
  if (image.header.pad !== 0)
    warnings.push("The header's last four bytes are not zero; MCUboot ignores them.");
  for (const { type, offset } of image.tlvs) {
    if (tlvKind(type) || (type & 0xff) >= CUSTOM_TLV_RANGE.min) continue;
    warnings.push(`The TLV ${tlvName(type)} at ${offset} is of a type that MCUboot keeps for itself.`);
  }
  if (image.tlvs.some((tlv) => tlv.protected && isSignatureTlv(tlv.type)))
    warnings.push("There is a signature in the protected area; it signs nothing there.");
  if (bytes.length > image.size)
    warnings.push(
      `${bytes.length - image.size} bytes follow the image; neither hash nor signature covers them.`,
    );
  return warnings;
}

function isPure(image: Image): boolean {
  return image.tlvs.some((tlv) => !tlv.protected && tlv.type === TLV.SIG_PURE);
}

function signatureTypes(image: Image): string {
  return [...new Set(image.signatures.map(({ type }) => tlvName(type)))].join(", ");
}

function short(bytes: Uint8Array): string {
  return toHex(bytes.subarray(0, 8));
}
