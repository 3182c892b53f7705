import { toHex } from "../../bytes.js";
import type { Key } from "../../crypto/keys.js";
import { keySigner } from "../../crypto/signer.js";
import { resignImage } from "../../mcuboot/resign.js";
import { acceptance, type Named, rotationStages, whoSigned } from "../../mcuboot/rotation.js";
import { verifyImage } from "../../mcuboot/verify.js";
import type { AddVerb } from "../add-verb.js";
import { writeOutput } from "../files.js";
import { readImageFile } from "../firmware-file.js";
import { type Output, printable, table, tone } from "../output.js";
import { warnIfPublished } from "../published-key.js";
import { passphraseHelp, readKey, readPrivateKey } from "../secrets.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, inContext } from "../verb-context.js";

interface RotateOptions extends CommonOptions {
  key?: string | string[];
  old?: string;
  new?: string;
  add?: boolean;
  decryptKey?: string;
  publicKeyFormat?: string;
  passphraseFile?: string;
  force?: boolean;
}

/** Verbs for the day on which one key follows another. */
export function defineRotation(verb: AddVerb): void {
  verb("which <image...>", "show which of some keys signed which images")
    .option("--key <file>", "a key, private or public (repeatable)", several)
    .option("--passphrase-file <file>", passphraseHelp)
    .action((files: string[], options: RotateOptions) =>
      inContext(options, ({ out }) => which(files, options, out)),
    );

  verb(
    "rotation <image...>",
    "show which images start on boards that trust the old key, both keys, or the new one",
  )
    .requiredOption("--old <file>", "the key that boards trust now")
    .requiredOption("--new <file>", "the key that replaces it")
    .option("--passphrase-file <file>", passphraseHelp)
    .action((files: string[], options: RotateOptions) =>
      inContext(options, ({ out }) => rotation(files, options, out)),
    );

  verb("resign <image> <output>", "sign an image again, or with another key; its content does not change")
    .requiredOption("-k, --key <pem>", "the private key")
    .option("--add", "keep the existing signatures, so that boards with either key start it")
    .option("--decrypt-key <pem>", "private key of an encrypted image")
    .option("--public-key-format <format>", "hash or full: how the image names the key", "hash")
    .option("--passphrase-file <file>", passphraseHelp)
    .option("--force", "replace the output file if it exists")
    .action((file: string, target: string, options: RotateOptions) =>
      inContext(options, ({ out }) => resign(file, target, options, out)),
    );
}

async function which(files: readonly string[], options: RotateOptions, out: Output): Promise<void> {
  const names = [options.key ?? []].flat();
  if (names.length === 0)
    throw new UsageError("Name the keys that may have signed: --key FILE, once for each.");
  const keys = await Promise.all(names.map(async (name) => ({ name, value: await readKey(name, options) })));
  for (const { value } of keys) warnIfPublished(value, out);
  const found = await whoSigned(images(files), keys);
  const rows = found.map(({ image, signedBy, unknown, problem }) => [
    printable(image),
    signedBy.length > 0 ? signedBy.map(printable).join(", ") : tone("warn", "none of them"),
    [
      ...unknown.map((hash) => `names key ${toHex(hash).slice(0, 16)}`),
      ...(problem ? [printable(problem)] : []),
    ].join("; "),
  ]);
  out.result(found, table(["IMAGE", "SIGNED BY", "ALSO"], rows));
}

async function rotation(files: readonly string[], options: RotateOptions, out: Output): Promise<void> {
  const [old, next] = [await readKey(options.old!, options), await readKey(options.new!, options)];
  for (const key of [old, next]) warnIfPublished(key, out);
  if (old.type !== next.type)
    out.note(
      `Note: ${old.type} and ${next.type}: a bootloader checks signatures of one type only, so that no board has both keys.`,
    );
  const stages = rotationStages(old, next);
  const found = await acceptance(images(files), stages);
  const rows = found.map(({ image, accepted }) => [
    printable(image),
    ...accepted.map((yes) => (yes ? tone("good", "starts") : tone("bad", "refused"))),
  ]);
  const result = found.map(({ image, accepted }) => ({
    image,
    ...Object.fromEntries(stages.map(({ name }, index) => [name, accepted[index]])),
  }));
  out.result(result, table(["IMAGE", ...stages.map(({ name }) => name)], rows));
}

async function resign(file: string, target: string, options: RotateOptions, out: Output): Promise<void> {
  const { publicKeyFormat = "hash" } = options;
  if (publicKeyFormat !== "hash" && publicKeyFormat !== "full")
    throw new UsageError(`--public-key-format ${publicKeyFormat}: it is hash or full.`);
  const key = await readPrivateKey(String(options.key), options);
  warnIfPublished(key, out);
  const decryptionKey =
    options.decryptKey === undefined ? undefined : await readPrivateKey(options.decryptKey, options);
  const bytes = await resignImage(readImageFile(file).bytes, keySigner(key), {
    add: options.add ?? false,
    publicKeyFormat,
    ...(decryptionKey && { decryptionKey }),
  });
  await mustVerify(bytes, key, decryptionKey);
  writeOutput(target, bytes, { overwrite: options.force ?? false });
  const keyHash = toHex(key.keyHash);
  out.result(
    { file: target, bytes: bytes.length, key: { type: key.type, hash: keyHash } },
    `${target}: ${bytes.length} bytes, signed with ${key.type} key ${keyHash.slice(0, 16)}`,
  );
}

/** The image that is about to be written, as a board with this key would look at it. */
async function mustVerify(bytes: Uint8Array, key: Key, decryptionKey: Key | undefined): Promise<void> {
  const verdict = await verifyImage(bytes, { keys: [key], ...(decryptionKey && { decryptionKey }) });
  const failed = verdict.checks.find(({ result }) => result === "fail");
  if (failed)
    throw new UsageError(`The image would not start with this signature either: ${failed.sentence}`);
}

function images(files: readonly string[]): Named<Uint8Array>[] {
  return files.map((name) => ({ name, value: readImageFile(name).bytes }));
}
