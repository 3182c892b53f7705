import { createDecipheriv } from "node:crypto";
import { tripleDesWith } from "../crypto/cbc.js";

/** From here on OpenSSL opens key files that are encrypted with 3DES, which WebCrypto cannot. */
export function decipherNatively(): void {
  tripleDesWith((key, iv, ciphertext) => {
    const decipher = createDecipheriv("des-ede3-cbc", key, iv);
    return new Uint8Array(Buffer.concat([decipher.update(ciphertext), decipher.final()]));
  });
}
