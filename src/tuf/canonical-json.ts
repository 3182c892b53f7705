import { TufError } from "./error.js";

/** What JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
/** A JSON object. */
export type JsonObject = { readonly [name: string]: Json };

/** Metadata nests a handful of levels; custom fields may add some. */
const MAX_DEPTH = 64;

/**
 * Reads JSON text in UTF-8. Numbers must be whole and exact, text must be well formed: anything else has no canonical
 * form and cannot be signed.
 *
 * @param bytes - as they came
 * @param what - whose text it is, for the error
 * @returns plain values
 * @throws TufError `bad-metadata`
 */
export function parseJson(bytes: Uint8Array, what: string): Json {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Json;
  } catch (cause) {
    throw new TufError("bad-metadata", what, `${what} is not JSON in UTF-8: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

/**
 * Canonical JSON in the OLPC dialect, which TUF signs: keys sorted by code point, no white space, whole numbers only,
 * and in strings only `"` and `\` escaped. A line feed stays as it is, so the result is not always JSON.
 *
 * Source: TUF specification, section 4.1; http://wiki.laptop.org/go/Canonical_JSON
 *
 * @param value - JSON
 * @returns bytes in UTF-8
 * @throws TufError `bad-metadata` for what has no canonical form
 */
export function canonicalJson(value: Json): Uint8Array {
  const parts: string[] = [];
  append(parts, value, 0);
  return new TextEncoder().encode(parts.join(""));
}

function append(parts: string[], value: Json, depth: number): void {
  if (depth > MAX_DEPTH) throw noForm(`it is nested deeper than ${MAX_DEPTH} levels`);
  if (typeof value === "string") parts.push(quoted(value));
  else if (typeof value === "number") parts.push(wholeNumber(value));
  else if (typeof value === "boolean" || value === null) parts.push(String(value));
  else if (isList(value)) appendList(parts, value, depth);
  else appendObject(parts, value, depth);
}

function appendList(parts: string[], list: readonly Json[], depth: number): void {
  parts.push("[");
  list.forEach((item, index) => {
    if (index > 0) parts.push(",");
    append(parts, item, depth + 1);
  });
  parts.push("]");
}

function appendObject(parts: string[], object: JsonObject, depth: number): void {
  parts.push("{");
  Object.keys(object)
    .sort(byCodePoint)
    .forEach((name, index) => {
      parts.push(index > 0 ? "," : "", quoted(name), ":");
      append(parts, object[name]!, depth + 1);
    });
  parts.push("}");
}

function quoted(text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw noForm("a text contains half of a surrogate pair");
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function wholeNumber(value: number): string {
  if (!Number.isSafeInteger(value))
    throw noForm(`the number ${value} is not whole, or too large to be exact`);
  // Minus zero is written as zero.
  return String(value + 0);
}

/** As UTF-8 sorts. JavaScript compares UTF-16 units, which puts pairs of surrogates before U+E000 to U+FFFF. */
function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    if (a[at] === b[at]) continue;
    return rank(a.charCodeAt(at)) - rank(b.charCodeAt(at));
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** `Array.isArray` that knows of lists which are read only. */
export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/**
 * Is this JSON an object, and neither a list nor null?
 *
 * @param value - JSON
 * @returns true narrows its type
 */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !isList(value);
}

function noForm(why: string): TufError {
  return new TufError("bad-metadata", "metadata", `This has no canonical form that could be signed: ${why}.`);
}
