import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseImage } from "../../src/mcuboot/image.js";
import type { RealServer } from "./real-servers.js";

/**
 * The image that a real server runs, as another version: the version in its header changed, its hash made anew. Those
 * bootloaders check the hash and no signature.
 */
export function otherVersion(server: RealServer, major: number): Uint8Array {
  const name = server.artifact.replace(/(\.merged)?\.hex$/, ".signed.bin");
  const bytes = new Uint8Array(readFileSync(join(process.env.BOOTPROOF_REAL_SERVERS ?? "", name)));
  bytes[20] = major;
  const { hashedRange, imageHash } = parseImage(bytes);
  imageHash!.value.set(createHash("sha256").update(hashedRange).digest());
  return bytes;
}
