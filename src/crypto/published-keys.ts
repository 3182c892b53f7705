import { toHex } from "../bytes.js";

/**
 * MCUboot's development keys, whose private parts everybody can download, by the start of the hash of their public key.
 * A product that trusts one of them is open to everyone.
 */
const PUBLISHED_KEYS: readonly { readonly name: string; readonly hashes: readonly string[] }[] = [
  {
    name: "root-rsa-2048.pem",
    hashes: ["fc5701dc6135e1323847bdc40f04d2e5bee5833b23c29f93593d00018cfa9994"],
  },
  {
    name: "root-rsa-3072.pem",
    hashes: ["449793fb65cd7698753d5b3f35fab15f1e3a45111ff24e1d46741de5ae12d59e"],
  },
  {
    name: "root-ec-p256.pem",
    hashes: ["e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6"],
  },
  {
    name: "root-ec-p384.pem",
    // Its images carry SHA-384 of the key: the second one, of which the beginning is enough.
    hashes: ["6bcd1e16d80e5fe13a5307e6f1de8344c7e50e537d9962ce35ef6db5e642fae8", "85b7bd5f5dff9a03"],
  },
  {
    name: "root-ed25519.pem",
    hashes: ["c1907fa4eac7fae3840a78902b6f0710b037e9968e5c6274a12a28790c7d4e3c", "e3e129b49f1218e1"],
  },
  {
    name: "root-ed25519-2.pem",
    hashes: ["6754edab1e29affef4a05935adecbeb1a7b8b62397b31e39a61b5bfcaafd63af"],
  },
  {
    name: "root-ed25519-unknown.pem",
    hashes: ["b1d87d60173352b9a4808979790fc699fb4c4f83b49cf1970edd96ff4adc36a6"],
  },
];

/**
 * The file name of the published development key with this key hash; undefined for any other key.
 *
 * @param keyHash - SHA-256 of the public key's DER, 32 bytes
 * @returns like `root-rsa-2048.pem`
 */
export function publishedKeyName(keyHash: Uint8Array): string | undefined {
  const hash = toHex(keyHash);
  return PUBLISHED_KEYS.find(({ hashes }) => hashes.some((known) => hash.startsWith(known)))?.name;
}
