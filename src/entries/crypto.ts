/** `bootproof/crypto`: keys, signature algorithms, and signers that hold keys elsewhere. */

import { useOpenssl } from "../crypto-node/openssl.js";

export { DER, DerError, der, derBits, derInteger } from "../crypto/der.js";
export { HASHES, sha1 } from "../crypto/hashes.js";
export { isRsa } from "../crypto/key-formats.js";
export { keyFromSecret, privateDer, publicRawOf, secretOf, signatureAlgorithmOf } from "../crypto/keys.js";
export { pairOf, verifySha256 } from "../crypto/pkcs1.js";
export { encodePss } from "../crypto/pss.js";
export { fileSignature, signFile } from "../crypto/sign-file.js";
export { toImageSignature } from "../crypto/signature-encoding.js";
export { keyTypeText, parseVerificationKey, type VerificationKey } from "../crypto/verification-key.js";
export { WrappingKey } from "../crypto/wrapping-key.js";
export * from "../pure/crypto.js";
export { commandSigner } from "../signers/command-signer.js";
export { hasPkcs11js } from "../signers/pkcs11.js";
export { pkcs11Signer } from "../signers/pkcs11-signer.js";
export { SignerError } from "../signers/signer-error.js";

useOpenssl();
