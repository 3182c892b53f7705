import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { generateKey, type Key, parseKey, toPem } from "../../image/keys.js";
import { publishedKeyName } from "../../image/published-keys.js";
import { type CommonOptions, commonOptions, inContext } from "../context.js";
import { UsageError } from "../exit.js";
import { readInput, writeOutput } from "../files.js";
import { newPassphrase, passphraseHelp, readPrivateKey } from "../secrets.js";

const TYPES = ["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "x25519"] as const;

interface GenerateOptions extends CommonOptions {
  type: string;
  encrypt?: boolean;
  passphraseFile?: string;
  force?: boolean;
}

export function define(command: Command): void {
  commonOptions(
    command.command("generate <pem>").description("make a new private key; only you can read the file"),
  )
    .option("-t, --type <type>", TYPES.join(", "), "ed25519")
    .option("-e, --encrypt", "encrypt it with a passphrase")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--force", "replace the file if it is there: the old key is lost")
    .action((file: string, options: GenerateOptions) =>
      inContext(options, async ({ out }) => {
        const type = TYPES.find((known) => known === options.type);
        if (type === undefined)
          throw new UsageError(`There is no key type "${options.type}".`, `There are: ${TYPES.join(", ")}.`);
        const secret = options.encrypt ? await newPassphrase(options) : undefined;
        const key = await generateKey(type);
        const pem = await toPem(key, "private", secret === undefined ? {} : { passphrase: secret });
        writeOutput(file, pem, { overwrite: options.force ?? false, mode: 0o600 });
        out.result(
          { file, ...facts(key) },
          `${file}: a new private ${type} key. Keep it away from the build machine.\nkey hash ${toHex(key.keyHash)}`,
        );
      }),
    );

  commonOptions(
    command.command("public <key> <pem>").description("write the public half of a key, for verify and flash"),
  )
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--force", "replace the file if it is there")
    .action((file: string, target: string, options: GenerateOptions) =>
      inContext(options, async ({ out }) => {
        const key = await readAnyKey(file, options);
        writeOutput(target, await toPem(key, "public"), { overwrite: options.force ?? false });
        out.result(
          { file: target, ...facts(key.publicKey) },
          `${target}: the public ${key.type} key ${toHex(key.keyHash)}`,
        );
      }),
    );

  commonOptions(command.command("show <key>").description("show type and hash of a key"))
    .option("--passphrase-file <file>", passphraseHelp)
    .action((file: string, options: GenerateOptions) =>
      inContext(options, async ({ out }) => {
        const key = await readAnyKey(file, options);
        const published = publishedKeyName(key.keyHash);
        if (published)
          out.note(`WARNING: this is MCUboot's published development key ${published}. Everybody has it.`);
        out.result(
          { file, ...facts(key) },
          `${file}: ${key.isPrivate ? "private" : "public"} ${key.type} key\nkey hash ${toHex(key.keyHash)}`,
        );
      }),
    );
}

async function readAnyKey(file: string, options: GenerateOptions): Promise<Key> {
  const bytes = readInput(file);
  return parseKey(bytes).catch((error: { code?: string }) => {
    if (error.code !== "passphrase-needed") throw error;
    return readPrivateKey(file, options);
  });
}

/** What may be said of a key: never its private part. */
function facts(key: Key) {
  return { type: key.type, private: key.isPrivate, keyHash: toHex(key.keyHash) };
}
