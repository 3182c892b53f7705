import { fromBase64 } from "../../bytes.js";
import { isRsa } from "../../crypto/key-formats.js";
import type { Key } from "../../crypto/keys.js";
import type { CompressionKind } from "../../mcuboot/compression.js";
import { type PreparedImage, prepareImage, type SignOptions } from "../../mcuboot/sign.js";
import { SignError } from "../../mcuboot/sign-error.js";
import { type SigningPlan, signingPlan } from "../../mcuboot/signing-plan.js";
import { readInput } from "../files.js";
import { looseBase64 } from "../sign-arguments.js";
import { UsageError } from "../usage-error.js";
import { customTlvs, imageOptions } from "./image-options.js";
import { integerOption } from "./integer.js";
import type { GivenOptions } from "./option-table.js";
import { xzLzma2 } from "./xz.js";

/** What a plan needs beside the words of a command line. */
export interface PlanningHelp {
  /** Of whoever the image is to be encrypted for. */
  readonly encryptionKey: Key | undefined;
  /** Hears both sizes of a body, bytes, before it is known whether compression pays. */
  compressed(packed: number, original: number): void;
  /** An image will be signed; `isKeyKnown`: and by which key is known already. */
  readonly isSigned: boolean;
  readonly isKeyKnown: boolean;
}

/** What the words of a command line say by themselves. */
export interface AskedImage {
  readonly options: SignOptions;
  /** Address in an Intel HEX file, when told. */
  readonly hexAddress: number | undefined;
}

/** Reads the values of options, before any key is asked for. Throws `UsageError`, `VersionError`. */
export function askedImage(given: GivenOptions): AskedImage {
  const options = imageOptions(given);
  const address = given.text("hex-addr");
  return { options, hexAddress: address === undefined ? undefined : integerOption("hex-addr", address) };
}

/** The plan for the image that a command line asks for. Throws `UsageError`, `SignError`, and what reading files throws. */
export function planImage(given: GivenOptions, { options }: AskedImage, help: PlanningHelp): SigningPlan {
  const all = {
    ...options,
    ...encryption(given, help.encryptionKey),
    ...compression(given, help),
    customTlvs: customTlvs(given),
  };
  mustMakeSense(given, help);
  return signingPlan(all);
}

function encryption(given: GivenOptions, key: Key | undefined): Pick<SignOptions, "encrypt"> {
  if (!key) return {};
  // RSA-OAEP has no choice of hash; imgtool does not look at the option then.
  const sha512 = given.text("hmac-sha") === "512" && !isRsa(key.type);
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
function compressionKind(given: GivenOptions): CompressionKind | undefined {
  const kind = given.text("compression");
  return kind === "lzma2" || kind === "lzma2armthumb" ? kind : undefined;
}

function compression(given: GivenOptions, help: PlanningHelp): Pick<SignOptions, "compression"> {
  const kind = compressionKind(given);
  if (kind === undefined) return {};
  const compress = async (body: Uint8Array) => {
    const packed = await xzLzma2(body);
    help.compressed(packed.length, body.length);
    return packed;
  };
  return { compression: { kind, compress } };
}

/** Combinations that imgtool takes and that end in a useless file or in a traceback after writing. */
function mustMakeSense(given: GivenOptions, { isSigned, isKeyKnown }: PlanningHelp): void {
  const vector = given.text("vector-to-sign");
  const pads = ["pad", "test", "confirm"].find((flag) => given.flag(flag));
  if (vector !== undefined && pads)
    throw new UsageError(`--${pads} would put the trailer after the data to be signed: omit it here.`);
  if (vector === "digest" && given.flag("pure"))
    throw new UsageError("A pure signature is over the payload, not over its digest.");
  if (vector !== undefined && given.text("boot-record") !== undefined && !isKeyKnown)
    throw new UsageError(
      "The boot record holds the hash of the signing key, so what is to be signed depends on it.",
      "Name the key that will sign: --fix-sig-pubkey FILE.",
    );
  if (given.text("sig-out") !== undefined && (vector !== undefined || !isSigned))
    throw new UsageError("--sig-out: there is no signature without a key.");
  if (compressionKind(given) === undefined) return;
  if (vector !== undefined || given.text("fix-sig") !== undefined)
    throw new UsageError("A compressed image holds two signatures: it cannot be signed elsewhere with one.");
  if (given.flag("non-bootable")) throw new UsageError("A compressed image cannot be non-bootable.");
}

/** A signature in a file that holds base64. Throws `SignError`, `FileError`. */
export function readSignature(file: string): Uint8Array {
  const text = new TextDecoder("latin1").decode(readInput(file));
  try {
    return fromBase64(looseBase64(text));
  } catch {
    // BytesError, whose position is in a text that nobody sees.
    throw new SignError("signer-bad-signature", `${file} does not hold base64.`);
  }
}

/** What a signer elsewhere is to sign, also where it is not known who that will be. */
export function prepareForElsewhere(
  input: Uint8Array,
  plan: SigningPlan,
  publicKey: Key | undefined,
): PreparedImage {
  // Without a key there is none to be pure with; the payload is the same.
  const anybody = { ...plan, signature: { ...plan.signature, isPure: false } };
  return prepareImage(input, publicKey ? plan : anybody, publicKey);
}
