/** Environment variables that hold secrets of this program, and what a child process gets instead of all of them. */

/** Passphrase of an encrypted private key. */
export const PASSPHRASE_VARIABLE = "BOOTPROOF_PASSPHRASE";
/** PIN of a PKCS#11 token. */
export const PIN_VARIABLE = "BOOTPROOF_PIN";

/** What others have to say first on a bridge. */
export const TOKEN_VARIABLE = "BOOTPROOF_TOKEN";

const SECRET = /^BOOTPROOF_(.*_)?(PASSPHRASE|PASSWORD|PIN|TOKEN|SECRET)(_.*)?$/i;

/** What is in the secret variables of the environment: text that must not appear anywhere. */
export function secretValues(): string[] {
  return Object.entries(process.env).flatMap(([name, value]) => (SECRET.test(name) && value ? [value] : []));
}

/**
 * The environment for programs that are started: without what is only for this one.
 *
 * @returns this process's variables but for passphrases, PINs and tokens
 */
export function environmentWithoutSecrets(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !SECRET.test(name)));
}
