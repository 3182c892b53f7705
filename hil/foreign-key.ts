import { checkPrimeSync, createPrivateKey, hkdfSync } from "node:crypto";
import { BootproofError, type Key, parseKey } from "bootproof";
import { keyFromSecret } from "bootproof/crypto";

/** Length of the private number of each curve. */
const SECRET_LENGTHS: Readonly<Partial<Record<Key["type"], number>>> = {
  ed25519: 32,
  x25519: 32,
  "ecdsa-p256": 32,
  "ecdsa-p384": 48,
};

const RSA_BITS = { "rsa-2048": 2048, "rsa-3072": 3072 } as const;

/** Bytes that depend on image and words alone. */
type Drawn = (words: string, length: number) => Uint8Array;

/** RSA keys take a second. */
const made = new Map<string, Promise<Key> | Key>();

/**
 * A key that nobody trusts. For the same image of the same board it is the same one, so that two runs can be compared.
 * `image`: what is the same of it however often it was signed.
 */
export async function foreignKeyFor(image: Uint8Array, type: Key["type"], use: string): Promise<Key> {
  const name = `bootproof prove ${use} ${type}`;
  const id = `${name} ${Buffer.from(image).toString("base64")}`;
  const drawn: Drawn = (words, length) =>
    new Uint8Array(hkdfSync("sha256", image, "", `${name} ${words}`, length));
  const bits = RSA_BITS[type as keyof typeof RSA_BITS];
  const key = made.get(id) ?? (bits === undefined ? curveKey(type, drawn) : rsaKey(bits, drawn));
  made.set(id, key);
  return key;
}

function curveKey(type: Key["type"], drawn: Drawn): Promise<Key> | Key {
  for (let count = 0; ; count++) {
    try {
      return keyFromSecret(
        type as Parameters<typeof keyFromSecret>[0],
        drawn(`${count}`, SECRET_LENGTHS[type]!),
      );
    } catch (error) {
      // Not a number of this curve, which happens about never: the next one is.
      if (!(error instanceof BootproofError) || error.code !== "broken-key") throw error;
    }
  }
}

const EXPONENT = 65_537n;

/** From two primes that are drawn: OpenSSL makes RSA keys from its own random numbers only. */
function rsaKey(bits: number, drawn: Drawn): Promise<Key> {
  const p = primeFrom(drawn("p", bits / 16));
  const q = primeFrom(drawn("q", bits / 16));
  const d = inverse(EXPONENT, (p - 1n) * (q - 1n));
  const numbers = { n: p * q, e: EXPONENT, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
  const words = Object.entries(numbers).map(([name, number]) => [name, base64url(number)]);
  const key = createPrivateKey({ format: "jwk", key: { kty: "RSA", ...Object.fromEntries(words) } });
  return parseKey(new Uint8Array(key.export({ format: "der", type: "pkcs8" })));
}

/** The next prime from these bytes on that goes with the exponent. Its two highest bits are set: the product has full length. */
function primeFrom(bytes: Uint8Array): bigint {
  const start = bytes.slice();
  start[0]! |= 0xc0;
  start[start.length - 1]! |= 1;
  let candidate = BigInt(`0x${Buffer.from(start).toString("hex")}`);
  while (candidate % EXPONENT === 1n || !checkPrimeSync(candidate)) candidate += 2n;
  return candidate;
}

/** Of a number that has one: the extended algorithm of Euclid. */
function inverse(number: bigint, modulus: bigint): bigint {
  let [rest, next, sum, step] = [modulus, number % modulus, 0n, 1n];
  while (next !== 0n) {
    const times = rest / next;
    [rest, next, sum, step] = [next, rest - times * next, step, sum - times * step];
  }
  return ((sum % modulus) + modulus) % modulus;
}

function base64url(number: bigint): string {
  const hex = number.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex").toString("base64url");
}
