import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { AwsError } from "../../agents/aws-error.js";
import {
  type AwsCall,
  type AwsRelease,
  type AwsReleasePlan,
  type AwsResult,
  type AwsSigning,
  fillAwsResults,
  planAwsRelease,
} from "../../agents/aws-release.js";
import {
  type CodeSigner,
  checkCodeSignature,
  readCodeSigner,
  signatureTypeOf,
} from "../../agents/code-signature.js";
import { parseImage } from "../../mcuboot/image.js";
import { verifyImage } from "../../mcuboot/verify.js";
import { formatVersion } from "../../mcuboot/version.js";
import { readInput, writeOutput } from "../files.js";
import { readImageAs } from "../firmware-file.js";
import { keyFiles } from "../key-files.js";
import { printable } from "../output.js";
import { readKey } from "../secrets.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, type Context, commonOptions, inContext, wholeNumber } from "../verb-context.js";
import { callAws } from "./aws-command.js";

interface Options extends CommonOptions {
  readonly target: string[];
  readonly continuous?: boolean;
  readonly jobId?: string;
  readonly streamId?: string;
  readonly bucket?: string;
  readonly objectKey?: string;
  readonly objectVersion?: string;
  readonly upload?: boolean;
  readonly roleArn?: string;
  readonly url?: string;
  readonly presign?: string;
  readonly plain?: boolean;
  readonly kmsKey?: string;
  readonly signingProfile?: string;
  readonly signature?: string;
  readonly codeSigner?: string;
  readonly image?: number;
  readonly key?: string[];
  readonly timeout?: number;
  readonly region?: string;
  readonly awsProfile?: string;
  readonly run?: boolean;
}

export function defineAwsRelease(command: Command): void {
  const minutes = wholeNumber("--timeout", { min: 1, max: 10_080 });
  commonOptions(
    command.command("aws <image>").description("an AWS IoT job: sign, make a stream, make the job"),
  )
    .requiredOption("--target <arn>", "a thing or a thing group that gets the update (repeatable)", several)
    .option("--continuous", "also for things that join a group later")
    .option("--job-id <id>", "name of the job (default: from the image's version and hash)")
    .option("--bucket <name>", "the S3 bucket that holds the file")
    .option("--object-key <key>", "the file's name in the bucket (default: its name here)")
    .option("--object-version <id>", "its version in the bucket")
    .option("--upload", "put the file into the bucket first")
    .option("--role-arn <arn>", "the role that lets AWS IoT read the bucket")
    .option("--stream-id <id>", "name of the stream (default: the job's)")
    .option("--url <https>", "no stream: this address has the file")
    .option("--presign <region>", "no stream: AWS IoT makes links into the bucket, which is in this region")
    .option("--plain", "a job of bootproof's own shape, bound by SHA-256, instead of Amazon's afr_ota")
    .option("--kms-key <id>", "sign the file with this key of AWS KMS")
    .option("--signing-profile <name>", "sign the file with this profile of AWS Signer")
    .option(
      "--signature <file>",
      "this signature of the file: base64 or raw, SHA-256 with ECDSA or RSA PKCS#1",
    )
    .option(
      "--code-signer <file>",
      "the signer's certificate, as hosts have it; its file name goes into the job",
    )
    .option("--image <number>", "which image number, in a plain job", wholeNumber("--image", { max: 255 }))
    .option("--key <file>", "a public key that must have signed the image (repeatable)", several)
    .option("--timeout <minutes>", "the service gives a board's job up after this time", minutes)
    .option("--region <name>", "passed to aws")
    .option("--aws-profile <name>", "passed to aws as --profile")
    .option("--run", "make the calls; without it they are printed for a shell, and nothing is called")
    .addHelpText("after", "\nSee bootproof help aws.")
    .action((file: string, options: Options) =>
      inContext(options, (context) => release(file, options, context)),
    );
}

