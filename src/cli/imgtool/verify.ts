import { equal, toHex } from "../../bytes.js";
import { canSign, SIGNATURE_ALGORITHMS } from "../../crypto/algorithms.js";
import { type Key, publicRawOf } from "../../crypto/keys.js";
import { checkTlvTypes, isPure, warningsAbout } from "../../mcuboot/checks.js";
import { hashOfTlv, SIGNATURE_TLVS } from "../../mcuboot/crypto-tlvs.js";
import { imgtoolVersion } from "../../mcuboot/dumpinfo.js";
import { decryptRange } from "../../mcuboot/encryption.js";
import { ImageError, type ImageErrorCode } from "../../mcuboot/header.js";
import { hashAlgorithmOf, type Image, parseImage } from "../../mcuboot/image.js";
import { FileError } from "../files.js";
import { readFirmware } from "../firmware-file.js";
import { UsageError } from "../usage-error.js";
import type { Arguments, CommandSpec } from "./arguments.js";
import type { ImgtoolStatus } from "./failure.js";
import type { ImgtoolIo } from "./io.js";
import { loadKey } from "./load-key.js";

export const VERIFY: CommandSpec = {
  name: "verify",
  summary: "Check an image's hash, and its signature if a key is given.",
  operands: ["IMGFILE"],
  options: [
    { name: "key", short: "k", value: "FILE", help: "key that should have signed it" },
    { name: "decrypt-key", value: "FILE", help: "private key of an encrypted image", ours: true },
    { name: "passphrase-file", value: "FILE", help: "passphrase of an encrypted key", ours: true },
  ],
};

const SAYS = {
  "bad-magic": "Invalid image magic; is this an MCUboot image?",
  "no-tlv-area": "Invalid TLV info magic; is this an MCUboot image?",
  hash: "Image has an invalid hash",
  signature: "No signature found for the given key",
  mismatch: "Key type does not match TLV record",
} as const;

type Answer =
  | { readonly no: keyof typeof SAYS | "encrypted" }
  /** `digest`: of the hash TLV that was seen last; none in an image without one. */
  | { readonly digest: Uint8Array | undefined }
  | { readonly pureSignature: Uint8Array };

/** imgtool's `verify`. What it does not say but a bootloader minds comes on stderr; the status is imgtool's. */
export async function verify(given: Arguments, io: ImgtoolIo): Promise<ImgtoolStatus> {
  const bytes = readImage(given.operand(0));
  const key = await loadKey(given, "key", io);
  const decryptionKey = await loadKey(given, "decrypt-key", io);
  const image = tryParse(bytes);
  const answer = "no" in image ? image : await judge(image, key, decryptionKey);
  if ("no" in answer) {
    io.out(`${answer.no === "encrypted" ? ENCRYPTED : SAYS[answer.no]}\n`);
    return 1;
  }
  if ("no" in image) return 1;
  io.out(`Image was correctly validated\nImage version: ${imgtoolVersion(image.version)}\n`);
  if ("digest" in answer) io.out(answer.digest ? `Image digest: ${toHex(answer.digest)}\n` : "");
  else io.out(`Image signature over image: ${toHex(answer.pureSignature)}\n`);
  warn(image, bytes, key, io);
  return 0;
}

const ENCRYPTED = "Image is encrypted: its hash cannot be checked without the private key (--decrypt-key)";

function readImage(file: string): Uint8Array {
  try {
    return readFirmware(file).bytes;
  } catch (error) {
    if (error instanceof FileError && error.code === "file-missing")
      throw new UsageError(error.message, error.hint);
    throw error;
  }
}

/** Errors that imgtool has a sentence for are answers; others are thrown. */
function tryParse(bytes: Uint8Array): Image | { no: "bad-magic" | "no-tlv-area" } {
  try {
    return parseImage(bytes);
  } catch (error) {
    const code: ImageErrorCode | undefined = error instanceof ImageError ? error.code : undefined;
    if (code === "bad-magic" || code === "no-tlv-area") return { no: code };
    throw error;
  }
}

/**
 * In imgtool's order: the unprotected TLVs one after another, the first wrong hash or good signature ends it. A key
 * hash is not looked at: the signature itself tells whose it is.
 */
async function judge(image: Image, key: Key | undefined, decryptionKey: Key | undefined): Promise<Answer> {
  const range = await plainRange(image, decryptionKey);
  const algorithm = key && canSign(key.type) ? SIGNATURE_ALGORITHMS[key.type] : undefined;
  const pure = isPure(image);
  let stated: Uint8Array | undefined;
  for (const { type, value } of image.tlvs.filter((tlv) => !tlv.protected)) {
    const hash = hashOfTlv(type);
    if (hash) {
      if (key && !algorithm?.hashes.includes(hash.name)) return { no: "mismatch" };
      if (!range) return { no: "encrypted" };
      if (!equal(hash.digest(range), value)) return { no: "hash" };
      if (!key) return { digest: value };
      stated = value;
    } else if (
      range &&
      key &&
      algorithm &&
      SIGNATURE_TLVS[algorithm.keyType] === type &&
      (!pure || algorithm.mayBePure)
    ) {
      // A digest as message is the one that is stated before it: without one imgtool fails, and so does a bootloader.
      if (algorithm.signs === "message" && !pure && !stated) return { no: "signature" };
      const digest = stated ?? hashAlgorithmOf(image).digest(range);
      if (await algorithm.verify(publicRawOf(key), { range, digest, pure }, value))
        return pure ? { pureSignature: value } : { digest: stated };
    }
  }
  return { no: "signature" };
}

/** What hash and signature are over; undefined when that is encrypted and nobody can read it. */
async function plainRange(image: Image, decryptionKey: Key | undefined): Promise<Uint8Array | undefined> {
  const { hashedRange, imageHash } = image;
  if (!image.encrypted) return hashedRange;
  // Made with --clear: flagged, but not encrypted yet.
  if (imageHash && equal(hashAlgorithmOf(image).digest(hashedRange), imageHash.value)) return hashedRange;
  return decryptionKey && decryptRange(image, decryptionKey);
}

function warn(image: Image, bytes: Uint8Array, key: Key | undefined, io: ImgtoolIo): void {
  if (!key) io.err("Note: no key was given, so the signature was NOT checked.");
  const types = checkTlvTypes(image, {});
  if (types.result === "fail") io.err(`WARNING: a bootloader refuses this image. ${types.sentence}`);
  for (const warning of warningsAbout(image, bytes)) io.err(`Note: ${warning}`);
}
