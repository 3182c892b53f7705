import { AwsError } from "./aws-error.js";

/** Job documents that the agent carries out: Amazon's OTA jobs (`afr_ota`) and plain ones of a shape of our own (`bootproof`). */

export interface AwsJob {
  readonly kind: "afr_ota" | "bootproof";
  /** Bytes of the file. */
  readonly size: number;
  /** From where, in the order in which it is tried. */
  readonly stream?: { readonly name: string; readonly fileId: number };
  readonly url?: string;
  /** Signature over the whole file; `afr_ota` demands one. */
  readonly signature?: {
    /** Name of a certificate that this host has. Trust is never taken from a job. */
    readonly certificate: string;
    readonly keyType: "ecdsa" | "rsa";
    readonly bytes: Uint8Array;
  };
  /** SHA-256 of the file, hex; plain jobs demand one. */
  readonly sha256?: string;
  /** Image number, where the job says it. */
  readonly image?: number;
}

/** AWS IoT's limit for a file of a stream. */
const MOST_BYTES = 24 << 20;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads a job document. Undefined: it is some other program's job, which is left alone.
 *
 * @param document - JSON as AWS IoT gave it, not believed yet
 * @returns the update that it orders
 * @throws AwsError `job-rejected` for a job of ours that must not be carried out
 */
export function readAwsJob(document: unknown): AwsJob | undefined {
  const { afr_ota: ota, bootproof: plain } = fields(document) ?? {};
  if (ota !== undefined) return readOta(fields(ota) ?? {});
  if (plain !== undefined) return readPlain(fields(plain) ?? {});
  return undefined;
}

/** How a file is described in a job that is to be made. */
export interface AwsJobSpec extends Omit<AwsJob, "signature"> {
  readonly signature?: {
    readonly certificate: string;
    readonly keyType: "ecdsa" | "rsa";
    /** Base64; a shell variable's place while it is not made yet. */
    readonly text: string;
  };
  /** What stands in the document for `url`: the service puts a link there. Default: `url` itself. */
  readonly urlText?: string;
}

/**
 * Writes the document of a job. It is read as the agent reads it before it is given back.
 *
 * @param job - the update that it orders
 * @returns the document, to be made JSON
 * @throws AwsError `job-rejected` when the agent would refuse such a job
 */
export function awsJobDocument(job: AwsJobSpec): Record<string, unknown> {
  const written = (spec: AwsJobSpec) => (spec.kind === "afr_ota" ? otaDocument(spec) : plainDocument(spec));
  const { urlText: _, ...sample } = job;
  // A signature that is still to be made counts as any other.
  readAwsJob(written({ ...sample, ...(job.signature && { signature: { ...job.signature, text: "AAAA" } }) }));
  return written(job);
}

function otaDocument({ size, stream, url, urlText = url, signature }: AwsJobSpec): Record<string, unknown> {
  const file = {
    filepath: "/app.bin",
    filesize: size,
    fileid: stream?.fileId ?? 0,
    ...(signature && {
      certfile: signature.certificate,
      [`sig-sha256-${signature.keyType}`]: signature.text,
    }),
    ...(urlText !== undefined && { update_data_url: urlText, auth_scheme: "aws.s3.presigned" }),
  };
  return {
    afr_ota: {
      protocols: [...(stream ? ["MQTT"] : []), ...(urlText === undefined ? [] : ["HTTP"])],
      ...(stream && { streamname: stream.name }),
      files: [file],
    },
  };
}

function plainDocument(job: AwsJobSpec): Record<string, unknown> {
  const { size, sha256, stream, url, urlText = url, image } = job;
  return {
    bootproof: {
      size,
      sha256,
      ...(stream && { stream: stream.name, fileId: stream.fileId }),
      ...(urlText !== undefined && { url: urlText }),
      ...(image !== undefined && { image }),
    },
  };
}

function readOta({ protocols, streamname, files }: Fields): AwsJob {
  if (!Array.isArray(files) || files.length !== 1)
    throw rejected(`The job has ${Array.isArray(files) ? files.length : "no"} files; a board takes one.`);
  const file = fields(files[0]) ?? {};
  const size = sizeOf(file.filesize);
  const names = Object.keys(file).filter((name) => name.startsWith("sig-"));
  const name = names.find((one) => /^sig-sha256-(?:ecdsa|rsa)$/.test(one));
  if (name === undefined)
    throw rejected(
      names.length > 0
        ? `The file is signed by ${names.join(", ")}, which is not trusted; sig-sha256-ecdsa or sig-sha256-rsa is.`
        : "The file has no signature.",
    );
  const certificate = textOf(file.certfile, "certfile");
  const ways = Array.isArray(protocols) ? protocols : [];
  const byStream = ways.includes("MQTT") && typeof streamname === "string";
  const url = ways.includes("HTTP") ? urlOf(file.update_data_url) : undefined;
  if (!byStream && url === undefined)
    throw rejected("The job names neither a stream nor an HTTPS address for its file.");
  const fileId = file.fileid;
  if (byStream && !(Number.isInteger(fileId) && (fileId as number) >= 0 && (fileId as number) <= 255))
    throw rejected("The file's number in the stream is missing.");
  return {
    kind: "afr_ota",
    size,
    signature: {
      certificate,
      keyType: name.endsWith("rsa") ? "rsa" : "ecdsa",
      bytes: base64(textOf(file[name], name)),
    },
    ...(byStream && { stream: { name: topicPart(streamname), fileId: fileId as number } }),
    ...(url !== undefined && { url }),
  };
}

function readPlain({ url, stream, fileId = 0, size, sha256, image }: Fields): AwsJob {
  const digest = textOf(sha256, "sha256").toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(digest)) throw rejected("sha256 is not 64 hex digits.");
  if (image !== undefined && !(Number.isInteger(image) && (image as number) >= 0 && (image as number) <= 255))
    throw rejected("image is not an image number.");
  if (stream === undefined && url === undefined) throw rejected("The job names neither stream nor url.");
  if (!(Number.isInteger(fileId) && (fileId as number) >= 0 && (fileId as number) <= 255))
    throw rejected("fileId is not a number from 0 to 255.");
  const address = urlOf(url);
  return {
    kind: "bootproof",
    size: sizeOf(size),
    sha256: digest,
    ...(typeof stream === "string" && { stream: { name: topicPart(stream), fileId: fileId as number } }),
    ...(address !== undefined && { url: address }),
    ...(image !== undefined && { image: image as number }),
  };
}

/** Names become parts of topics: no separator, no wildcard. */
function topicPart(name: string): string {
  if (/^[\w-]{1,128}$/.test(name)) return name;
  throw rejected("The stream's name is not one.");
}

function sizeOf(value: unknown): number {
  if (Number.isInteger(value) && (value as number) > 0 && (value as number) <= MOST_BYTES)
    return value as number;
  throw rejected(`The file's size is missing or not between 1 and ${MOST_BYTES} bytes.`);
}

function urlOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^https:\/\//i.test(value)) return value;
  throw rejected("The file's address is not an https:// address.");
}

function textOf(value: unknown, name: string): string {
  if (typeof value === "string" && value !== "" && value.length <= 4096) return value;
  throw rejected(`${name} is missing.`);
}

function base64(text: string): Uint8Array {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw rejected("The signature is not base64.");
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function fields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function rejected(message: string): AwsError {
  return new AwsError("job-rejected", message, {
    hint: "Nothing was sent to the board. Make the job again.",
  });
}
