/** Types of keys; RSA by its bits, ECDSA by its curve. */
export type KeyType = "rsa-2048" | "rsa-3072" | "ecdsa-p256" | "ecdsa-p384" | "ed25519" | "x25519";

/** Signing keys: all but X25519, which only agrees on keys. */
export type SigningKeyType = Exclude<KeyType, "x25519">;

/** Keys that are a number and a point. */
export type CurveKeyType = Exclude<KeyType, "rsa-2048" | "rsa-3072">;
export type EcdsaKeyType = "ecdsa-p256" | "ecdsa-p384";
