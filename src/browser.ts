/** `bootproof/browser`: images, keys and SMP messages as pure functions, for a page. All cryptography is JavaScript and WebCrypto. */

import { useNoble } from "./crypto/noble.js";

export { BootproofError } from "./errors.js";
export * from "./pure/crypto.js";
export * from "./pure/mcuboot.js";
export * from "./pure/smp.js";

useNoble();
