import { BytesError, fromHex, toHex } from "../bytes.js";

/** A value of JSON. Bytes appear as `{ "hex": "…" }`, integers beyond 2^53 as text. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * A decoded payload as JSON.
 *
 * @param value - as decoded from CBOR
 * @returns bytes as `{"hex": "..."}`, big integers as text
 */
export function toJson(value: unknown): Json {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (value instanceof Uint8Array) return { hex: toHex(value) };
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toJson(entry)]));
  }
  return String(value);
}

/**
 * JSON as a value to encode: the way back of {@link toJson} for maps, lists, text, numbers, booleans and bytes.
 *
 * @param value - JSON
 * @returns `{"hex": "..."}` becomes bytes
 */
export function fromJson(value: Json): unknown {
  if (Array.isArray(value)) return value.map((entry: Json) => fromJson(entry));
  if (typeof value !== "object" || value === null) return value;
  return (
    bytesIn(value as { readonly [key: string]: Json }) ??
    Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, fromJson(entry as Json)]))
  );
}

/** A map with the one key `hex` is bytes, when what stands there can be read as such. */
function bytesIn(map: { readonly [key: string]: Json }): Uint8Array | undefined {
  const { hex, ...others } = map;
  if (typeof hex !== "string" || Object.keys(others).length > 0) return undefined;
  try {
    return fromHex(hex);
  } catch (error) {
    if (error instanceof BytesError) return undefined;
    throw error;
  }
}
