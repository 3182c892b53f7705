import { equal, ORDER, toHex } from "../bytes.js";
import type { HashAlgorithm } from "../crypto/hashes.js";
import type { Key } from "../crypto/keys.js";
import { publishedKeyName } from "../crypto/published-keys.js";
import { HASH_TLVS, hashOfTlv, isSignatureTlv } from "./crypto-tlvs.js";
import { flagNames, IMAGE_F } from "./header.js";
import type { Image } from "./image.js";
import { largestImage } from "./largest-image.js";
import { startWarnings } from "./start.js";
import { CUSTOM_TLV_RANGE, oddLength, TLV, type Tlv, tlvKind, tlvName } from "./tlv.js";
import { UPGRADE_MODES, upgradeMode } from "./upgrade-modes.js";
import type { Check, CheckName, VerifyOptions } from "./verdict.js";
import { formatVersion } from "./version.js";

/** The checks of a verdict that need no cryptography but a hash, one function each; `verify.ts` puts them in order. */

export function check(name: CheckName, result: Check["result"], sentence: string): Check {
  return { name, result, sentence };
}

const COMPRESSED = IMAGE_F.COMPRESSED_LZMA1 | IMAGE_F.COMPRESSED_LZMA2 | IMAGE_F.COMPRESSED_ARM_THUMB_FLT;

export function checkFlags(
  { header, encrypted }: Image,
  range: Uint8Array | undefined,
  { supports, decryptionKey, slotAddress, mode }: VerifyOptions,
): Check {
  const { flags, loadAddress } = header;
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
  if (mode && upgradeMode(mode).runsIn === "ram" && !has(IMAGE_F.RAM_LOAD))
    return check("flags", "fail", "The image is not flagged RAM_LOAD; a bootloader of this mode erases it.");
  if (has(IMAGE_F.ROM_FIXED) && slotAddress !== undefined && loadAddress !== slotAddress)
    return check(
      "flags",
      "fail",
      `The image is linked for address 0x${loadAddress.toString(16)}, the slot is at 0x${slotAddress.toString(16)}.`,
    );
  const opened = decryptionKey && range ? true : undefined;
  const asked = [
    { what: "encrypted", needed: encrypted, supported: supports?.encryption ?? opened },
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
      `The image is ${unknown.what}: only a bootloader built for that accepts it.`,
    );
  return check("flags", "pass", "The bootloader supports what the flags ask for.");
}

export function checkBootable({ header: { flags } }: Image, { toBoot }: VerifyOptions): Check {
  if ((flags & IMAGE_F.NON_BOOTABLE) === 0) return check("bootable", "pass", "The image may be booted.");
  const sentence = "The image is flagged NON_BOOTABLE: a bootloader validates it, but never starts it.";
  return check("bootable", toBoot ? "fail" : "not-checked", sentence);
}

/** Modes that tell sizes apart when nobody says which one the bootloader has. */
const USUAL_MODES = UPGRADE_MODES.filter(({ picks }) => picks === "trailer").map(({ name }) => name);

/** Types of which MCUboot wants to know that nobody added them later (CVE-2024-32883). */
const MUST_BE_PROTECTED: readonly number[] = [TLV.SEC_CNT, TLV.DEPENDENCY, TLV.BOOT_RECORD];

export function checkProtectedArea(
  { tlvs, protectedArea }: Image,
  { allowList = true }: VerifyOptions,
): Check {
  const name = "protected-area";
  const outside = tlvs.find((tlv) => !tlv.protected && MUST_BE_PROTECTED.includes(tlv.type));
  if (outside)
    return check(
      name,
      allowList ? "fail" : "not-checked",
      `The TLV ${tlvName(outside.type)} at ${outside.offset} is outside it: neither hash nor signature covers that.`,
    );
  if (!protectedArea) return check(name, "pass", "The image has none, and no TLV that belongs in one.");
  const names = tlvs.filter((tlv) => tlv.protected).map(({ type }) => tlvName(type));
  return check(
    name,
    "pass",
    `${protectedArea.length} bytes, as the header states, covered by the hash: ${names.join(", ") || "empty"}.`,
  );
}

