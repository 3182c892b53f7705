import { canSign, type KeyType, SIGNATURE_ALGORITHMS } from "../../crypto/algorithms.js";
import { generateKey, type Key, parseKey, privateDer, toPem } from "../../crypto/keys.js";
import { cArray, cPrivateArray, rustArray } from "../../mcuboot/key-source-code.js";
import { readInput, writeOutput } from "../files.js";
import { askLine, newPassphrase } from "../secrets.js";
import type { OptionSpec } from "../signing/option-table.js";
import { UsageError } from "../usage-error.js";
import type { Arguments, CommandSpec } from "./arguments.js";
import { ImgtoolFailure } from "./failure.js";
import type { ImgtoolIo } from "./io.js";
import { loadNamedKey } from "./load-key.js";

const TYPES = ["rsa-2048", "rsa-3072", "ecdsa-p256", "ecdsa-p384", "ed25519", "x25519"] as const;

const key: OptionSpec = { name: "key", short: "k", value: "FILE", required: true, help: "the key" };
const output: OptionSpec = { name: "output", short: "o", value: "FILE", help: "instead of stdout" };
const passphraseFile: OptionSpec = {
  name: "passphrase-file",
  value: "FILE",
  help: "passphrase of an encrypted key",
  ours: true,
};
const suffix: OptionSpec = {
  name: "name-suffix",
  value: "SUFFIX",
  help: "append this to the names in C and Rust",
};

export const KEYGEN: CommandSpec = {
  name: "keygen",
  summary: "Generate a private key.",
  operands: [],
  options: [
    { ...key, help: "the file to write" },
    { name: "type", short: "t", value: "TYPE", choices: TYPES, help: "what kind of key" },
    { name: "password", short: "p", help: "protect it with a passphrase" },
    passphraseFile,
    { name: "force", help: "replace the file if it exists: the old key is lost", ours: true },
  ],
};

export const GETPUB: CommandSpec = {
  name: "getpub",
  summary: "Print the public part of a key.",
  operands: [],
  options: [
    key,
    {
      name: "encoding",
      short: "e",
      value: "FORM",
      choices: ["lang-c", "lang-rust", "pem", "raw"],
      help: "how",
    },
    {
      name: "lang",
      short: "l",
      value: "LANGUAGE",
      choices: ["c", "rust"],
      help: "older way to say --encoding",
    },
    suffix,
    output,
    passphraseFile,
  ],
};

export const GETPUBHASH: CommandSpec = {
  name: "getpubhash",
  summary: "Print the SHA-256 of the public part of a key.",
  operands: [],
  options: [
    key,
    { name: "encoding", short: "e", value: "FORM", choices: ["lang-c", "raw"], help: "how" },
    suffix,
    output,
    passphraseFile,
  ],
};

export const GETPRIV: CommandSpec = {
  name: "getpriv",
  summary: "Print a private key for decryption, to be compiled into a bootloader.",
  operands: [],
  options: [
    key,
    { name: "format", short: "f", value: "FORM", choices: ["openssl", "pkcs8"], help: "how" },
    { name: "minimal", help: "only what decryption needs" },
    passphraseFile,
  ],
};

export const KEYINFO: CommandSpec = {
  name: "keyinfo",
  summary: "Print whether a key is private or public.",
  operands: [],
  options: [
    key,
    {
      name: "require",
      value: "KIND",
      choices: ["private", "public"],
      help: "fail unless it is of this kind",
    },
  ],
};

/** Unlike imgtool it leaves a key alone that is already there, and only the owner can read the new one. */
export async function keygen(given: Arguments): Promise<void> {
  const type = (given.text("type") ?? (await askType())) as KeyType;
  const from = given.text("passphrase-file");
  const passphrase = given.flag("password")
    ? await newPassphrase(from === undefined ? {} : { passphraseFile: from })
    : undefined;
  const pem = await toPem(await generateKey(type), "private", passphrase === undefined ? {} : { passphrase });
  writeOutput(given.text("key")!, pem, { overwrite: given.flag("force"), mode: 0o600 });
}

async function askType(): Promise<string> {
  const type = await askLine(`Type (${TYPES.join(", ")}): `);
  if (TYPES.some((known) => known === type)) return type!;
  throw new ImgtoolFailure("Aborted: there is no key type.", `Name one with --type: ${TYPES.join(", ")}.`);
}

export async function getpub(given: Arguments, io: ImgtoolIo): Promise<void> {
  const [encoding, lang] = [given.text("encoding"), given.text("lang")];
  if (encoding !== undefined && lang !== undefined)
    throw new UsageError("Please use only one of `--encoding/-e` or `--lang/-l`.");
  const form = encoding ?? `lang-${lang ?? "c"}`;
  const name = nameSuffix(given, ["pem", "raw"].includes(form), "lang-c and lang-rust");
  const { publicKey } = await loadNamedKey(given, io);
  print(await publicText(publicKey, form, name), given, io);
}

async function publicText(publicKey: Key, form: string, name: string): Promise<string | Uint8Array> {
  const { type, publicDer } = publicKey;
  if (form === "raw") return publicDer;
  if (form === "pem") return toPem(publicKey, "public");
  return form === "lang-rust" ? rustArray(type, publicDer, name) : cArray(type, "pub_key", publicDer, name);
}

export async function getpubhash(given: Arguments, io: ImgtoolIo): Promise<void> {
  const raw = given.text("encoding") === "raw";
  const name = nameSuffix(given, raw, "lang-c");
  const { type, keyHash } = await loadNamedKey(given, io);
  print(raw ? keyHash : cArray(type, "pub_key_hash", keyHash, name), given, io);
  if (canSign(type) && SIGNATURE_ALGORITHMS[type].hashes[0] === "sha384")
    io.err(
      "Note: images signed with a P-384 key carry SHA-384 of it, not this: bootproof keys hash --sha 384.",
    );
}

export async function getpriv(given: Arguments, io: ImgtoolIo): Promise<void> {
  const from = await loadNamedKey(given, io);
  const format = given.text("format") as "openssl" | "pkcs8" | undefined;
  const der = privateDer(from, { ...(format && { format }), minimal: given.flag("minimal") });
  io.out(cPrivateArray(der));
}

export async function keyinfo(given: Arguments, io: ImgtoolIo): Promise<void> {
  const file = given.text("key")!;
  const { isPrivate } = await parseKey(readInput(file)).catch((error: { code?: string }) => {
    if (error.code !== "passphrase-needed") throw error;
    throw new UsageError(
      `Cannot look into ${file}: it is protected with a passphrase, and keyinfo does not ask.`,
    );
  });
  const kind = isPrivate ? "private" : "public";
  io.out(`${kind}\n`);
  const wanted = given.text("require");
  if (wanted !== undefined && wanted !== kind)
    throw new UsageError(`The key ${file} is ${kind}, but a ${wanted} one is required.`);
}

/** It becomes part of a name in C or Rust. */
function nameSuffix(given: Arguments, nameless: boolean, forms: string): string {
  const text = given.text("name-suffix") ?? "";
  if (!/^\w*$/.test(text))
    throw new UsageError(
      `Invalid value for '--name-suffix': "${text}" holds more than letters, digits and _.`,
    );
  if (text !== "" && nameless) throw new UsageError(`--name-suffix goes with ${forms} only.`);
  return text;
}

function print(content: string | Uint8Array, given: Arguments, io: ImgtoolIo): void {
  const file = given.text("output");
  if (file === undefined || file === "") io.out(content);
  else writeOutput(file, content);
}
