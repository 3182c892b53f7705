import { fromHex } from "../bytes.js";
import { SIGNATURE_ALGORITHMS } from "../crypto/algorithms.js";
import { parseKey, publicKeyOf, publicRawOf, signatureAlgorithmOf } from "../crypto/keys.js";
import { parsePem } from "../crypto/pem.js";
import type { TufKey } from "./metadata-types.js";

/** Salt lengths that signers use: the hash's, which is usual, and the longest that fits, OpenSSL's old default. */
const SALT_LENGTHS = (modulusLength: number) => [32, modulusLength - 34];

const PSS = { name: "RSA-PSS", hash: "SHA-256" } as const;

/**
 * Verifies signatures anywhere, a browser too. Where node:crypto is at hand it is quicker; this is for where it is not.
 * Curves are computed by the provider that is in use.
 *
 * @returns false for keys and schemes that it does not understand
 */
export async function verifyInJavaScript(
  key: TufKey,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const check = Object.hasOwn(SCHEMES, key.scheme) ? SCHEMES[key.scheme] : undefined;
  if (!check) return false;
  try {
    return await check(key, message, signature);
  } catch {
    // A key that is damaged or of another type than its scheme has no good signatures.
    return false;
  }
}

type Check = (key: TufKey, message: Uint8Array, signature: Uint8Array) => Promise<boolean>;

const SCHEMES: Readonly<Record<string, Check>> = {
  ed25519: async (key, range, signature) => {
    const point = (await publicKeyOf({ type: "ed25519", point: fromHex(key.public) })).publicKey;
    return verifyWith("ed25519", publicRawOf(point), range, signature);
  },
  "ecdsa-sha2-nistp256": ecdsa("ecdsa-p256"),
  "ecdsa-sha2-nistp384": ecdsa("ecdsa-p384"),
  "rsassa-pss-sha256": async (key, message, signature) => {
    const spki = parsePem(key.public)[0]!.bytes;
    const imported = await crypto.subtle.importKey("spki", spki, PSS, false, ["verify"]);
    // Exactly as long as the modulus (RFC 8017, 8.1.2): a leading zero that is left out would be a second spelling.
    const { modulusLength } = imported.algorithm as { name: string; modulusLength: number };
    if (modulusLength < 2048 || signature.length !== Math.ceil(modulusLength / 8)) return false;
    for (const saltLength of SALT_LENGTHS(signature.length))
      if (await crypto.subtle.verify({ ...PSS, saltLength }, imported, signature, message)) return true;
    return false;
  },
};

function ecdsa(keyType: "ecdsa-p256" | "ecdsa-p384"): Check {
  return async (key, range, signature) => {
    const parsed = await parseKey(key.public);
    return (
      signatureAlgorithmOf(parsed).keyType === keyType &&
      verifyWith(keyType, publicRawOf(parsed), range, signature)
    );
  };
}

/** These three verify over the message itself: ECDSA hashes it by its curve. */
function verifyWith(
  keyType: "ed25519" | "ecdsa-p256" | "ecdsa-p384",
  publicRaw: Uint8Array,
  range: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  return SIGNATURE_ALGORITHMS[keyType].verify(
    publicRaw,
    { range, digest: new Uint8Array(0), pure: true },
    signature,
  );
}
