/** Keys, algorithms and signers at hand, for the entries of Node and of a page. */

export {
  canSign,
  type KeyType,
  type SchemeName,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type SigningKeyType,
} from "../crypto/algorithms.js";
export { type TripleDes, tripleDesWith } from "../crypto/cbc.js";
export type { HashName } from "../crypto/hashes.js";
export { KeyError } from "../crypto/key-error.js";
export { generateKey, Key, parseKey, toPem } from "../crypto/keys.js";
export { publishedKeyName } from "../crypto/published-keys.js";
export { keySigner, type Signer, type SigningRequest } from "../crypto/signer.js";
export { parseWrappingKey, type WrappingKey } from "../crypto/wrapping-key.js";
