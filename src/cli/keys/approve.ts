import { constants, createPrivateKey, privateEncrypt } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { toHex } from "../../bytes.js";
import { type Key, secretOf } from "../../image/keys.js";
import { encodePss } from "../../image/pss.js";
import { keySigner, type Signer, type SigningRequest } from "../../image/sign.js";
import { type OpenedRequest, openSigningRequest, signingResponseFile } from "../../image/signing-request.js";
import type { AddVerb } from "../commands/keys.js";
import { type CommonOptions, type Context, inContext, several, wholeNumber } from "../context.js";
import { UsageError } from "../exit.js";
import { readInput, writeOutput } from "../files.js";
import { warnIfPublished } from "../published-key.js";
import { askLine, passphraseHelp, readPrivateKey } from "../secrets.js";
import { openSigner, type SigningOptions, wayOf } from "../signing/choose.js";
import { drawRequest } from "../signing/draw-request.js";

interface ApproveOptions extends CommonOptions, SigningOptions {
  yes?: boolean;
  minCounter?: number;
  signer?: string;
  force?: boolean;
}

/** The verb for the machine where the key is: look at a request, then sign it or not. */
export function defineApproval(verb: AddVerb): void {
  verb("sign-request <request> <response>", "sign what somebody else has prepared; shows what it is and asks")
    .option("-k, --key <pem>", "the private key")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--signer-command <program>", "have a program sign: one JSON line in, one out")
    .option("--signer-arg <word>", "an argument for that program (repeatable)", several)
    .option("--key-ref <name>", "that program's name for the key")
    .option("--pkcs11-module <library>", "have a security module sign, by its PKCS#11 library")
    .option("--pkcs11-token <label>", "which token")
    .option("--pkcs11-key <label>", "which key, by its label")
    .option("--pkcs11-id <hex>", "which key, by its id")
    .option("--pkcs11-allow-extractable", "take a key that can be copied out of the module")
    .option("--pin-file <file>", "a file whose first line is the PIN (else BOOTPROOF_PIN, else asked for)")
    .option("--min-counter <number>", "refuse a security counter below this", wholeNumber("--min-counter"))
    .option("--signer <name>", "who signs, for the record (default: user and machine)")
    .option("-y, --yes", "do not ask: it was looked at elsewhere")
    .option("--force", "replace the response if it is there")
    .action((request: string, response: string, options: ApproveOptions) =>
      inContext(options, (context) => approve(request, response, options, context)),
    );
}

async function approve(
  requestFile: string,
  responseFile: string,
  options: ApproveOptions,
  { out, signal }: Context,
): Promise<void> {
  const bytes = readInput(requestFile);
  const opened = await openSigningRequest(new TextDecoder().decode(bytes));
  const { file, publicKey, proven } = opened;
  out.note(drawRequest(file, proven));
  warnIfPublished(publicKey, out);
  mustNotBeOld(file.image.securityCounter, options.minCounter);
  if (!options.yes) await mustAgree(file.toSign.digest);
  const signature = await sign(opened, options, signal);
  const response = await signingResponseFile(opened, bytes, {
    signature,
    signedAt: new Date().toISOString(),
    signer: options.signer ?? `${userInfo().username}@${hostname()}`,
  });
  writeOutput(responseFile, `${JSON.stringify(response, null, 2)}\n`, { overwrite: options.force ?? false });
  out.result(
    { file: responseFile, ...response },
    `${responseFile}: signed with ${publicKey.type} key ${toHex(publicKey.keyHash).slice(0, 16)}; take it back and say --attach`,
  );
}

function mustNotBeOld(counter: number | undefined, least: number | undefined): void {
  if (least === undefined || (counter !== undefined && counter >= least)) return;
  throw new UsageError(
    `The request states ${counter === undefined ? "no security counter" : `security counter ${counter}`}; at least ${least} is asked for.`,
  );
}

/** Typing a part of the digest takes a look at it. */
async function mustAgree(digest: string): Promise<void> {
  const start = digest.slice(0, 8);
  const answer = await askLine("To sign this, type the first eight digits of the digest: ");
  if (answer?.replaceAll(" ", "").toLowerCase() === start) return;
  throw new UsageError(
    "Not signed: nobody agreed.",
    "At a terminal type the digits asked for; elsewhere say --yes.",
  );
}

async function sign(
  { publicKey, request, proven }: OpenedRequest,
  options: ApproveOptions,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const way = wayOf(options);
  if (way === "key") {
    const key = await readPrivateKey(options.key!, options);
    mustBe(publicKey, key);
    return (proven ? keySigner(key) : digestSigner(key)).sign(request);
  }
  const chosen = await openSigner(way, options, { signal, context: {} });
  if (!chosen) throw new UsageError("A request is signed with a key, a signer program or a security module.");
  try {
    mustBe(publicKey, chosen.signer.publicKey);
    return await chosen.signer.sign(request);
  } finally {
    chosen.close();
  }
}

function mustBe(wanted: Key, found: Key): void {
  if (toHex(wanted.keyHash) === toHex(found.keyHash)) return;
  throw new UsageError(
    `The request asks for ${wanted.type} key ${toHex(wanted.keyHash).slice(0, 16)}, this is ${found.type} key ${toHex(found.keyHash).slice(0, 16)}.`,
  );
}

/** Signs where only the digest is at hand. */
function digestSigner(key: Key): Signer {
  const isRsa = key.type === "rsa-2048" || key.type === "rsa-3072";
  return isRsa ? { publicKey: key, sign: async (request) => signRsaDigest(key, request) } : keySigner(key);
}

/** WebCrypto hashes what it signs, so the padding is made here and only the private key's operation is Node's. */
function signRsaDigest(key: Key, { digest, algorithm }: SigningRequest): Uint8Array {
  const padded = encodePss(digest, algorithm.signatureLength.max);
  const privateKey = createPrivateKey({ key: Buffer.from(secretOf(key)), format: "der", type: "pkcs8" });
  return new Uint8Array(privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, padded));
}
