import { toHex } from "../../bytes.js";
import { canSign, SIGNATURE_ALGORITHMS } from "../../crypto/algorithms.js";
import { HASHES, type HashName } from "../../crypto/hashes.js";
import { generateKey, type Key, privateDer, toPem } from "../../crypto/keys.js";
import { cArray, cPrivateArray, rustArray } from "../../mcuboot/key-source-code.js";
import type { AddVerb } from "../add-verb.js";
import { writeOutput } from "../files.js";
import type { Output } from "../output.js";
import { publishedKeyFact, warnIfPublished } from "../published-key.js";
import { newPassphrase, passphraseHelp, readKey } from "../secrets.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, inContext } from "../verb-context.js";

const TYPES = ["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "x25519"] as const;

interface KeyFileOptions extends CommonOptions {
  type: string;
  encrypt?: boolean;
  passphraseFile?: string;
  force?: boolean;
  form: string;
  sha: string;
  nameSuffix: string;
  format?: "openssl" | "pkcs8";
  minimal?: boolean;
}

/** Verbs that make key files, show them, and turn them into others. */
export function defineKeyFiles(verb: AddVerb): void {
  verb(
    "generate <pem>",
    "make a new private key; only you can read the file (on Windows, everybody who can read its folder)",
  )
    .option("-t, --type <type>", TYPES.join(", "), "ed25519")
    .option("-e, --encrypt", "encrypt it with a passphrase")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--force", "replace the file if it exists: the old key is lost")
    .action((file: string, options: KeyFileOptions) =>
      inContext(options, ({ out }) => generate(file, options, out)),
    );

  verb("public <key> <file>", "write the public half of a key, for verify and flash or to compile in")
    .option("--form <form>", "pem, raw, c, rust, hash or c-hash", "pem")
    .option("--sha <bits>", "the hash that images with this key carry: 256, 384 or 512", "256")
    .option("--name-suffix <text>", "append this to the names in C and Rust", "")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--force", "replace the file if it exists")
    .action((file: string, target: string, options: KeyFileOptions) =>
      inContext(options, async ({ out }) => {
        const key = await readKey(file, options);
        warnIfPublished(key, out);
        writeOutput(target, await publicForm(key.publicKey, options), { overwrite: options.force ?? false });
        out.result(
          { file: target, ...facts(key.publicKey) },
          `${target}: the public ${key.type} key ${toHex(key.keyHash)}`,
        );
      }),
    );

  verb("private <key> <file>", "write a private key for a bootloader that decrypts, as C to compile in")
    .option("--format <format>", "openssl or pkcs8; default: as the key's type needs")
    .option("--minimal", "only what decryption needs")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--force", "replace the file if it exists")
    .action((file: string, target: string, options: KeyFileOptions) =>
      inContext(options, async ({ out }) => {
        const key = await readKey(file, options);
        warnIfPublished(key, out);
        const { format, minimal = false, force = false } = options;
        if (format !== undefined && format !== "openssl" && format !== "pkcs8")
          throw new UsageError(`There is no format "${format as string}".`, "There are: openssl, pkcs8.");
        const der = privateDer(key, { ...(format && { format }), minimal });
        writeOutput(target, cPrivateArray(der), { overwrite: force, mode: 0o600 });
        out.result(
          { file: target, ...facts(key), bytes: der.length },
          `${target}: the PRIVATE ${key.type} key, ${der.length} bytes`,
        );
      }),
    );

  verb("show <key>", "show type and hashes of a key")
    .option("--passphrase-file <file>", passphraseHelp)
    .action((file: string, options: KeyFileOptions) =>
      inContext(options, async ({ out }) => {
        const key = await readKey(file, options);
        warnIfPublished(key, out);
        out.result(
          { file, ...facts(key) },
          `${file}: ${key.isPrivate ? "private" : "public"} ${key.type} key\nkey hash ${toHex(key.keyHash)}`,
        );
      }),
    );

  verb("hash <key>", "print the hash of a key as images carry it")
    .option(
      "--sha <bits>",
      "the hash that images with this key carry: 256, 384 or 512; default: as the key's type needs",
    )
    .option("--passphrase-file <file>", passphraseHelp)
    .action((file: string, options: KeyFileOptions) =>
      inContext(options, async ({ out }) => {
        const key = await readKey(file, options);
        warnIfPublished(key, out);
        const hash = options.sha === undefined ? usualHash(key) : hashName(options.sha);
        const value = toHex(key.keyHashBy(hash));
        out.result({ file, type: key.type, hash, value }, value);
      }),
    );
}

async function generate(file: string, options: KeyFileOptions, out: Output): Promise<void> {
  const type = TYPES.find((known) => known === options.type);
  if (type === undefined)
    throw new UsageError(`There is no key type "${options.type}".`, `There are: ${TYPES.join(", ")}.`);
  const secret = options.encrypt ? await newPassphrase(options) : undefined;
  const key = await generateKey(type);
  const pem = await toPem(key, "private", secret === undefined ? {} : { passphrase: secret });
  writeOutput(file, pem, { overwrite: options.force ?? false, mode: 0o600 });
  if (process.platform === "win32")
    out.note(
      "On Windows everybody who may read the folder can read this file: keep it in a folder that is yours alone.",
    );
  out.result(
    { file, ...facts(key) },
    `${file}: a new private ${type} key. Keep it away from the build machine.\nkey hash ${toHex(key.keyHash)}`,
  );
}

const FORMS: Readonly<
  Record<string, (key: Key, hash: Uint8Array, suffix: string) => string | Uint8Array | Promise<string>>
> = {
  pem: (key) => toPem(key, "public"),
  raw: (key) => key.publicDer,
  c: (key, _hash, suffix) => cArray(key.type, "pub_key", key.publicDer, suffix),
  rust: (key, _hash, suffix) => rustArray(key.type, key.publicDer, suffix),
  hash: (_key, hash) => hash,
  "c-hash": (key, hash, suffix) => cArray(key.type, "pub_key_hash", hash, suffix),
};

async function publicForm(key: Key, { form, sha, nameSuffix }: KeyFileOptions): Promise<string | Uint8Array> {
  const write = Object.hasOwn(FORMS, form) ? FORMS[form] : undefined;
  if (!write)
    throw new UsageError(`There is no form "${form}".`, `There are: ${Object.keys(FORMS).join(", ")}.`);
  if (!/^\w*$/.test(nameSuffix))
    throw new UsageError(`--name-suffix "${nameSuffix}" cannot be part of a name.`);
  return write(key, key.keyHashBy(hashName(sha)), nameSuffix);
}

function hashName(bits: string): HashName {
  const name = `sha${bits}`;
  if (Object.hasOwn(HASHES, name)) return name as HashName;
  throw new UsageError(`--sha ${bits}: it is 256, 384 or 512.`);
}

/** What images signed with this key carry by default. */
function usualHash({ type }: Key): HashName {
  return canSign(type) ? SIGNATURE_ALGORITHMS[type].hashes[0]! : "sha256";
}

/** What may be said of a key: never its private part. */
function facts(key: Key) {
  return { type: key.type, private: key.isPrivate, keyHash: toHex(key.keyHash), ...publishedKeyFact(key) };
}
