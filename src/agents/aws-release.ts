import { AwsError } from "./aws-error.js";
import { type AwsJobSpec, awsJobDocument } from "./aws-job.js";

/** What an earlier call brought, or will bring, where it stands in the words of a later one. */
export type AwsResult = "digest" | "signature" | "signing_job" | "version";

/** One call of the `aws` command line. */
export interface AwsCall {
  /** What it is for. */
  readonly step: "upload" | "sign" | "wait" | "stream" | "job";
  /** Words behind `aws`. Places of earlier results are marked; see {@link fillAwsResults}. */
  readonly words: readonly string[];
  /** What its answer is to a later call; it is printed as text. */
  readonly brings?: Exclude<AwsResult, "digest">;
}

/** Who signs the file of an `afr_ota` job. */
export type AwsSigning =
  /** A signature that is there: base64 of DER or PKCS#1 v1.5 over SHA-256. */
  | { readonly by: "file"; readonly signature: string }
  /** A key in AWS KMS. */
  | { readonly by: "kms"; readonly keyId: string }
  /** A signing profile of AWS Signer. Its certificate and the job's document are then the service's matter. */
  | { readonly by: "profile"; readonly profile: string };

/** An update to be released. */
export interface AwsRelease {
  readonly kind: AwsJobSpec["kind"];
  /** Path of the file on this machine, for the upload. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  readonly image?: number;
  readonly jobId: string;
  /** ARNs of things and groups. */
  readonly targets: readonly string[];
  /** Go on with things that join a group later. */
  readonly continuous?: boolean;
  readonly bucket?: string;
  readonly objectKey?: string;
  readonly objectVersion?: string;
  readonly upload?: boolean;
  /** What lets the service read the bucket. */
  readonly roleArn?: string;
  /** Of the stream; none when the file goes by HTTPS. */
  readonly streamId?: string;
  /** An address of the file. */
  readonly url?: string;
  /** Has the service make links into the bucket, in this region. */
  readonly presignRegion?: string;
  readonly signing?: AwsSigning;
  /** Name by which hosts know the signer's certificate, and the type of its key. */
  readonly certificate?: { readonly name: string; readonly keyType: "ecdsa" | "rsa" };
  /** Minutes before the service gives a job up. */
  readonly timeoutMinutes?: number;
}

/** A release as calls, in order, and the document of its job where that is made here. */
export interface AwsReleasePlan {
  readonly calls: readonly AwsCall[];
  readonly document?: string;
}

// Private-use characters: no argument may hold them, and JSON leaves them as they are.
const PLACE = /\ue000(digest|signature|signing_job|version)\ue001/g;
const place = (name: AwsResult): string => `\ue000${name}\ue001`;

const KMS_ALGORITHMS = { ecdsa: "ECDSA_SHA_256", rsa: "RSASSA_PKCS1_V1_5_SHA_256" } as const;
/** Longest name of a stream that Amazon's device library takes. */
const LONGEST_STREAM = 44;
/** How long links of the service are good, seconds. */
const LINK_SECONDS = 3600;

/**
 * Plans a release as calls of the user's own `aws` command line: sign, stream, job.
 *
 * @param release - sizes in bytes
 * @returns the calls in order
 * @throws AwsError `bad-release-option` for what a service would refuse, `job-rejected` for what the agent would
 */
export function planAwsRelease(release: AwsRelease): AwsReleasePlan {
  check(release);
  const { signing, streamId } = release;
  const calls = [
    ...(release.upload ? [upload(release)] : []),
    ...signCalls(release),
    ...(streamId === undefined ? [] : [stream(release, streamId)]),
  ];
  if (signing?.by === "profile") return { calls: [...calls, otaUpdate(release)] };
  const document = JSON.stringify(awsJobDocument(specOf(release)));
  return { calls: [...calls, job(release, document)], document };
}

/**
 * Puts earlier results into a text of a plan.
 *
 * @param text - a word of a call, or the document
 * @param found - what takes the place of a result
 * @returns the text with all places filled
 */
export function fillAwsResults(text: string, found: (name: AwsResult) => string): string {
  return text.replaceAll(PLACE, (_, name: AwsResult) => found(name));
}

