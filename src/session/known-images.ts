import { toHex } from "../bytes.js";
import { BootproofError } from "../errors.js";
import { parseImage } from "../mcuboot/image.js";
import { imageVectors } from "../mcuboot/start.js";
import { formatVersion } from "../mcuboot/version.js";

/** An image that may be on a board, to explain what the board itself does not tell. */
export interface KnownImage {
  /** The file that says so. */
  file: string;
  /** The image hash, hex. */
  hash: string;
  version: string;
  securityCounter?: number;
  /** Hash of the key that signed it, hex. */
  keyHash?: string;
  /** Bytes, header to last TLV. */
  size?: number;
  /** Where it starts, on a Cortex-M. */
  vectors?: { readonly stack: number; readonly entry: number };
}

/** A list of known images cannot be read as one. */
export class KnownImagesError extends BootproofError {
  declare readonly code: "bad-known-images";
}

/**
 * What a file at hand says of the image in it.
 *
 * @param file - its name, for messages
 * @param bytes - its content
 * @returns undefined when the image carries no hash
 * @throws `ImageError`
 */
export function knownImage(file: string, bytes: Uint8Array): KnownImage | undefined {
  const image = parseImage(bytes);
  const vectors = imageVectors(image);
  const [key] = image.keyHashes;
  if (image.imageHash === undefined) return undefined;
  return {
    file,
    hash: toHex(image.imageHash.value),
    version: formatVersion(image.header.version),
    ...(image.securityCounter === undefined ? {} : { securityCounter: image.securityCounter }),
    ...(key === undefined ? {} : { keyHash: toHex(key) }),
    size: image.size,
    ...(vectors && { vectors: { stack: vectors.stack, entry: vectors.entry } }),
  };
}

/**
 * What a file says of images: an image file of itself, or a JSON list of what was released, as `[{"hash": "…",
 * "version": "1.2.3", "counter": 4, "key": "…", "size": 45579}]`.
 *
 * @param file - its name, for messages
 * @param bytes - its content
 * @returns hashes in hex, sizes in bytes
 * @throws `ImageError` or {@link KnownImagesError}
 */
export function knownImages(file: string, bytes: Uint8Array): KnownImage[] {
  // No image begins so: its magic's first byte is 0x3d or 0x96.
  const isList = /^\s*\[/.test(new TextDecoder().decode(bytes.subarray(0, 64)));
  if (isList) return readList(file, bytes);
  const image = knownImage(file, bytes);
  return image === undefined ? [] : [image];
}

function readList(file: string, bytes: Uint8Array): KnownImage[] {
  let list: unknown;
  try {
    list = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw wrong(file, `this is not JSON (${(cause as Error).message})`, cause);
  }
  if (!Array.isArray(list)) throw wrong(file, "this is not a list");
  return list.map((entry: unknown, index) => readEntry(file, entry, index));
}

function readEntry(file: string, entry: unknown, index: number): KnownImage {
  const { hash, version, counter, key, size } = (entry ?? {}) as Record<string, unknown>;
  const say = (what: string) => wrong(file, `entry ${index}: ${what}`);
  if (!isHash(hash)) throw say('"hash" is not an image hash: 64, 96 or 128 hex digits');
  if (typeof version !== "string") throw say('"version" is not a text');
  if (counter !== undefined && !(Number.isInteger(counter) && (counter as number) >= 0))
    throw say('"counter" is not a whole number');
  if (key !== undefined && !isHash(key)) throw say('"key" is not a key hash in hex');
  if (size !== undefined && !(Number.isInteger(size) && (size as number) > 0))
    throw say('"size" is not a number of bytes');
  return {
    file,
    hash: hash.toLowerCase(),
    version,
    ...(counter === undefined ? {} : { securityCounter: counter as number }),
    ...(key === undefined ? {} : { keyHash: key.toLowerCase() }),
    ...(size === undefined ? {} : { size: size as number }),
  };
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]+$/i.test(value) && [64, 96, 128].includes(value.length);
}

function wrong(file: string, what: string, cause?: unknown): KnownImagesError {
  return new KnownImagesError("bad-known-images", `${file}: ${what}`, {
    cause,
    hint: 'it is a list: [{"hash": "...", "version": "1.2.3", "counter": 4, "key": "...", "size": 45579}]; counter, key and size are optional',
  });
}
