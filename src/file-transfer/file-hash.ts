import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { equal, toHex } from "../bytes.js";
import type { Client } from "../client/client.js";
import { fsHash } from "../smp/groups/fs.js";
import { DeviceError } from "../smp/message.js";

/** How a file on the device was compared with the bytes here. */
export type FileProof =
  /** By a hash or checksum that the device computed. */
  | "sha256"
  | "crc32"
  /** By reading it back. */
  | "read-back"
  /** Not at all: the device can neither hash nor send it. */
  | "nothing";

/** Computing blocks the device for as long as it takes, so the one question is given time and not repeated. */
const HASH_TIMEOUT_MS = 60_000;

interface LocalHash {
  readonly type: "sha256" | "crc32";
  /** True when what the device answered is this hash of `bytes`. */
  matches(bytes: Uint8Array, output: unknown): boolean;
}

/** The strongest first. */
const HASHES: readonly LocalHash[] = [
  {
    type: "sha256",
    matches: (bytes, output) => output instanceof Uint8Array && equal(output, sha256Of(bytes)),
  },
  // IEEE; a number in Zephyr, bytes where a vendor's list of types says so.
  { type: "crc32", matches: (bytes, output) => numberOf(output) === crc32(bytes) },
];

/**
 * SHA-256 of a whole file.
 *
 * @param bytes - of the file
 * @returns 32 bytes
 */
export function sha256Of(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

/**
 * Does the file `name` on the device begin with `bytes`? Undefined when the device cannot tell. `by` says which hash it
 * used. An empty file has no hash: ask for its size. Throws what `send` throws, but no DeviceError.
 */
export async function beginsWith(
  client: Client,
  name: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<{ by: "sha256" | "crc32"; same: boolean } | undefined> {
  for (const hash of HASHES) {
    try {
      const request = { name, type: hash.type, off: 0, len: bytes.length };
      const answer = await client.send(fsHash, request, {
        signal,
        timeoutMs: HASH_TIMEOUT_MS,
        retries: 0,
      });
      // A shorter file is hashed as far as it goes.
      const same = answer.len === bytes.length && hash.matches(bytes, answer.output);
      return { by: hash.type, same };
    } catch (error) {
      // This type, or hashing at all, is not built in; old servers give other codes for the same.
      if (!(error instanceof DeviceError)) throw error;
    }
  }
  return undefined;
}

/**
 * A hash as the device answered it, in hex.
 *
 * @param output - bytes, or a number for a CRC-32
 * @returns lower-case hex; a CRC with all eight digits
 */
export function hashText(output: unknown): string {
  if (output instanceof Uint8Array) return toHex(output);
  return typeof output === "number" ? output.toString(16).padStart(8, "0") : String(output);
}

function numberOf(output: unknown): number | undefined {
  if (typeof output === "number") return output;
  if (!(output instanceof Uint8Array) || output.length !== 4) return undefined;
  return new DataView(output.buffer, output.byteOffset, 4).getUint32(0);
}
