/** The SHA-2 family, as far as images and metadata use it. */
export type HashName = "sha256" | "sha384" | "sha512";
