import { EnvelopeError } from "./dsse.js";

/** in-toto statements, version 1: what is said of artifacts that are named by their digests. */

export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
/** Type of the payload of an envelope that carries one. */
export const IN_TOTO = "application/vnd.in-toto+json";
/** How firmware was built. */
export const SLSA_PROVENANCE = "https://slsa.dev/provenance/v1";
/** Results of tests, here of `prove`. */
export const TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1";

export interface Subject {
  readonly name?: string;
  /** Algorithm -> digest in hex. Subjects are matched by digest only. */
  readonly digest: Readonly<Record<string, string>>;
}

export interface Statement {
  readonly _type: typeof STATEMENT_TYPE;
  readonly subject: readonly Subject[];
  readonly predicateType: string;
  readonly predicate: Readonly<Record<string, unknown>>;
}

/**
 * The payload of an envelope of type {@link IN_TOTO}: a statement as JSON, UTF-8.
 *
 * @param subject - files and their digests in hex
 * @param predicateType - a URI
 * @param predicate - its fields
 * @returns JSON in UTF-8, in-toto Statement v1
 */
export function formatStatement(
  subject: readonly Subject[],
  predicateType: string,
  predicate: Readonly<Record<string, unknown>>,
): Uint8Array {
  const statement: Statement = { _type: STATEMENT_TYPE, subject, predicateType, predicate };
  return new TextEncoder().encode(JSON.stringify(statement));
}

const MOST_SUBJECTS = 1000;

/**
 * Reads the payload of an envelope of type {@link IN_TOTO}.
 *
 * @param payload - JSON in UTF-8
 * @returns subjects, predicate type and predicate
 * @throws EnvelopeError `wrong-content`
 */
export function parseStatement(payload: Uint8Array): Statement {
  const wrong = (why: string, cause?: unknown) =>
    new EnvelopeError("wrong-content", `The envelope contains no in-toto statement: ${why}.`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch (cause) {
    throw wrong("it is not JSON in UTF-8", cause);
  }
  if (!isObject(value)) throw wrong("it is not an object");
  const { _type, subject, predicateType, predicate } = value;
  if (_type !== STATEMENT_TYPE) throw wrong("it is of another type or version");
  if (typeof predicateType !== "string" || !isObject(predicate)) throw wrong("it has no predicate");
  if (!Array.isArray(subject) || subject.length === 0 || subject.length > MOST_SUBJECTS)
    throw wrong("it has no list of subjects");
  const isSubject = (one: unknown): one is Subject =>
    isObject(one) &&
    (one.name === undefined || typeof one.name === "string") &&
    isObject(one.digest) &&
    Object.values(one.digest).every((digest) => typeof digest === "string");
  if (!subject.every(isSubject)) throw wrong("a subject of it has no digests");
  return { _type, subject, predicateType, predicate };
}

/**
 * True when a subject has this SHA-256.
 *
 * @param statement - by {@link parseStatement}
 * @param sha256 - lower-case hex
 * @returns false when no subject has it
 */
export function names({ subject }: Statement, sha256: string): boolean {
  return subject.some(({ digest }) => digest.sha256?.toLowerCase() === sha256);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
