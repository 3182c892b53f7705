import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { basename } from "node:path";
import type { Command } from "commander";
import { toBase64, toHex } from "../../bytes.js";
import { type Key, signatureAlgorithmOf } from "../../crypto/keys.js";
import { toImageSignature } from "../../crypto/signature-encoding.js";
import { parseImage } from "../../mcuboot/image.js";
import { finishImage, prepareImage, type SignedImage, signByPlan } from "../../mcuboot/sign.js";
import type { SigningPlan } from "../../mcuboot/signing-plan.js";
import { signatureFromResponse, signingRequestFile } from "../../mcuboot/signing-request.js";
import { formatVersion } from "../../mcuboot/version.js";
import { describeImage } from "../audit/flash-events.js";
import { recorder } from "../audit/recorder.js";
import { readInput, writeOutput } from "../files.js";
import { type Firmware, readBody } from "../firmware-file.js";
import { type Output, printable } from "../output.js";
import {
  type ChosenPolicy,
  choosePolicy,
  type PolicyOptions,
  policyOptions,
} from "../policy/policy-options.js";
import { publishedKeyFact, warnIfPublished } from "../published-key.js";
import { readKey } from "../secrets.js";
import { several } from "../several.js";
import { bodyNotes } from "../signing/body-notes.js";
import { expectedKey, openSigner, type SigningOptions, type Way, wayOf } from "../signing/choose.js";
import { drawRequest } from "../signing/draw-request.js";
import { type ImageTarget, imageTarget, writeImage, writeVector } from "../signing/image-file.js";
import { type GivenOptions, IMAGE_OPTIONS, type OptionSpec } from "../signing/option-table.js";
import { signerOptions } from "../signing/options.js";
import { askedImage, planImage, prepareForElsewhere, readSignature } from "../signing/plan-image.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, type Context, commonOptions, inContext } from "../verb-context.js";

interface SignCommandOptions extends CommonOptions, SigningOptions, PolicyOptions {
  force?: boolean;
  withPayload?: boolean;
  encrypt?: string;
  compression?: string;
  test?: boolean;
  confirm?: boolean;
  vectorToSign?: string;
  sigOut?: string;
}

/** Spelled in another way here than in imgtool's own command line. */
const OWN: readonly string[] = ["header-size", "custom-tlv", "custom-tlv-file"];

export function define(command: Command): void {
  commonOptions(
    command
      .argument(
        "<body>",
        "the firmware as the build made it: raw binary, Intel HEX (.hex), ELF, or the folder of a Zephyr build",
      )
      .argument("<image>", "the image file to write, Intel HEX when named .hex"),
  );
  signerOptions(command)
    .option("--unsigned", "make an image with a hash only")
    .option("--request <file>", "write a signing request for the key holder instead of an image")
    .option("--with-payload", "include everything that is signed, so that the key holder can check it")
    .option("--attach <file>", "add the signature from the response to such a request");
  policyOptions(command);
  command.option("-H, --header-size <bytes>", "size of the header in front of the body", "0x200");
  for (const option of IMAGE_OPTIONS) if (!OWN.includes(option.name)) addOption(command, option);
  command
    .option("--custom-tlv <tag=value>", "add a protected TLV: text, or 0x and hex (repeatable)", several)
    .option("--custom-tlv-file <tag=file>", "add a protected TLV from a file (repeatable)", several)
    .option("--force", "replace the image file if it exists")
    .action((body: string, file: string, options: SignCommandOptions) =>
      inContext(options, async (context) => {
        const isGiven = command.getOptionValueSource("headerSize") !== "default";
        const found = await bodyOf(body, context);
        const { headerSize } = found;
        const own =
          headerSize === undefined || isGiven ? options : { ...options, headerSize: String(headerSize) };
        await sign(found.path, file, own, context);
      }),
    );
}

/** The file to sign: what is named, or the application of a build. */
async function bodyOf(body: string, { out }: Context): Promise<{ path: string; headerSize?: number }> {
  if (!statSync(body, { throwIfNoEntry: false })?.isDirectory()) return { path: body };
  const [{ unsignedBuild }, { SOURCE_FILES }] = await Promise.all([
    import("../../sources/build-folder.js"),
    import("../update-source.js"),
  ]);
  const found = unsignedBuild(body, SOURCE_FILES);
  out.note(
    `Body: ${printable(found.path)}${found.headerSize === undefined ? "" : `, header of ${found.headerSize} bytes`}.`,
  );
  if (found.slotSize !== undefined)
    out.note(`The build's slot has ${found.slotSize} bytes (-S ${found.slotSize}).`);
  return found;
}

function addOption(command: Command, { name, short, value, choices, required, help }: OptionSpec): void {
  const flags = `${short ? `-${short}, ` : ""}--${name}${value === undefined ? "" : ` <${value.toLowerCase()}>`}`;
  const option = command.createOption(flags, help);
  if (choices) option.choices(choices);
  if (required) option.makeOptionMandatory();
  command.addOption(option);
}

/** Commander's options, by the names that both command lines share. */
function given(options: SignCommandOptions): GivenOptions {
  const values = options as Readonly<Record<string, unknown>>;
  const value = (name: string) => values[name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())];
  return {
    flag: (name) => value(name) === true,
    text: (name) => {
      const text = value(name);
      return typeof text === "string" ? text : undefined;
    },
    pairs: (name) => {
      const texts = value(name);
      return Array.isArray(texts) ? texts.map((text) => splitPair(name, String(text))) : [];
    },
  };
}