/** Nothing of an image that is not encrypted. */
export function checkDecryption(
  { encrypted, tlvs }: Image,
  range: Uint8Array | undefined,
  { decryptionKey }: VerifyOptions,
): Check[] {
  const name = "decryption";
  if (!encrypted) return [];
  const kinds = tlvs.filter(({ type }) => type >= TLV.ENC_RSA2048 && type <= TLV.ENC_X25519_SHA512);
  const kind = kinds.map(({ type }) => tlvName(type)).join(", ");
  if (kinds.length === 0)
    return [
      check(name, "fail", "The image is encrypted and carries no content key: it cannot be decrypted."),
    ];
  if (range && !decryptionKey)
    return [check(name, "pass", `Flagged as encrypted (${kind}), but the body is not encrypted.`)];
  if (!decryptionKey)
    return [check(name, "not-checked", `Encrypted (${kind}); no key was given to decrypt it.`)];
  if (!range) return [check(name, "fail", `Encrypted (${kind}), but not for the given key.`)];
  return [check(name, "pass", `The given key decrypts it (${kind}).`)];
}

export function checkKeyHash(image: Image, { keys }: VerifyOptions): Check {
  const name = "key-hash";
  const named = image.tlvs.filter(({ type }) => type === TLV.KEYHASH || type === TLV.PUBKEY);
  if (named.length === 0)
    return check(
      name,
      "not-checked",
      "The image names no key: only a bootloader that ignores key names accepts it.",
    );
  const told = named.map(({ type, value }) => `${type === TLV.KEYHASH ? "" : "in full "}${short(value)}`);
  const list = `The image names key ${told.join(", ")}`;
  if (!keys) return check(name, "not-checked", `${list}; no key was given to compare with.`);
  const known = keys.find((key) => named.some((tlv) => names(tlv, key)));
  if (!known) return check(name, "fail", `${list}, which is not trusted.`);
  return check(name, "pass", `${list}; ${known.type} key ${short(known.keyHash)} is trusted.`);
}

const HASH_NAMES = ["sha256", "sha384", "sha512"] as const;

function names({ type, value }: Tlv, key: Key): boolean {
  if (type === TLV.PUBKEY) return equal(key.publicDer, value);
  // As MCUboot compares: as many bytes as the image gives.
  return HASH_NAMES.some((hash) => equal(key.keyHashBy(hash).subarray(0, value.length), value));
}

export function checkSize(image: Image, { slotSize, geometry, mode }: VerifyOptions): Check {
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
  const limits = (mode ? [mode] : USUAL_MODES).map((name) => ({
    name,
    limit: largestImage(name, geometry),
  }));
  const tooSmall = limits.filter(({ limit }) => image.size > limit);
  const listed = limits.map(
    ({ name, limit }) => `${name} takes ${limit}${image.size > limit ? " (too few)" : ""}`,
  );
  const result = tooSmall.length === 0 ? "pass" : tooSmall.length === limits.length ? "fail" : "not-checked";
  return check("size", result, `The image has ${image.size} bytes; ${listed.join(", ")}.`);
}

/**
 * Checks that the image has only TLV types that a bootloader with an allow-list takes (MCUboot, image_validate.c).
 *
 * @param image - by {@link parseImage}
 * @param options - `allowList: false` for bootloaders built without one
 * @returns `fail` names the first type that is refused
 */
export function checkTlvTypes(image: Image, { allowList = true }: VerifyOptions): Check {
  if (!allowList) return check("tlv-types", "not-checked", "The bootloader accepts all TLV types.");
  const pure = isPure(image);
  const refused = image.tlvs.find((tlv) => countsAsUnprotected(image, tlv) && !isAllowed(tlv, image, pure));
  if (refused)
    return check(
      "tlv-types",
      "fail",
      `The TLV ${tlvName(refused.type)} at ${refused.offset} is not allowed outside the protected area.`,
    );
  return check("tlv-types", "pass", "All unprotected TLVs are of allowed types.");
}

