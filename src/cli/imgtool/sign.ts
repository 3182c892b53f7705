import { toBase64 } from "../../bytes.js";
import { canSign, SIGNATURE_ALGORITHMS } from "../../crypto/algorithms.js";
import { type Key, signatureAlgorithmOf } from "../../crypto/keys.js";
import { keySigner } from "../../crypto/signer.js";
import { IMAGE_F, parseHeader } from "../../mcuboot/header.js";
import { finishImage, prepareImage, type SignedImage, signByPlan } from "../../mcuboot/sign.js";
import type { SigningPlan } from "../../mcuboot/signing-plan.js";
import { CUSTOM_TLV_RANGE, tlvKind } from "../../mcuboot/tlv.js";
import { isUuid } from "../../mcuboot/uuid.js";
import { FileError, writeOutput } from "../files.js";
import { type Firmware, readBody } from "../firmware-file.js";
import { bodyNotes } from "../signing/body-notes.js";
import { imageTarget, writeImage, writeVector } from "../signing/image-file.js";
import { askedImage, planImage, prepareForElsewhere, readSignature } from "../signing/plan-image.js";
import { UsageError } from "../usage-error.js";
import type { Arguments } from "./arguments.js";
import { ImgtoolFailure } from "./failure.js";
import type { ImgtoolIo } from "./io.js";
import { loadKey } from "./load-key.js";

/** Who signs: a key, or a signature that was made elsewhere with the private part of one. */
interface Signing {
  readonly key?: Key;
  readonly made?: { readonly publicKey: Key; readonly signature: Uint8Array };
}

/** imgtool's `sign`. Nothing is written unless all of it is good, and no signature that does not verify. */
export async function sign(given: Arguments, io: ImgtoolIo): Promise<void> {
  const asked = askedImage(given);
  const input = readOperand(given.operand(0));
  const signing = await readSigning(given, io);
  const isSigned = signing.key !== undefined || signing.made !== undefined;
  const encryptionKey = await loadKey(given, "encrypt", io);
  mustHaveVendor(given);
  const plan = planImage(given, asked, {
    encryptionKey,
    isSigned,
    isKeyKnown: isSigned || given.text("fix-sig-pubkey") !== undefined,
    compressed: (packed, original) =>
      io.out(`compressed image size: ${packed} bytes\noriginal image size: ${original} bytes\n`),
  });
  warn(plan, io);
  for (const note of bodyNotes(input, plan)) io.err(`Note: ${note}`);
  const target = imageTarget(given.operand(1), input, plan.header, asked.hexAddress);
  const vector = given.text("vector-to-sign");
  if (vector !== undefined) {
    const publicKey = signing.key ?? signing.made?.publicKey ?? (await loadKey(given, "fix-sig-pubkey", io));
    const { range, digest } = prepareForElsewhere(input.bytes, plan, publicKey);
    io.out(`image.py: export ${vector}\n`);
    if (!publicKey && vector === "digest")
      io.err("Note: no key is named, so the digest is by --sha, or SHA-256; P-384 keys need --sha 384.");
    writeVector(target, vector === "payload" ? range : digest);
    return;
  }
  const image = await make(input.bytes, plan, signing, io);
  writeImage(target, image, plan.slot, { withFlags: given.flag("test") || given.flag("confirm") });
  const signatureFile = given.text("sig-out");
  if (signatureFile !== undefined) writeOutput(signatureFile, toBase64(image.signature!));
}

async function make(
  input: Uint8Array,
  plan: SigningPlan,
  { key, made }: Signing,
  io: ImgtoolIo,
): Promise<SignedImage> {
  // The lines that imgtool prints: some builds wait for them.
  const signs = key && canSign(key.type) && SIGNATURE_ALGORITHMS[key.type].signs;
  const line = `image.py: sign the ${signs === "message" ? "digest" : "payload"}\n`;
  if (signs) io.out(line);
  if (!made) {
    const image = await signByPlan(input, plan, key && keySigner(key));
    const isCompressed = (parseHeader(image.image).header.flags & IMAGE_F.COMPRESSED_LZMA2) !== 0;
    if (key && isCompressed) io.out(line);
    return image;
  }
  if (made.publicKey.isPrivate && signatureAlgorithmOf(made.publicKey).signs === "digest")
    io.out("image.py: sign the payload\n");
  return finishImage(prepareImage(input, plan, made.publicKey), made);
}

/** A missing image file is the command line's fault, unlike a missing key. */
function readOperand(path: string): Firmware {
  try {
    return readBody(path);
  } catch (error) {
    if (error instanceof FileError && error.code === "file-missing")
      throw new UsageError(error.message, error.hint);
    throw error;
  }
}

async function readSigning(given: Arguments, io: ImgtoolIo): Promise<Signing> {
  const key = await loadKey(given, "key", io);
  if (key && !key.isPrivate)
    throw new UsageError("Cannot sign with a public key: name the private key's file.");
  const file = given.text("fix-sig");
  if (file === undefined) return key ? { key } : {};
  const publicKey = await loadKey(given, "fix-sig-pubkey", io);
  if (!publicKey)
    throw new UsageError("The public key of the fixed signature is not specified: --fix-sig-pubkey.");
  if (key) throw new UsageError("Either sign with a key or bring a signature along, not both.");
  return { made: { publicKey, signature: readSignature(file) } };
}

/** imgtool ends with a traceback. */
function mustHaveVendor(given: Arguments): void {
  const classId = given.text("cid");
  if (classId !== undefined && given.text("vid") === undefined && !isUuid(classId))
    throw new ImgtoolFailure(`--cid ${classId}: a class that is a name needs a vendor.`, "Add --vid VENDOR.");
}

function warn({ slot, tlvs }: SigningPlan, io: ImgtoolIo): void {
  if (slot.trailer === "test" && !slot.overwriteOnly)
    io.err("Note: the trailer asks for one test boot; unless confirmed, the old image comes back.");
  for (const { type } of tlvs.others)
    if (!tlvKind(type) && (type & 0xff) < CUSTOM_TLV_RANGE.min)
      io.err(`Note: custom TLV 0x${type.toString(16)}: vendors' types end with a byte of 0xa0 or more.`);
}
