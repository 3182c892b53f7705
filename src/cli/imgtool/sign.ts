import { fromBase64, toBase64 } from "../../bytes.js";
import type { CompressionKind } from "../../image/compression.js";
import { IMAGE_F, parseHeader } from "../../image/header.js";
import type { Key } from "../../image/keys.js";
import {
  finishImage,
  prepareImage,
  type SignedImage,
  type SignOptions,
  signImage,
} from "../../image/sign.js";
import { CUSTOM_TLV_RANGE } from "../../image/tlv.js";
import { isUuid } from "../../image/uuid.js";
import { UsageError } from "../exit.js";
import { FileError, readInput, writeOutput } from "../files.js";
import { type Firmware, readFirmware } from "../firmware-file.js";
import { looseBase64 } from "../sign-words.js";
import { imageTarget, writeImage, writeVector } from "../signing/image-file.js";
import { xzLzma2 } from "../signing/xz.js";
import type { Arguments } from "./arguments.js";
import { ImgtoolFailure } from "./failure.js";
import type { ImgtoolIo } from "./io.js";
import { loadKey } from "./load-key.js";
import { integerOption } from "./python-number.js";
import { customTlvs, signOptions } from "./sign-options.js";

/** Who signs: a key, or a signature that was made elsewhere with the private part of one. */
interface Signing {
  readonly key?: Key;
  readonly made?: { readonly publicKey: Key; readonly signature: Uint8Array };
}

/** imgtool's `sign`. Nothing is written unless all of it is good, and no signature that does not verify. */
export async function sign(given: Arguments, io: ImgtoolIo): Promise<void> {
  const plain = signOptions(given);
  const hexAddress = given.text("hex-addr");
  const told = hexAddress === undefined ? undefined : integerOption("hex-addr", hexAddress);
  const input = readOperand(given.operand(0));
  const signing = await readSigning(given, io);
  const tell = (compressed: number, original: number) => {
    io.out(`compressed image size: ${compressed} bytes\noriginal image size: ${original} bytes\n`);
  };
  const options = {
    ...plain,
    ...(await encryption(given, io)),
    ...compression(given, tell),
    customTlvs: customTlvs(given),
  };
  const signed = signing.key !== undefined || signing.made !== undefined;
  mustMakeSense(given, { signed, keyKnown: signed || given.text("fix-sig-pubkey") !== undefined });
  warn(options, io);
  const target = imageTarget(given.operand(1), input, options, told);
  const vector = given.text("vector-to-sign");
  if (vector !== undefined) {
    const publicKey = signing.key ?? signing.made?.publicKey ?? (await loadKey(given, "fix-sig-pubkey", io));
    const bytes = exportVector(vector, input.bytes, options, publicKey, io);
    writeVector(target, bytes);
    return;
  }
  const image = await make(input.bytes, options, signing, io);
  writeImage(target, image, options, { withFlags: given.flag("test") || given.flag("confirm") });
  const signatureFile = given.text("sig-out");
  if (signatureFile !== undefined) writeOutput(signatureFile, toBase64(image.signature!));
}

async function make(
  input: Uint8Array,
  options: SignOptions,
  { key, made }: Signing,
  io: ImgtoolIo,
): Promise<SignedImage> {
  // The lines that imgtool prints: some builds wait for them.
  const line = `image.py: sign the ${key?.type === "ed25519" ? "digest" : "payload"}\n`;
  if (key && key.type !== "x25519") io.out(line);
  if (!made) {
    const image = await signImage(input, { ...options, ...(key && { key }) });
    const isCompressed = (parseHeader(image.image).header.flags & IMAGE_F.COMPRESSED_LZMA2) !== 0;
    if (key && isCompressed) io.out(line);
    return image;
  }
  if (made.publicKey.isPrivate && made.publicKey.type !== "ed25519") io.out("image.py: sign the payload\n");
  return finishImage(prepareImage(input, options, made.publicKey), options, made);
}

