import type { Command } from "commander";
import { passphraseHelp } from "../secrets.js";
import { several } from "../several.js";
import { wholeNumber } from "../verb-context.js";

/** Options that name a signer: a key's file, a program, or a security module. */
export function signerOptions(command: Command): Command {
  const seconds = wholeNumber("--signer-timeout", { min: 1, max: 86_400 });
  return command
    .option("-k, --key <pem>", "sign with this private key")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--public-key <pem>", "the public key of a signer elsewhere; its signature is checked with it")
    .option("--signer-command <program>", "let a program sign: one JSON line in, one out")
    .option("--signer-arg <word>", "an argument for that program (repeatable)", several)
    .option("--key-ref <name>", "that program's name for the key")
    .option("--signer-timeout <seconds>", "how long it may take (default 60)", seconds)
    .option("--pkcs11-module <library>", "let a security module sign, through its PKCS#11 library")
    .option("--pkcs11-token <label>", "which token")
    .option("--pkcs11-key <label>", "which key, by its label")
    .option("--pkcs11-id <hex>", "which key, by its id")
    .option("--pkcs11-allow-extractable", "accept a key that can be extracted from the module")
    .option("--pin-file <file>", "a file whose first line is the PIN (else BOOTPROOF_PIN, else asked for)");
}
