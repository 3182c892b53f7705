import type { Command } from "commander";
import type { Key } from "../crypto/keys.js";
import { parseWrappingKey, type WrappingKey } from "../crypto/wrapping-key.js";
import { readInput } from "./files.js";
import { readKey } from "./secrets.js";
import { UsageError } from "./usage-error.js";

export interface DecryptionKeyOptions {
  decryptKey?: string;
  decryptKek?: string;
  passphraseFile?: string;
}

/** Adds `--decrypt-key` and `--decrypt-kek`. */
export function decryptionKeyOptions(command: Command): Command {
  return command
    .option("--decrypt-key <file>", "private key of an encrypted image, to check its digest as well")
    .option(
      "--decrypt-kek <file>",
      "AES key that wraps the content key of an encrypted image: raw or base64",
    );
}

/** What opens an encrypted image; undefined when neither was given. */
export async function readDecryptionKey(
  options: DecryptionKeyOptions,
): Promise<Key | WrappingKey | undefined> {
  const { decryptKey, decryptKek } = options;
  if (decryptKey !== undefined && decryptKek !== undefined)
    throw new UsageError("Decrypt with --decrypt-key or with --decrypt-kek, not with both.");
  if (decryptKek !== undefined) return parseWrappingKey(readInput(decryptKek));
  return decryptKey === undefined ? undefined : readKey(decryptKey, options);
}
