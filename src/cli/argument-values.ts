import { BytesError, fromHex } from "../bytes.js";
import { fromJson, type Json } from "../smp/json.js";
import { type Form, type Kind, ShapeError } from "../smp/schema.js";
import { UsageError } from "./usage-error.js";

/** How a value of each form is written on the command line. Lists are written entry by entry. */
const READERS: Readonly<Record<Form, (word: string) => unknown>> = {
  uint: readInteger,
  int: readInteger,
  text: (word) => word,
  bool: (word) => ({ true: true, on: true, yes: true, false: false, off: false, no: false })[word],
  bytes: readBytes,
  list: readJson,
  map: readJson,
  anything: readAnything,
};

/** What a person writes for a value of this kind: for the help. */
export function describeKind(kind: Kind<unknown>): string {
  const NOTATIONS: Partial<Record<Form, string>> = { bytes: "hex", bool: "true|false", map: "json" };
  return NOTATIONS[kind.form] ?? kind.name;
}

/**
 * The value a word stands for. `what` names the argument.
 *
 * @throws UsageError when it is no value of the kind
 */
export function readWord(kind: Kind<unknown>, word: string, what: string): unknown {
  const value = READERS[kind.form]?.(word);
  try {
    if (value === undefined) throw new ShapeError("wrong-kind", what, kind.name, `"${word}"`);
    return kind.check(value, what, "say");
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new UsageError(
      `${what}: "${word}" is not ${kind.name}.`,
      `Write it as ${NOTATION_HINTS[kind.form] ?? kind.name}.`,
    );
  }
}

const NOTATION_HINTS: Partial<Record<Form, string>> = {
  uint: "12 or 0x0c",
  int: "-12 or 0x0c",
  bool: "true or false",
  bytes: "hex digits, such as cafe01",
  map: 'JSON, such as {"key": 1}; bytes as {"hex": "cafe01"}',
  anything: 'JSON, such as 12, {"key": 1} or "text"; bytes as {"hex": "cafe01"}',
};

/** JSON from the command line as a value to send. Throws UsageError. */
export function readPayload(text: string): unknown {
  const value = readJson(text);
  if (value === undefined)
    throw new UsageError(
      `"${text}" is not JSON.`,
      `Quote it for your shell: '{"key": 1}'; bytes are written {"hex": "cafe01"}.`,
    );
  return value;
}

/** Hex digits, colons and spaces between them allowed. Throws UsageError. */
export function readHex(text: string): Uint8Array {
  const bytes = readBytes(text.replace(/[\s:]/g, ""));
  if (bytes === undefined) throw new UsageError(`"${text}" is not hex.`, "Two digits a byte: a0, or cafe01.");
  return bytes;
}

function readInteger(word: string): number | bigint | undefined {
  const parts = /^(-?)(0x[0-9a-f]+|0b[01]+|0o[0-7]+|\d+)$/i.exec(word);
  if (!parts) return undefined;
  const size = BigInt(parts[2]!);
  const value = parts[1] === "-" ? -size : size;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function readBytes(word: string): Uint8Array | undefined {
  try {
    return fromHex(word);
  } catch (error) {
    if (error instanceof BytesError) return undefined;
    throw error;
  }
}

function readJson(text: string): unknown {
  try {
    return fromJson(JSON.parse(text) as Json);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** JSON when it is some, else the word itself. */
function readAnything(word: string): unknown {
  return readJson(word) ?? word;
}

const TRAILER_KINDS = ["test", "confirmed", "none"] as const;

/** What `--trailer` takes. */
export type TrailerKind = (typeof TRAILER_KINDS)[number];

/** Reads the argument of `--trailer`. */
export function trailerKind(text: string): TrailerKind {
  const kind = TRAILER_KINDS.find((known) => known === text);
  if (kind !== undefined) return kind;
  throw new UsageError(`"${text}" is not a kind of trailer.`, `There are: ${TRAILER_KINDS.join(", ")}.`);
}
