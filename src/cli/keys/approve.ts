import { constants, createHash, createPrivateKey, privateEncrypt } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { toHex } from "../../bytes.js";
import { type Key, secretOf, signatureAlgorithmOf } from "../../crypto/keys.js";
import { encodePss } from "../../crypto/pss.js";
import { keySigner, type Signer, type SigningRequest } from "../../crypto/signer.js";
import {
  type OpenedRequest,
  openSigningRequest,
  signingResponseFile,
} from "../../mcuboot/signing-request.js";
import { SigningRequestError } from "../../mcuboot/signing-request-error.js";
import { formatVersion, parseVersion } from "../../mcuboot/version.js";
import { thisActor } from "../../trust-store/audit-log.js";
import { LedgerError, SigningLedger } from "../../trust-store/signing-ledger.js";
import type { AddVerb } from "../add-verb.js";
import { openAuditLog } from "../audit/open-log.js";
import { orderOfVersions } from "../audit/ratchet-memory.js";
import { type Recorded, recorder } from "../audit/recorder.js";
import { readInput, writeOutput } from "../files.js";
import { printable, table } from "../output.js";
import { warnIfPublished } from "../published-key.js";
import { askLine, passphraseHelp, readPrivateKey } from "../secrets.js";
import { several } from "../several.js";
import { openSigner, type SigningOptions, wayOf } from "../signing/choose.js";
import { drawRequest } from "../signing/draw-request.js";
import { signerFolder } from "../state-folders.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, type Context, inContext, wholeNumber } from "../verb-context.js";
import { version } from "../version.js";

interface ApproveOptions extends CommonOptions, SigningOptions {
  yes?: boolean;
  minCounter?: number;
  product?: string;
  althoughLower?: string;
  signer?: string;
  force?: boolean;
}

/** The verb for the machine where the key is: look at a request, then sign it or not. */
export function defineApproval(verb: AddVerb): void {
  verb(
    "sign-request <request> <response>",
    "sign a request that was prepared elsewhere; shows its content and asks for confirmation",
  )
    .option("-k, --key <pem>", "the private key")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--signer-command <program>", "let a program sign: one JSON line in, one out")
    .option("--signer-arg <word>", "an argument for that program (repeatable)", several)
    .option("--key-ref <name>", "that program's name for the key")
    .option("--pkcs11-module <library>", "let a security module sign, through its PKCS#11 library")
    .option("--pkcs11-token <label>", "which token")
    .option("--pkcs11-key <label>", "which key, by its label")
    .option("--pkcs11-id <hex>", "which key, by its id")
    .option("--pkcs11-allow-extractable", "accept a key that can be extracted from the module")
    .option("--pin-file <file>", "a file whose first line is the PIN (else BOOTPROOF_PIN, else asked for)")
    .option("--min-counter <number>", "refuse a security counter below this", wholeNumber("--min-counter"))
    .option("--product <name>", "the product whose counters are compared (default: all images of this key)")
    .option(
      "--although-lower <reason>",
      "sign although the counter is lower than before; the reason is logged",
    )
    .option("--signer <name>", "who signs, for the record (default: user and machine)")
    .option("-y, --yes", "do not ask: it was checked elsewhere")
    .option("--force", "replace the response file if it exists")
    .action((request: string, response: string, options: ApproveOptions) =>
      inContext(options, (context) => approve(request, response, options, context)),
    );

  verb("ledger", "show what this signer has signed: the highest counter and version of each product").action(
    (options: CommonOptions) =>
      inContext(options, async ({ out }) => {
        const products = openLedger().products();
        const rows = Object.entries(products).map(([name, { counter, version }]) => [
          printable(name),
          `${counter?.counter ?? "-"}`,
          version?.version ?? "-",
          (counter ?? version)?.at.slice(0, 10) ?? "-",
        ]);
        const header = ["PRODUCT", "COUNTER", "VERSION", "SIGNED"];
        out.result(
          products,
          rows.length === 0 ? "Nothing was signed for a request here." : table(header, rows),
        );
      }),
  );
}

