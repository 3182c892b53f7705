import { hkdfSync } from "node:crypto";
import { BootproofError, generateKey, type Key } from "bootproof";
import { keyFromSecret } from "bootproof/crypto";

/** Length of the private number of each curve. RSA keys have no such number: they are made anew each time. */
const SECRET_LENGTHS: Readonly<Partial<Record<Key["type"], number>>> = {
  ed25519: 32,
  x25519: 32,
  "ecdsa-p256": 32,
  "ecdsa-p384": 48,
};

/**
 * A key that nobody trusts. For the same image of the same board it is the same one, so that two runs can be compared; only
 * RSA keys are random.
 */
export async function foreignKeyFor(image: Uint8Array, type: Key["type"], use: string): Promise<Key> {
  const length = SECRET_LENGTHS[type];
  if (length === undefined) return generateKey(type);
  for (let count = 0; ; count++) {
    const info = `bootproof prove ${use} ${type} ${count}`;
    try {
      return keyFromSecret(
        type as Parameters<typeof keyFromSecret>[0],
        new Uint8Array(hkdfSync("sha256", image, "", info, length)),
      );
    } catch (error) {
      // Not a number of this curve, which happens about never: the next one is.
      if (!(error instanceof BootproofError) || error.code !== "broken-key") throw error;
    }
  }
}
