import type { Command } from "commander";
import { several } from "../several.js";
import { type ChosenSigner, openSigner, type SigningOptions, wayOf } from "../signing/choose.js";
import { UsageError } from "../usage-error.js";

/** Where a statement goes, and who signs it: the options of a verb that has keys of its own beside. */
export interface AttestOptions {
  attest?: string;
  attestKey?: string;
  attestPassphraseFile?: string;
  attestPublicKey?: string;
  attestSignerCommand?: string;
  attestSignerArg?: string[];
  attestKeyRef?: string;
  attestPkcs11Module?: string;
  attestPkcs11Token?: string;
  attestPkcs11Key?: string;
  attestPkcs11Id?: string;
  attestPinFile?: string;
}

/** Adds `--attest` and the signers that may sign. */
export function attestOptions(command: Command, what: string): Command {
  return command
    .option(
      "--attest <file>",
      `write a signed in-toto statement of ${what} (DSSE), {board} in its name for several boards; needs one of the signers below`,
    )
    .option("--attest-key <file>", "the private key that signs it")
    .option("--attest-passphrase-file <file>", "a file whose first line is that key's passphrase")
    .option("--attest-signer-command <program>", "let a program sign it: one JSON line in, one out")
    .option("--attest-signer-arg <word>", "an argument for that program (repeatable)", several)
    .option("--attest-key-ref <name>", "that program's name for the key")
    .option("--attest-public-key <file>", "the public key that must verify the program's signature")
    .option("--attest-pkcs11-module <library>", "let a security module sign it, through its PKCS#11 library")
    .option("--attest-pkcs11-token <label>", "which token")
    .option("--attest-pkcs11-key <label>", "which key, by its label")
    .option("--attest-pkcs11-id <hex>", "which key, by its id")
    .option(
      "--attest-pin-file <file>",
      "a file whose first line is the PIN (else BOOTPROOF_PIN, else asked for)",
    );
}

/**
 * The signer that the command line names, opened before a board is touched: a key that cannot sign is found out first.
 * Undefined where no statement is asked for.
 *
 * @throws UsageError, KeyError, SignerError
 */
export async function attestSigner(
  options: AttestOptions,
  signal: AbortSignal,
): Promise<ChosenSigner | undefined> {
  const signing: SigningOptions = defined({
    key: options.attestKey,
    passphraseFile: options.attestPassphraseFile,
    publicKey: options.attestPublicKey,
    signerCommand: options.attestSignerCommand,
    signerArg: options.attestSignerArg,
    keyRef: options.attestKeyRef,
    pkcs11Module: options.attestPkcs11Module,
    pkcs11Token: options.attestPkcs11Token,
    pkcs11Key: options.attestPkcs11Key,
    pkcs11Id: options.attestPkcs11Id,
    pinFile: options.attestPinFile,
  });
  const hasSigner = [options.attestKey, options.attestSignerCommand, options.attestPkcs11Module].some(
    (one) => one !== undefined,
  );
  if ((options.attest === undefined) === hasSigner)
    throw new UsageError(
      "--attest FILE needs a signer, and a signer needs --attest FILE.",
      "Signers: --attest-key FILE, --attest-signer-command PROGRAM, --attest-pkcs11-module LIBRARY.",
    );
  if (options.attest === undefined) return undefined;
  const way = wayOf(signing, ["key", "signerCommand", "pkcs11Module"]);
  return openSigner(way, signing, { signal, context: { purpose: "attestation" } });
}

function defined<T extends object>(fields: { readonly [Name in keyof T]: T[Name] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