async function release(path: string, options: Options, context: Context): Promise<void> {
  const { out } = context;
  mustBeAccount(options);
  const bytes = readInput(path);
  const image = await readImageAs(path, out, (content) => parseImage(content), bytes);
  await mustBeGood(bytes, options, context);
  const signer =
    options.codeSigner === undefined
      ? undefined
      : readCodeSigner(basename(options.codeSigner), readInput(options.codeSigner));
  const signing = signingOf(options);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const version = formatVersion(image.version).replaceAll(/[^\w]/g, "-");
  const jobId = options.jobId ?? `bootproof-${version}-${sha256.slice(0, 12)}`;
  const byStream = options.url === undefined && options.presign === undefined;
  const plan = planAwsRelease({
    kind: options.plain ? "bootproof" : "afr_ota",
    path,
    size: bytes.length,
    sha256,
    jobId,
    targets: options.target,
    continuous: options.continuous ?? false,
    objectKey: options.objectKey ?? basename(path),
    ...given(options, ["image", "bucket", "objectVersion", "upload", "roleArn", "url"]),
    ...(options.presign !== undefined && { presignRegion: options.presign }),
    ...(byStream && { streamId: options.streamId ?? jobId }),
    ...(signing && { signing }),
    ...(signer && certificateOf(signer)),
    ...(options.timeout !== undefined && { timeoutMinutes: options.timeout }),
  });
  if (signing?.by === "file") mustBeSigned(bytes, signing.signature, signer!);
  if (!options.run) return print(path, plan, options, context);
  const results = await run(plan, bytes, signer, options, context);
  const { document, ...ids } = {
    ...results,
    jobId,
    ...(byStream && { streamId: options.streamId ?? jobId }),
  };
  out.result(
    { ...ids, ...(document !== undefined && { document: JSON.parse(document) }) },
    `Job ${jobId} is made for ${options.target.map(printable).join(", ")}.`,
  );
}

function given<Name extends keyof Options>(options: Options, names: readonly Name[]): Pick<Options, Name> {
  return Object.fromEntries(
    names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
  ) as Pick<Options, Name>;
}

/** An image that no board takes is not released. */
async function mustBeGood(bytes: Uint8Array, options: Options, context: Context): Promise<void> {
  const keys = await Promise.all(
    keyFiles(options.key, context).map(async (name) => (await readKey(name, {})).publicKey),
  );
  const { result, checks } = await verifyImage(bytes, { ...(keys.length > 0 && { keys }) });
  const failed = checks.find((check) => check.result === "fail");
  if (failed || (keys.length > 0 && result !== "good"))
    throw new AwsError("bad-release", `The image is not good: ${failed?.sentence ?? result}`, {
      hint: "bootproof verify shows all checks. Nothing was called.",
    });
  if (keys.length === 0)
    context.out.note("Nobody's signature of the image was checked: give --key FILE to have that done.");
}

function signingOf({ kmsKey, signingProfile, signature }: Options): AwsSigning | undefined {
  const ways: AwsSigning[] = [
    ...(kmsKey === undefined ? [] : [{ by: "kms" as const, keyId: kmsKey }]),
    ...(signingProfile === undefined ? [] : [{ by: "profile" as const, profile: signingProfile }]),
    ...(signature === undefined ? [] : [{ by: "file" as const, signature: base64Of(readInput(signature)) }]),
  ];
  if (ways.length > 1)
    throw new UsageError("Say in one way who signs: --kms-key, --signing-profile or --signature.");
  return ways[0];
}

function base64Of(bytes: Uint8Array): string {
  const text = new TextDecoder("latin1").decode(bytes).replaceAll(/\s/g, "");
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? text : Buffer.from(bytes).toString("base64");
}

function certificateOf(signer: CodeSigner): Pick<AwsRelease, "certificate"> {
  return { certificate: { name: signer.name, keyType: signatureTypeOf(signer) } };
}

/** As the hosts that get the job will check it. */
function mustBeSigned(bytes: Uint8Array, signature: string, signer: CodeSigner): void {
  checkCodeSignature(
    bytes,
    { certificate: signer.name, keyType: signatureTypeOf(signer), bytes: Buffer.from(signature, "base64") },
    [signer],
  );
}

