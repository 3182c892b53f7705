import { randomBytes } from "node:crypto";
import { basename } from "node:path";
import type { Command } from "commander";
import { toBase64, toHex } from "../../bytes.js";
import { type Key, signatureAlgorithmOf } from "../../image/keys.js";
import {
  finishImage,
  prepareImage,
  type SignedImage,
  type SignOptions,
  signImage,
} from "../../image/sign.js";
import { toImageSignature } from "../../image/signature-form.js";
import { signatureFromResponse, signingRequestFile } from "../../image/signing-request.js";
import { formatVersion } from "../../image/version.js";
import {
  type CommonOptions,
  type Context,
  commonOptions,
  inContext,
  several,
  wholeNumber,
} from "../context.js";
import { UsageError } from "../exit.js";
import { readInput, writeOutput } from "../files.js";
import { type Firmware, readFirmware } from "../firmware-file.js";
import { Arguments, type OptionSpec } from "../imgtool/arguments.js";
import { integerOption } from "../imgtool/python-number.js";
import { compression, encryption, exportVector, mustMakeSense, readSignature } from "../imgtool/sign.js";
import { customTlvs, signOptions } from "../imgtool/sign-options.js";
import { SIGN } from "../imgtool/sign-spec.js";
import type { Output } from "../output.js";
import { publishedKeyFact, warnIfPublished } from "../published-key.js";
import { passphraseHelp } from "../secrets.js";
import { expectedKey, openSigner, type SigningOptions, type Way, wayOf } from "../signing/choose.js";
import { drawRequest } from "../signing/draw-request.js";
import { type ImageTarget, imageTarget, writeImage, writeVector } from "../signing/image-file.js";

interface SignCommandOptions extends CommonOptions, SigningOptions {
  force?: boolean;
  withPayload?: boolean;
  vectorToSign?: string;
  sigOut?: string;
}

/** Spelled in another way here than in imgtool's own command line. */
const OWN: readonly string[] = ["key", "header-size", "custom-tlv", "custom-tlv-file", "passphrase-file"];

export function define(command: Command): void {
  commonOptions(
    command
      .argument("<body>", "the firmware as the build made it: raw binary, Intel HEX (.hex) or ELF")
      .argument("<image>", "the image file to write, Intel HEX when named .hex"),
  );
  signerOptions(command);
  command.option("-H, --header-size <bytes>", "room for the header in front of the body", "0x200");
  for (const option of SIGN.options) if (!OWN.includes(option.name)) addOption(command, option);
  command
    .option("--custom-tlv <tag=value>", "add a protected TLV: text, or 0x and hex (repeatable)", several)
    .option("--custom-tlv-file <tag=file>", "add a protected TLV from a file (repeatable)", several)
    .option("--force", "replace the image file if it is there")
    .action((body: string, file: string, options: SignCommandOptions) =>
      inContext(options, (context) => sign(body, file, options, context)),
    );
}

function signerOptions(command: Command): void {
  const seconds = wholeNumber("--signer-timeout", { min: 1, max: 86_400 });
  command
    .option("-k, --key <pem>", "sign with this private key")
    .option("--unsigned", "make an image with a hash only")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--public-key <pem>", "the public key of a signer elsewhere; its signature is checked with it")
    .option("--request <file>", "write a request for whoever holds the key, instead of an image")
    .option("--with-payload", "the request carries all that is signed, so that it can be checked there")
    .option("--attach <file>", "take the signature from the response to such a request")
    .option("--signer-command <program>", "have a program sign: one JSON line in, one out")
    .option("--signer-arg <word>", "an argument for that program (repeatable)", several)
    .option("--key-ref <name>", "that program's name for the key")
    .option("--signer-timeout <seconds>", "how long it may take (default 60)", seconds)
    .option("--pkcs11-module <library>", "have a security module sign, by its PKCS#11 library")
    .option("--pkcs11-token <label>", "which token")
    .option("--pkcs11-key <label>", "which key, by its label")
    .option("--pkcs11-id <hex>", "which key, by its id")
    .option("--pkcs11-allow-extractable", "take a key that can be copied out of the module")
    .option("--pin-file <file>", "a file whose first line is the PIN (else BOOTPROOF_PIN, else asked for)");
}

function addOption(command: Command, { name, short, value, choices, required, help }: OptionSpec): void {
  const flags = `${short ? `-${short}, ` : ""}--${name}${value === undefined ? "" : ` <${value.toLowerCase()}>`}`;
  const option = command.createOption(flags, help);
  if (choices) option.choices(choices);
  if (required) option.makeOptionMandatory();
  command.addOption(option);
}

/** Commander's options as imgtool's arguments, so that values are read by one set of rules. */
function argumentsOf(options: SignCommandOptions): Arguments {
  const given = new Arguments();
  const values = options as Readonly<Record<string, unknown>>;
  for (const option of SIGN.options) {
    const value = values[option.name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())];
    if (Array.isArray(value))
      for (const pair of value) given.add(option, splitPair(option.name, String(pair)));
    else if (typeof value === "string") given.add(option, [value]);
    else if (value === true) given.add(option, []);
  }
  return given;
}

function splitPair(name: string, text: string): string[] {
  const equals = text.indexOf("=");
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new UsageError(`--${name} "${text}": write it as TAG=VALUE, like 0xa0=0xdeadbeef.`);
}

