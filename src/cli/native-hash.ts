import { createHash } from "node:crypto";
import { hashWith } from "../image/hashes.js";

/** From here on images are hashed by OpenSSL. */
export function hashNatively(): void {
  hashWith((hash, bytes) => new Uint8Array(createHash(hash).update(bytes).digest()));
}