/** Shells get these words as they are: a line end in one would break the printed lines. @throws UsageError */
function mustBeAccount({ region, awsProfile }: Options): void {
  if (region !== undefined && !/^[a-z0-9-]{1,40}$/.test(region))
    throw new UsageError(`--region "${region}" is not the name of a region.`, "Such as eu-west-1.");
  if (awsProfile !== undefined && !/^[^\p{Cc}]{1,200}$/u.test(awsProfile))
    throw new UsageError("--aws-profile has control characters, is empty, or too long.");
}

/** What is put behind each call. */
function accountWords({ region, awsProfile }: Options): string[] {
  return [
    ...(region === undefined ? [] : ["--region", region]),
    ...(awsProfile === undefined ? [] : ["--profile", awsProfile]),
  ];
}

async function run(
  { calls, document }: AwsReleasePlan,
  bytes: Uint8Array,
  signer: CodeSigner | undefined,
  options: Options,
  { out, signal }: Context,
): Promise<{ readonly document?: string }> {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-release-"));
  try {
    const digest = join(folder, "digest");
    writeOutput(digest, createHash("sha256").update(bytes).digest());
    const results: Partial<Record<AwsResult, string>> = { digest };
    const filled = (text: string) => fillAwsResults(text, (name) => results[name]!);
    for (const call of calls) {
      out.note(`${call.step}: aws ${call.words.slice(0, 2).join(" ")}`);
      const answer = await callAws([...call.words.map(filled), ...accountWords(options)], signal);
      if (call.brings !== undefined) results[call.brings] = mustBeAnswer(call, answer);
      // A signature by another key is found here, and not by every board.
      if (call.brings === "signature") mustBeSigned(bytes, answer, signer!);
    }
    return document === undefined ? {} : { document: filled(document) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const ANSWERS: Readonly<Record<NonNullable<AwsCall["brings"]>, RegExp>> = {
  version: /^[\x21-\x7e]{1,1024}$/,
  signature: /^[A-Za-z0-9+/]{16,2048}={0,2}$/,
  signing_job: /^[\w-]{1,64}$/,
};

function mustBeAnswer({ brings, words }: AwsCall, answer: string): string {
  if (ANSWERS[brings!].test(answer)) return answer;
  throw new AwsError(
    "aws-command-failed",
    `aws ${words.slice(0, 2).join(" ")} answers ${printable(JSON.stringify(answer.slice(0, 80)))}, which is no ${brings!.replace("_", " ")}.`,
  );
}

function print(path: string, plan: AwsReleasePlan, options: Options, { out }: Context): void {
  const { calls, document } = plan;
  const readable = (text: string) => fillAwsResults(text, (name) => `<${name}>`);
  const list = calls.map(({ step, words, brings }) => ({
    step,
    words: ["aws", ...words, ...accountWords(options)].map(readable),
    ...(brings !== undefined && { brings }),
  }));
  out.result(
    { calls: list, ...(document !== undefined && { document: readable(document) }) },
    [
      "set -eu",
      ...calls.map((call) => line(path, call, options)),
      "# Nothing was called. --run makes these calls.",
    ].join("\n"),
  );
}

/** A call as a line for a shell. */
function line(path: string, { words, brings }: AwsCall, options: Options): string {
  const call = ["aws", ...words, ...accountWords(options)].map(quoted).join(" ");
  // The digest goes in at its standard input.
  const piped = brings === "signature" ? `openssl dgst -sha256 -binary ${quoted(path)} | ${call}` : call;
  return brings === undefined ? piped : `${brings}=$(${piped})`;
}

/** A word for a shell; earlier results are its variables. */
function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  const text = `'${word.replaceAll("'", "'\\''")}'`;
  return fillAwsResults(text, (name) => (name === "digest" ? "/dev/stdin" : `'"$${name}"'`));
}
