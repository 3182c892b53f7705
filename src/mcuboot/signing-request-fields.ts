import { SigningRequestError } from "./signing-request-error.js";

type FieldKind = "string" | "number" | "boolean" | "object" | "list";

export const REQUEST_FIELDS: Readonly<Record<string, FieldKind>> = {
  name: "string",
  image: "object",
  "key.type": "string",
  "key.publicKey": "string",
  "key.keyHash": "string",
  scheme: "string",
  "toSign.kind": "string",
  "toSign.hash": "string",
  "toSign.digest": "string",
  "toSign.pure": "boolean",
  "toSign.payload?": "string",
  "image.version": "string",
  "image.securityCounter?": "number",
  "image.headerSize": "number",
  "image.bodySize": "number",
  "image.bodySha256": "string",
  "image.flags": "list",
  "image.loadAddress": "number",
  "image.dependencies": "list",
  "image.vendorId?": "string",
  "image.classId?": "string",
  "image.otherTlvs": "list",
  createdAt: "string",
  nonce: "string",
};

export const RESPONSE_FIELDS: Readonly<Record<string, FieldKind>> = {
  requestSha256: "string",
  digest: "string",
  scheme: "string",
  publicKey: "string",
  signature: "string",
  encoding: "string",
  signedAt: "string",
  signer: "string",
};

/** JSON whose fields are there and of their kinds; what they say is the caller's to judge. */
export function readFields<File>(
  text: string,
  type: string,
  fields: Readonly<Record<string, FieldKind>>,
): File {
  const file = parseObject(text, type);
  if (file.type !== type || file.v !== 1)
    throw bad(
      `This is not a valid ${type} of version 1.`,
      "Is it a request instead of a response, or vice versa?",
    );
  for (const [path, kind] of Object.entries(fields)) {
    const optional = path.endsWith("?");
    const value = path
      .replace("?", "")
      .split(".")
      .reduce<unknown>((inside, name) => fieldOf(inside, name), file);
    if (value === undefined && optional) continue;
    if (!isOf(kind, value))
      throw bad(`The field "${path.replace("?", "")}" of the ${type} is missing or no ${kind}.`);
  }
  return file as File;
}

function isOf(kind: FieldKind, value: unknown): boolean {
  if (kind === "list") return Array.isArray(value) && value.every((item) => typeof item === "string");
  return typeof value === kind && value !== null;
}

function parseObject(text: string, type: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // SyntaxError: said below, without the text it would quote.
  }
  throw bad(`This is not a valid ${type}: not a JSON object.`);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

export function bytesOf(read: () => Uint8Array, wrong: string): Uint8Array {
  try {
    return read();
  } catch {
    // BytesError, with a position in a text that nobody looks at.
    throw bad(`This signing file cannot be used: ${wrong}.`);
  }
}

function bad(message: string, hint?: string): SigningRequestError {
  return new SigningRequestError("bad-signing-file", message, { hint });
}