/** What a release needs, what a service takes, and by which option it is given. */
const TEXTS = [
  ["jobId", "--job-id", /^[\w-]{1,64}$/],
  ["streamId", "--stream-id", /^[\w-]{1,128}$/],
  ["bucket", "--bucket", /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/],
  ["objectKey", "--object-key", /^[\x21-\x7e]{1,1024}$/],
  ["objectVersion", "--object-version", /^[\x21-\x7e]{1,1024}$/],
  ["roleArn", "--role-arn", /^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/],
  ["presignRegion", "--presign", /^[a-z]{2}(?:-[a-z]+)+-\d$/],
  ["url", "--url", /^https:\/\/[\x21-\x7e]{1,2000}$/],
] as const;
const TARGET = /^arn:[\w-]+:iot:[\w-]+:\d{12}:thing(?:group)?\/[\w:-]{1,128}$/;
const KMS_KEY = /^(?!-)[\w:/+=,.@-]{1,2048}$/;
const PROFILE = /^\w{2,64}$/;

function check(release: AwsRelease): void {
  const { kind, targets, signing, streamId, upload: uploads } = release;
  for (const [name, option, form] of TEXTS) {
    const text = release[name];
    if (text !== undefined && !form.test(text))
      throw bad(`${option} "${text}" is not what AWS takes there.`, FORMS[name]);
  }
  if (targets.length === 0) throw bad("The release has no target.", "Give the ARN of a thing or a group.");
  const odd = targets.find((target) => !TARGET.test(target));
  if (odd !== undefined)
    throw bad(
      `--target "${odd}" is not the ARN of a thing or a thing group.`,
      "Such as arn:aws:iot:eu-west-1:123456789012:thing/board-1.",
    );
  if (kind === "afr_ota" && (streamId?.length ?? 0) > LONGEST_STREAM)
    throw bad(
      `--stream-id is longer than the ${LONGEST_STREAM} characters that Amazon's device library takes.`,
    );
  const usesBucket = uploads || streamId !== undefined || release.presignRegion !== undefined;
  need(release, "bucket", usesBucket || signing?.by === "profile");
  need(release, "roleArn", streamId !== undefined || release.presignRegion !== undefined);
  if (kind === "afr_ota" && signing === undefined) throw bad("An afr_ota job needs a signature.", SIGN_HINT);
  if (kind === "bootproof" && signing !== undefined)
    throw bad("A plain job has no signature of its own: its SHA-256 and the image's signature count.");
  if (signing?.by === "profile") checkProfile(release, signing.profile);
  if (signing?.by === "kms" && !KMS_KEY.test(signing.keyId))
    throw bad(`--kms-key "${signing.keyId}" is not the id, alias or ARN of a key.`);
  if (signing && signing.by !== "profile" && release.certificate === undefined)
    throw bad("The certificate of the signer is missing.", "Give it with --code-signer FILE.");
}

function checkProfile({ url, presignRegion, objectVersion, upload: uploads }: AwsRelease, profile: string) {
  if (!PROFILE.test(profile)) throw bad(`--signing-profile "${profile}" is not the name of a profile.`);
  if (url !== undefined || presignRegion !== undefined)
    throw bad("What a signing profile signed is released by a stream only here.");
  if (objectVersion === undefined && !uploads)
    throw bad(
      "AWS Signer signs one version of an object.",
      "Give --object-version ID, or --upload the file now; the bucket must have versions.",
    );
}

const FORMS: Readonly<Record<(typeof TEXTS)[number][0], string>> = {
  jobId: "Letters, digits, _ and -, at most 64.",
  streamId: "Letters, digits, _ and -.",
  bucket: "Lower-case letters, digits, dots and dashes, 3 to 63.",
  objectKey: "ASCII without spaces, at most 1024 characters.",
  objectVersion: "As S3 gave it.",
  roleArn: "Such as arn:aws:iam::123456789012:role/ota.",
  presignRegion: "Such as eu-west-1.",
  url: "An https:// address.",
};
const SIGN_HINT =
  "Give --kms-key ID, --signing-profile NAME or --signature FILE; or --plain for a job without one.";

function need(release: AwsRelease, name: "bucket" | "roleArn", isNeeded: boolean): void {
  if (isNeeded && release[name] === undefined)
    throw bad(
      `${name === "bucket" ? "The bucket of the file" : "The role that may read the bucket"} is missing.`,
      `Give it with ${name === "bucket" ? "--bucket NAME" : "--role-arn ARN"}.`,
    );
}

function upload({ bucket, objectKey, path }: AwsRelease): AwsCall {
  return {
    step: "upload",
    words: [
      ...["s3api", "put-object", "--bucket", bucket!, "--key", objectKey!, "--body", path],
      ...["--query", "VersionId", "--output", "text"],
    ],
    brings: "version",
  };
}

