import { BootproofError } from "../errors.js";

export type JsonErrorCode =
  /** Not JSON, not UTF-8, or too long. */
  | "bad-json"
  /** A key stands twice in an object: readers take different ones of the two values. */
  | "repeated-key"
  /** Nested too deep. */
  | "json-too-deep";

/** JSON that cannot be used. */
export class JsonError extends BootproofError {
  declare readonly code: JsonErrorCode;
}

export interface StrictJsonOptions {
  /** Longest text, bytes. */
  readonly maxLength?: number;
  readonly maxDepth?: number;
}

/**
 * Parses JSON (RFC 8259) of which there is only one reading: UTF-8 without errors, no key twice, bounded in length and
 * depth. Throws {@link JsonError}.
 */
export function parseStrictJson(bytes: Uint8Array, options: StrictJsonOptions = {}): unknown {
  const { maxLength = 1024 * 1024, maxDepth = 32 } = options;
  if (bytes.length > maxLength)
    throw new JsonError("bad-json", `JSON of ${bytes.length} bytes; ${maxLength} are allowed.`);
  const text = decode(bytes);
  mustBePlain(text, maxDepth);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JsonError("bad-json", `Not JSON: ${(cause as Error).message}`, { cause });
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new JsonError("bad-json", "Not JSON: the text is not UTF-8.", { cause });
  }
}

/** Strings and the marks that nest; all else is left to the parser. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs;

/** Walks the marks: depth, and keys that stand twice. What is no JSON at all may pass here; the parser refuses it. */
function mustBePlain(text: string, maxDepth: number): void {
  const open: (Set<string> | undefined)[] = [];
  let last: string | undefined;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":" && last?.startsWith('"')) note(open.at(-1), last);
    if (open.length > maxDepth)
      throw new JsonError("json-too-deep", `JSON is nested deeper than ${maxDepth} levels.`);
    last = token;
  }
}

function note(keys: Set<string> | undefined, token: string): void {
  let key: unknown;
  try {
    key = JSON.parse(token);
  } catch {
    // A broken escape: the parser says so in a moment.
    return;
  }
  if (keys?.has(String(key)))
    throw new JsonError("repeated-key", `The key ${token.slice(0, 80)} occurs twice in one object.`);
  keys?.add(String(key));
}