function splitPair(name: string, text: string): [string, string] {
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
  const { out } = context;
  const { vectorToSign } = options;
  const overwrite = options.force ?? false;
  const way = vectorToSign === undefined ? wayOf(options) : undefined;
  if (options.compression !== undefined && (way === "request" || way === "attach"))
    mustNotCompress(options.compression);
  const input = readBody(body);
  const isSigned = way !== undefined && way !== "unsigned";
  const words = given(options);
  const asked = askedImage(words);
  const plan = planImage(words, asked, {
    isSigned,
    isKeyKnown: isSigned || namesPublicKey(options),
    encryptionKey: await encryptionKey(options, out),
    compressed: (packed, original) => out.note(`compressed: ${packed} bytes of ${original}`),
  });
  const target = imageTarget(file, input, plan.header, asked.hexAddress);
  for (const note of bodyNotes(input, plan)) out.note(`Note: ${note}`);
  if (vectorToSign !== undefined) {
    const key = namesPublicKey(options) ? await expectedKey(options) : undefined;
    const { range, digest } = prepareForElsewhere(input.bytes, plan, key);
    if (!key && vectorToSign === "digest")
      out.note("Note: no key is named, so the digest is by --sha, or SHA-256; P-384 keys need --sha 384.");
    exportTo(target, vectorToSign === "payload" ? range : digest, options, out);
  } else if (way === "request") await writeRequest(body, input, plan, options, out);
  else {
    const chosen = await choosePolicy(options, context.config);
    const made = await make(way!, input, plan, options, context);
    if (chosen) await mustBeAllowed(chosen, made);
    const withFlags = options.test === true || options.confirm === true;
    writeImage(target, made.signed, plan.slot, { withFlags, overwrite });
    if (options.sigOut !== undefined)
      writeOutput(options.sigOut, toBase64(made.signed.signature!), { overwrite });
    report(file, made, out);
  }
}

async function encryptionKey(options: SignCommandOptions, out: Output): Promise<Key | undefined> {
  if (options.encrypt === undefined) return undefined;
  const key = await readKey(options.encrypt, options);
  warnIfPublished(key, out);
  return key;
}

function mustNotCompress(compression: string): void {
  if (compression !== "disabled")
    throw new UsageError("A compressed image holds two signatures: it cannot be signed elsewhere with one.");
}

/** A policy is asked before anything is written. @throws PolicyError `policy-refused` */
async function mustBeAllowed(chosen: ChosenPolicy, { signed, key }: Made): Promise<void> {
  const [{ refuses }, { PolicyError }, { imageFacts }, { judge }] = await Promise.all([
    import("../../trust/policy.js"),
    import("../../trust/policy-error.js"),
    import("../policy/policy-facts.js"),
    import("../policy/policy-judge.js"),
  ]);
  const verdict = judge(chosen, "sign", { image: imageFacts(signed.image, key) });
  const refused = verdict.findings.find(refuses(chosen.policy));
  if (refused)
    throw new PolicyError(
      "policy-refused",
      `The policy's rule "${refused.rule}" refuses it: ${refused.message}`,
      {
        hint: `bootproof policy show ${chosen.file} explains the rules.`,
      },
    );
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
  plan: SigningPlan,
  options: SignCommandOptions,
  { out, signal }: Context,
): Promise<Made> {
  if (way === "attach" || way === "fixSig") {
    const publicKey = await expectedKey(options);
    warnIfPublished(publicKey, out);
    const prepared = prepareImage(bytes, plan, publicKey);
    const signature =
      way === "attach"
        ? signatureFromResponse(new TextDecoder().decode(readInput(options.attach!)), prepared, publicKey)
        : toImageSignature(signatureAlgorithmOf(publicKey).keyType, readSignature(options.fixSig!));
    const signed = await finishImage(prepared, { publicKey, signature });
    return { signed, key: publicKey, signer: "elsewhere" };
  }
  const { securityCounter: counter } = plan.tlvs;
  const context = { version: formatVersion(plan.header.version), ...(counter !== undefined && { counter }) };
  const chosen = await openSigner(way, options, { signal, context });
  if (!chosen) return { signed: await signByPlan(bytes, plan) };
  try {
    const { signer, where } = chosen;
    warnIfPublished(signer.publicKey, out);
    const signed = await signByPlan(bytes, plan, signer);
    return { signed, key: signer.publicKey, ...(where !== undefined && { signer: where }) };
  } finally {
    chosen.close();
  }
}

async function writeRequest(
  body: string,
  { bytes }: Firmware,
  plan: SigningPlan,
  options: SignCommandOptions,
  out: Output,
): Promise<void> {
  const key = await expectedKey(options);
  warnIfPublished(key, out);
  const request = await signingRequestFile(prepareImage(bytes, plan, key), key, {
    name: basename(body),
    createdAt: new Date().toISOString(),
    nonce: randomBytes(16).toString("hex"),
    withPayload: options.withPayload ?? false,
  });
  const file = options.request!;
  const { version, securityCounter } = request.image;
  recorder()?.record({
    type: "sign.request",
    image: {
      hash: request.toSign.digest,
      version,
      ...(securityCounter === undefined ? {} : { counter: securityCounter }),
    },
    result: "ok",
    detail: { keyHash: request.key.keyHash, nonce: request.nonce },
  });
  writeOutput(file, `${JSON.stringify(request, null, 2)}\n`, { overwrite: options.force ?? false });
  out.result(
    { file, request: { ...request, toSign: { ...request.toSign, payload: undefined } } },
    `${drawRequest(request)}\n\n${file}: have it signed (bootproof keys sign-request), then repeat the command with --attach RESPONSE instead of --request`,
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
  recorder()?.record({
    type: "sign.response",
    image: describeImage(parseImage(signed.image)),
    result: "ok",
    detail: {
      ...(keyHash && { keyHash }),
      ...(signer !== undefined && { signer }),
      unsigned: key === undefined,
    },
  });
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