/** This user's ledger of what was signed for requests. */
function openLedger(): SigningLedger {
  return new SigningLedger({ folder: join(signerFolder(), "ledger") }, orderOfVersions);
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
  const keyHash = toHex(publicKey.keyHash);
  const product = options.product ?? `key ${keyHash.slice(0, 16)}`;
  const { securityCounter } = file.image;
  const counter = securityCounter === undefined ? {} : { counter: securityCounter };
  const image = { hash: toHex(opened.request.digest), version: statedVersion(file.image), ...counter };
  const signer = options.signer ?? `${userInfo().username}@${hostname()}`;
  const about = {
    product,
    keyHash,
    signer,
    request: createHash("sha256").update(bytes).digest("hex"),
    counterIs: proven ? "proven" : "stated",
    ...(options.althoughLower !== undefined && { althoughLower: options.althoughLower }),
  };
  const log = signerLog(signal);
  const at = new Date().toISOString();
  const response = await openLedger()
    .sign(product, image, { at, although: options.althoughLower }, async () => {
      const signature = await sign(opened, options, signal);
      const signed = await signingResponseFile(opened, bytes, { signature, signedAt: at, signer });
      // The signer's own log has it before the signature leaves.
      await log({ type: "sign.response", image, result: "ok", detail: about });
      return signed;
    })
    .catch(async (error: unknown) => {
      if (error instanceof LedgerError) {
        const rule = { rule: "signing-ledger", result: "refused" as const };
        await log({ type: "refusal", image, ...rule, detail: { ...about, message: error.message } });
        recorder()?.record({ type: "refusal", image, ...rule, detail: { message: error.message } });
      }
      throw error;
    });
  recorder()?.record({ type: "sign.response", image, result: "ok", detail: about });
  writeOutput(responseFile, `${JSON.stringify(response, null, 2)}\n`, { overwrite: options.force ?? false });
  out.result(
    { file: responseFile, ...response },
    `${responseFile}: signed with ${publicKey.type} key ${toHex(publicKey.keyHash).slice(0, 16)}; take it back, and use it with --attach`,
  );
}

function mustNotBeOld(counter: number | undefined, least: number | undefined): void {
  if (least === undefined || (counter !== undefined && counter >= least)) return;
  throw new UsageError(
    `The request states ${counter === undefined ? "no security counter" : `security counter ${counter}`}; at least ${least} is required.`,
  );
}

/** What the ledger keeps has to be what it says; without a payload it is only the requester's word. */
function statedVersion({ version, securityCounter = 0 }: OpenedRequest["file"]["image"]): string {
  if (Number.isInteger(securityCounter) && securityCounter >= 0 && securityCounter <= 0xffff_ffff)
    return formatVersion(parseVersion(version));
  throw new SigningRequestError("bad-signing-file", "The request has no valid security counter.");
}

/** Writes to the log that the signer keeps for itself, beside the audit log of the machine. */
function signerLog(signal: AbortSignal): (event: Recorded) => Promise<void> {
  const log = openAuditLog(signal, join(signerFolder(), "log"));
  const job = recorder()?.job ?? `sign-request-${process.pid}`;
  return async (event) => {
    await log.append([{ ...event, job, tool: `bootproof ${version()}`, actor: thisActor() }]);
  };
}

/** Typing a part of the digest takes a look at it. */
async function mustAgree(digest: string): Promise<void> {
  const start = digest.slice(0, 8);
  const answer = await askLine("To sign this, type the first eight digits of the digest: ");
  if (answer?.replaceAll(" ", "").toLowerCase() === start) return;
  throw new UsageError(
    "Not signed: it was not approved.",
    "Type the requested digits at a terminal; elsewhere add --yes.",
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
  const { family } = signatureAlgorithmOf(key);
  return family === "rsa"
    ? { publicKey: key, sign: async (request) => signRsaDigest(key, request) }
    : keySigner(key);
}

/** WebCrypto hashes what it signs, so the padding is made here and only the private key's operation is Node's. */
function signRsaDigest(key: Key, { digest, algorithm }: SigningRequest): Uint8Array {
  const padded = encodePss(digest, algorithm.signatureLength.max);
  const privateKey = createPrivateKey({ key: Buffer.from(secretOf(key)), format: "der", type: "pkcs8" });
  return new Uint8Array(privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, padded));
}