/** A missing image file is the command line's fault, unlike a missing key. */
function readOperand(path: string): Firmware {
  try {
    return readFirmware(path);
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

/** A file that holds base64. Throws {@link ImgtoolFailure}, `FileError`. */
export function readSignature(file: string): Uint8Array {
  const text = new TextDecoder("latin1").decode(readInput(file));
  try {
    return fromBase64(looseBase64(text));
  } catch {
    // BytesError, whose position is in a text that nobody sees.
    throw new ImgtoolFailure(`${file} does not hold base64.`);
  }
}

/** `encrypt` of the options, for the key that `--encrypt` names. */
export async function encryption(given: Arguments, io: ImgtoolIo): Promise<Pick<SignOptions, "encrypt">> {
  const key = await loadKey(given, "encrypt", io);
  if (!key) return {};
  // RSA-OAEP has no choice of hash; imgtool does not look at the option then.
  const sha512 = given.text("hmac-sha") === "512" && key.type !== "rsa-2048";
  return {
    encrypt: {
      key,
      keyLength: given.text("encrypt-keylen") === "256" ? 256 : 128,
      hash: sha512 ? "sha512" : "sha256",
      clear: given.flag("clear"),
      saveTlv: given.flag("save-enctlv"),
    },
  };
}

/** How the body is to be compressed. */
export function compressionKind(given: Arguments): CompressionKind | undefined {
  const kind = given.text("compression");
  return kind === "lzma2" || kind === "lzma2armthumb" ? kind : undefined;
}

/** `compression` of the options; `tell` hears both sizes before it is known whether it pays. */
export function compression(
  given: Arguments,
  tell: (compressed: number, original: number) => void,
): Pick<SignOptions, "compression"> {
  const kind = compressionKind(given);
  if (kind === undefined) return {};
  const compress = async (body: Uint8Array) => {
    const packed = await xzLzma2(body);
    tell(packed.length, body.length);
    return packed;
  };
  return { compression: { kind, compress } };
}

/** Combinations that imgtool takes and that end in a useless file or in a traceback after writing. */
export function mustMakeSense(
  given: Arguments,
  { signed, keyKnown }: { readonly signed: boolean; readonly keyKnown: boolean },
): void {
  const vector = given.text("vector-to-sign");
  const pads = ["pad", "test", "confirm"].find((flag) => given.flag(flag));
  if (vector !== undefined && pads)
    throw new UsageError(`--${pads} would put the trailer behind the data to be signed: leave it out here.`);
  if (vector === "digest" && given.flag("pure"))
    throw new UsageError("A pure signature is over the payload, not over its digest.");
  if (vector !== undefined && given.text("boot-record") !== undefined && !keyKnown)
    throw new UsageError(
      "The boot record holds the hash of the signing key, so what is to be signed depends on it.",
      "Name the key that will sign: --fix-sig-pubkey FILE.",
    );
  if (given.text("sig-out") !== undefined && (vector !== undefined || !signed))
    throw new UsageError("--sig-out: there is no signature without a key.");
  const classId = given.text("cid");
  if (classId !== undefined && given.text("vid") === undefined && !isUuid(classId))
    throw new ImgtoolFailure(`--cid ${classId}: a class that is a name needs a vendor.`, "Add --vid VENDOR.");
  if (compressionKind(given) !== undefined) {
    if (vector !== undefined || given.text("fix-sig") !== undefined)
      throw new UsageError(
        "A compressed image holds two signatures: it cannot be signed elsewhere with one.",
      );
    if (given.flag("non-bootable")) throw new UsageError("A compressed image cannot be non-bootable.");
  }
}

function warn(options: SignOptions, io: ImgtoolIo): void {
  if (options.trailer === "test" && !options.overwriteOnly)
    io.err("Note: the trailer asks for one test boot; unless confirmed, the old image comes back.");
  for (const { type } of options.customTlvs ?? [])
    if ((type & 0xff) < CUSTOM_TLV_RANGE.min)
      io.err(`Note: custom TLV 0x${type.toString(16)}: vendors' types end with a byte of 0xa0 or more.`);
}

/** What a signer elsewhere is to sign. Says so on stdout. */
export function exportVector(
  what: string,
  input: Uint8Array,
  options: SignOptions,
  publicKey: Key | undefined,
  io: ImgtoolIo,
): Uint8Array {
  // Without a key there is none to be pure with; the payload is the same.
  const { pure, ...rest } = options;
  const { range, digest } = prepareImage(input, publicKey ? options : rest, publicKey);
  io.out(`image.py: export ${what}\n`);
  if (!publicKey && what === "digest")
    io.err("Note: no key is named, so the digest is by --sha, or SHA-256; P-384 keys need --sha 384.");
  return what === "payload" ? range : digest;
}