/** The object's version, when anything knows one. */
function versionOf({ objectVersion, upload: uploads, signing }: AwsRelease): string | undefined {
  if (objectVersion !== undefined) return objectVersion;
  // A bucket without versions answers "None", which only AWS Signer cannot do with.
  return uploads && signing?.by === "profile" ? place("version") : undefined;
}

function signCalls(release: AwsRelease): AwsCall[] {
  const { signing, certificate, bucket, objectKey, jobId } = release;
  if (signing?.by === "kms")
    return [
      {
        step: "sign",
        words: [
          ...["kms", "sign", "--key-id", signing.keyId, "--message", `fileb://${place("digest")}`],
          ...["--message-type", "DIGEST", "--signing-algorithm"],
          KMS_ALGORITHMS[certificate!.keyType],
          ...["--query", "Signature", "--output", "text"],
        ],
        brings: "signature",
      },
    ];
  if (signing?.by !== "profile") return [];
  const source = { s3: { bucketName: bucket, key: objectKey, version: versionOf(release) } };
  const destination = { s3: { bucketName: bucket, prefix: `signed/${jobId}/` } };
  return [
    {
      step: "sign",
      words: [
        ...["signer", "start-signing-job", "--source", JSON.stringify(source)],
        ...["--destination", JSON.stringify(destination), "--profile-name", signing.profile],
        ...["--query", "jobId", "--output", "text"],
      ],
      brings: "signing_job",
    },
    {
      step: "wait",
      words: ["signer", "wait", "successful-signing-job", "--job-id", place("signing_job")],
    },
  ];
}

function stream(release: AwsRelease, streamId: string): AwsCall {
  const { bucket, objectKey, roleArn } = release;
  const version = versionOf(release);
  const s3Location = { bucket, key: objectKey, ...(version !== undefined && { version }) };
  return {
    step: "stream",
    words: [
      ...["iot", "create-stream", "--stream-id", streamId],
      ...["--files", JSON.stringify([{ fileId: 0, s3Location }]), "--role-arn", roleArn!],
    ],
  };
}

function targetWords({ targets, continuous, timeoutMinutes }: AwsRelease, timeout: string): string[] {
  return [
    ...["--targets", ...targets, "--target-selection", continuous ? "CONTINUOUS" : "SNAPSHOT"],
    ...(timeoutMinutes === undefined ? [] : [timeout, `inProgressTimeoutInMinutes=${timeoutMinutes}`]),
  ];
}

function job(release: AwsRelease, document: string): AwsCall {
  const { jobId, presignRegion, roleArn } = release;
  return {
    step: "job",
    words: [
      ...["iot", "create-job", "--job-id", jobId, "--document", document],
      ...targetWords(release, "--timeout-config"),
      ...(presignRegion === undefined
        ? []
        : ["--presigned-url-config", `roleArn=${roleArn},expiresInSec=${LINK_SECONDS}`]),
    ],
  };
}

/** With AWS Signer the service joins signature, stream and job itself, and writes the document. */
function otaUpdate(release: AwsRelease): AwsCall {
  const { jobId, streamId, roleArn } = release;
  const file = {
    fileName: "/app.bin",
    fileLocation: { stream: { streamId, fileId: 0 } },
    codeSigning: { awsSignerJobId: place("signing_job") },
  };
  return {
    step: "job",
    words: [
      ...["iot", "create-ota-update", "--ota-update-id", jobId, "--files", JSON.stringify([file])],
      ...["--protocols", "MQTT", "--role-arn", roleArn!],
      ...targetWords(release, "--aws-job-timeout-config"),
    ],
  };
}

function specOf(release: AwsRelease): AwsJobSpec {
  const { kind, size, sha256, image, streamId, url, presignRegion, bucket, objectKey } = release;
  const { signing, certificate } = release;
  const object = `https://s3.${presignRegion}.amazonaws.com/${bucket}/${objectKey}`;
  return {
    kind,
    size,
    sha256,
    ...(image !== undefined && { image }),
    ...(streamId !== undefined && { stream: { name: streamId, fileId: 0 } }),
    ...(url !== undefined && { url }),
    ...(presignRegion !== undefined && {
      url: object,
      urlText: `\${aws:iot:s3-presigned-url:${object}}`,
    }),
    ...(certificate && {
      signature: {
        certificate: certificate.name,
        keyType: certificate.keyType,
        text: signing?.by === "file" ? signing.signature : place("signature"),
      },
    }),
  };
}

function bad(message: string, hint?: string): AwsError {
  return new AwsError("bad-release-option", message, {
    hint: `${hint ?? "bootproof help aws shows what each way of signing needs."} Nothing was called.`,
  });
}
