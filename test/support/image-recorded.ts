import { createHash } from "node:crypto";
import { concat, fromHex } from "../../src/bytes.js";

/** One piece of a recorded image: bytes, a filled stretch, or a stretch of a SHA-256 stream. */
export type Part =
  | readonly ["h", hex: string]
  | readonly ["f", byte: number, count: number]
  | readonly ["s", seed: string, offset: number, length: number];

/** Puts a recorded image together and checks it. */
export function buildRecorded(parts: readonly Part[], sha256: string): Uint8Array {
  const bytes = concat(...parts.map(partBytes));
  const found = createHash("sha256").update(bytes).digest("hex");
  if (!found.startsWith(sha256)) throw new Error(`built ${found}, recorded ${sha256}`);
  return bytes;
}

function partBytes(part: Part): Uint8Array {
  if (part[0] === "h") return fromHex(part[1]);
  if (part[0] === "f") return new Uint8Array(part[2]).fill(part[1]);
  return stream(part[1], part[2], part[3]);
}

/** SHA-256("seed:0") SHA-256("seed:1") ..., from `offset`. */
function stream(seed: string, offset: number, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  const first = Math.floor(offset / 32);
  for (let block = first; block * 32 < offset + length; block++)
    blocks.push(createHash("sha256").update(`${seed}:${block}`).digest());
  return concat(...blocks).subarray(offset - first * 32, offset - first * 32 + length);
}
