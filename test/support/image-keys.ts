import { type Key, parseKey } from "../../src/crypto/keys.js";
import { vectorFile } from "./image-imgtool-args.js";

export const KEY_TYPES = ["rsa-2048", "rsa-3072", "ecdsa-p256", "ecdsa-p384", "ed25519", "x25519"] as const;

/** The throw-away private keys of test/vectors/image/keys, by type. */
export async function throwAwayKeys(): Promise<Record<(typeof KEY_TYPES)[number], Key>> {
  const entries = KEY_TYPES.map(async (type) => [
    type,
    await parseKey(vectorFile(`keys/throw-away-${type}.pem`)),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}