async function sign(
  body: string,
  file: string,
  options: SignCommandOptions,
  context: Context,
): Promise<void> {
  const given = argumentsOf(options);
  const io = { out: () => {}, err: (text: string) => context.out.note(text) };
  const way = options.vectorToSign === undefined ? wayOf(options) : undefined;
  const input = readFirmware(body);
  const tell = (compressed: number, original: number) =>
    context.out.note(`compressed: ${compressed} bytes of ${original}`);
  const image = {
    ...signOptions(given),
    ...(await encryption(given, io)),
    ...compression(given, tell),
    customTlvs: customTlvs(given),
  };
  const hexAddress = given.text("hex-addr");
  const told = hexAddress === undefined ? undefined : integerOption("hex-addr", hexAddress);
  const target = imageTarget(file, input, image, told);
  const willBeSigned = way !== undefined && way !== "unsigned";
  if (image.compression && (way === "request" || way === "attach"))
    throw new UsageError("A compressed image holds two signatures: it cannot be signed elsewhere with one.");
  mustMakeSense(given, { signed: willBeSigned, keyKnown: willBeSigned || namesPublicKey(options) });
  if (way === undefined) {
    const key = namesPublicKey(options) ? await expectedKey(options) : undefined;
    exportTo(target, exportVector(options.vectorToSign!, input.bytes, image, key, io), options, context.out);
  } else if (way === "request") await writeRequest(body, input, image, options, context.out);
  else {
    const made = await make(way, input, image, options, context);
    const withFlags = given.flag("test") || given.flag("confirm");
    const overwrite = options.force ?? false;
    writeImage(target, made.signed, image, { withFlags, overwrite });
    if (options.sigOut !== undefined)
      writeOutput(options.sigOut, toBase64(made.signed.signature!), { overwrite });
    report(file, made, context.out);
  }
}

function namesPublicKey({ publicKey, fixSigPubkey }: SigningOptions): boolean {
  return publicKey !== undefined || fixSigPubkey !== undefined;
}

interface Made {
  readonly signed: SignedImage;
  readonly key?: Key;
  /** Who signed, for people. */
  readonly signer?: string;
}

async function make(
  way: Way,
  { bytes }: Firmware,
  image: SignOptions,
  options: SignCommandOptions,
  { out, signal }: Context,
): Promise<Made> {
  if (way === "attach" || way === "fixSig") {
    const publicKey = await expectedKey(options);
    warnIfPublished(publicKey, out);
    const prepared = prepareImage(bytes, image, publicKey);
    const signature =
      way === "attach"
        ? signatureFromResponse(new TextDecoder().decode(readInput(options.attach!)), prepared, publicKey)
        : toImageSignature(signatureAlgorithmOf(publicKey).keyType, readSignature(options.fixSig!));
    const signed = await finishImage(prepared, image, { publicKey, signature });
    return { signed, key: publicKey, signer: "elsewhere" };
  }
  const { version, securityCounter } = image;
  const context = {
    version: typeof version === "string" ? version : formatVersion(version),
    ...(securityCounter !== undefined && { counter: securityCounter }),
  };
  const chosen = await openSigner(way, options, { signal, context });
  if (!chosen) return { signed: await signImage(bytes, image) };
  try {
    const { signer, where } = chosen;
    warnIfPublished(signer.publicKey, out);
    const signed = await signImage(bytes, { ...image, signer });
    return { signed, key: signer.publicKey, ...(where !== undefined && { signer: where }) };
  } finally {
    chosen.close();
  }
}

async function writeRequest(
  body: string,
  { bytes }: Firmware,
  image: SignOptions,
  options: SignCommandOptions,
  out: Output,
): Promise<void> {
  const key = await expectedKey(options);
  warnIfPublished(key, out);
  const request = await signingRequestFile(prepareImage(bytes, image, key), key, {
    name: basename(body),
    createdAt: new Date().toISOString(),
    nonce: randomBytes(16).toString("hex"),
    withPayload: options.withPayload ?? false,
  });
  const file = options.request!;
  writeOutput(file, `${JSON.stringify(request, null, 2)}\n`, { overwrite: options.force ?? false });
  out.result(
    { file, request: { ...request, toSign: { ...request.toSign, payload: undefined } } },
    `${drawRequest(request)}\n\n${file}: have it signed (bootproof keys sign-request), then say --attach RESPONSE instead of --request`,
  );
}

function exportTo(
  target: ImageTarget,
  bytes: Uint8Array,
  { force = false }: SignCommandOptions,
  out: Output,
): void {
  writeVector(target, bytes, { overwrite: force });
  out.result(
    { file: target.file, bytes: bytes.length },
    `${target.file}: ${bytes.length} bytes to be signed`,
  );
}

function report(file: string, { signed, key, signer }: Made, out: Output): void {
  const hash = toHex(signed.imageHash);
  const keyHash = key && toHex(key.keyHash);
  out.result(
    {
      file,
      bytes: signed.bytes.length,
      imageSize: signed.image.length,
      hash,
      ...(key && { key: { type: key.type, hash: keyHash, ...publishedKeyFact(key) } }),
      ...(signer !== undefined && { signer }),
    },
    `${file}: ${signed.bytes.length} bytes, ${key ? `signed with ${key.type} key ${keyHash?.slice(0, 16)}` : "NOT signed"}, image hash ${hash}`,
  );
}