/** MCUboot goes by where a value starts: an empty one at the very end of the protected area is outside for it. */
function countsAsUnprotected({ protectedArea }: Image, tlv: Tlv): boolean {
  if (!tlv.protected || !protectedArea) return true;
  // One whose length is wrong fails for that, in the check that reads it.
  if (oddLength(tlv)) return false;
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

export function checkHash(image: Image, range: Uint8Array | undefined, wanted: HashAlgorithm): Check {
  const hashes = image.tlvs.filter(({ type }) => type === HASH_TLVS[wanted.name]);
  const others = image.tlvs
    .filter(({ type }) => type !== HASH_TLVS[wanted.name] && hashOfTlv(type))
    .map(({ type }) => tlvName(type));
  if (hashes.length === 0) {
    const instead = others.length > 0 ? `, only ${others.join(", ")}` : "";
    return check("hash", "fail", `The image carries no ${wanted.label} hash${instead}.`);
  }
  if (!range)
    return check(
      "hash",
      "not-checked",
      "The image is encrypted: whether its digest is right shows only with the key that decrypts it.",
    );
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
  return check("hash", "pass", `${wanted.label} ${short(digest)} matches what the image states.`);
}

export function checkCounter(image: Image, { storedCounter }: VerifyOptions): Check {
  const name = "security-counter";
  const counters = image.tlvs.filter(({ type }) => type === TLV.SEC_CNT);
  const odd = counters.map(oddLength).find((sentence) => sentence !== undefined);
  if (odd !== undefined) return check(name, "fail", odd);
  if (storedCounter === undefined)
    return check(name, "not-checked", "The device's security counter is not known.");
  if (counters.length === 0)
    return check(
      name,
      "fail",
      `The image carries no security counter; the device asks for at least ${storedCounter}.`,
    );
  const lowest = Math.min(...counters.map(({ value }) => ORDER[image.endian].u32(value, 0)));
  if (lowest < storedCounter)
    return check(
      name,
      "fail",
      `The image's security counter is ${lowest}, the device's ${storedCounter}: too old.`,
    );
  return check(name, "pass", `The image's security counter is ${lowest}, the device's ${storedCounter}.`);
}

/** Nothing of an image that depends on no other. Whether the others are there only a board can tell. */
export function checkDependencies({ tlvs, dependencies }: Image): Check[] {
  const name = "dependencies";
  const all = tlvs.filter(({ type }) => type === TLV.DEPENDENCY);
  if (all.length === 0) return [];
  const odd = all.map(oddLength).find((sentence) => sentence !== undefined);
  if (odd !== undefined) return [check(name, "fail", odd)];
  const needed = dependencies.map(({ image, version }) => `image ${image} >= ${formatVersion(version)}`);
  return [
    check(name, "not-checked", `The image needs ${needed.join(", ")}; only the board knows its images.`),
  ];
}

/**
 * What is odd about an image and decides nothing: published keys, bytes behind it, several signatures, firmware that cannot
 * start. `slotAddress`: where the image is to run, if that is known.
 *
 * @param image - by {@link parseImage}
 * @param bytes - the file that it came from
 * @param slotAddress - where the image is to run, if that is known
 * @returns sentences
 */
export function warningsAbout(image: Image, bytes: Uint8Array, slotAddress?: number): string[] {
  const warnings: string[] = [];
  for (const hash of image.keyHashes) {
    const published = publishedKeyName(hash);
    if (published)
      warnings.push(
        `Signed with MCUboot's published development key ${published}: everybody has its private key.`,
      );
  }
  const { unknown } = flagNames(image.header.flags);
  if (unknown !== 0)
    warnings.push(`Header flags 0x${unknown.toString(16)} have no meaning; MCUboot ignores them.`);
  if (image.header.pad !== 0)
    warnings.push("The header's last four bytes are not zero; MCUboot ignores them.");
  for (const { type, offset } of image.tlvs) {
    if (tlvKind(type) || (type & 0xff) >= CUSTOM_TLV_RANGE.min) continue;
    warnings.push(`The TLV ${tlvName(type)} at ${offset} is of a type that MCUboot reserves.`);
  }
  if (image.tlvs.some((tlv) => tlv.protected && isSignatureTlv(tlv.type)))
    warnings.push("There is a signature in the protected area, where it has no effect.");
  warnings.push(...startWarnings(image, slotAddress));
  if (bytes.length > image.size)
    warnings.push(
      `${bytes.length - image.size} bytes follow the image; neither hash nor signature covers them.`,
    );
  return warnings;
}

/**
 * Does the image say that its signature is over itself instead of over its hash?
 *
 * @param image - by {@link parseImage}
 * @returns true for an unprotected SIG_PURE TLV
 */
export function isPure(image: Image): boolean {
  return image.tlvs.some((tlv) => !tlv.protected && tlv.type === TLV.SIG_PURE);
}

/**
 * Enough of a hash for people to tell it from others.
 *
 * @param bytes - of a hash
 * @returns 16 hex digits
 */
export function short(bytes: Uint8Array): string {
  return toHex(bytes.subarray(0, 8));
}
