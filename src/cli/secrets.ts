import { readFileSync } from "node:fs";
import { PASSPHRASE_VARIABLE } from "../child-environment.js";
import { KeyError } from "../crypto/key-error.js";
import { type Key, parseKey } from "../crypto/keys.js";
import { FileError, readAs } from "./files.js";
import { decipherNatively } from "./native-ciphers.js";
import { UsageError } from "./usage-error.js";

/** Where a passphrase may come from. Never the command line: other users can read that. */
export interface PassphraseOptions {
  passphraseFile?: string;
}

export const passphraseHelp = `a file whose first line is the key's passphrase (else ${PASSPHRASE_VARIABLE}, else asked for)`;

/** A key that can sign. Asks for its passphrase when it is encrypted. Throws `KeyError`. */
export async function readPrivateKey(path: string, options: PassphraseOptions): Promise<Key> {
  const key = await readKey(path, options);
  if (key.isPrivate) return key;
  throw new KeyError("no-private-part", `${path} holds only the public part of a key; it cannot sign.`, {
    hint: "Name the private key file; public keys are for verify and flash.",
  });
}

/** A key, private or public. Asks for its passphrase when it is encrypted. Throws `KeyError`. */
export function readKey(path: string, options: PassphraseOptions): Promise<Key> {
  decipherNatively();
  return readAs(path, (file) =>
    parseKey(file).catch(async (error: unknown) => {
      if (!(error instanceof KeyError) || error.code !== "passphrase-needed") throw error;
      return parseKey(file, { passphrase: await passphrase(`Passphrase of ${path}: `, options) });
    }),
  );
}

/** A passphrase from a file, the environment, or a person. */
export async function passphrase(prompt: string, options: PassphraseOptions): Promise<string> {
  return secretText(prompt, {
    file: options.passphraseFile,
    variable: PASSPHRASE_VARIABLE,
    option: "--passphrase-file",
    missing: "The key is encrypted, and there is no terminal to ask for its passphrase.",
  });
}

/** A secret from the first line of a file, else from the environment, else from a person. */
export async function secretText(
  prompt: string,
  from: { file?: string | undefined; variable: string; option: string; missing: string },
): Promise<string> {
  if (from.file !== undefined) return firstLine(from.file);
  const fromEnvironment = process.env[from.variable];
  if (fromEnvironment !== undefined) return fromEnvironment;
  if (process.stdin.isTTY) return ask(prompt);
  throw new UsageError(from.missing, `Set ${from.variable} or name a file with ${from.option}.`);
}

/** Asked twice, so that a slip does not lock a new key for ever. */
export async function newPassphrase(options: PassphraseOptions): Promise<string> {
  const first = await passphrase("New passphrase: ", options);
  const asked = options.passphraseFile === undefined && process.env[PASSPHRASE_VARIABLE] === undefined;
  if (asked && (await ask("The same again: ")) !== first)
    throw new UsageError("The two passphrases differ; no key was written.");
  if (first === "") throw new UsageError("An empty passphrase protects nothing; no key was written.");
  return first;
}

function firstLine(path: string): string {
  try {
    // Editors of Windows put a byte order mark in front, which is no part of a passphrase.
    return (
      readFileSync(path, "utf8")
        .replace(/^\ufeff/, "")
        .split(/\r?\n/)[0] ?? ""
    );
  } catch (cause) {
    throw new FileError("file-unreadable", path, `Cannot read the file of the passphrase or PIN, ${path}.`, {
      cause,
      hint: "Does it exist, and may you read it?",
    });
  }
}

/** A line from a person; undefined when there is nobody. */
export async function askLine(prompt: string): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  const { createInterface } = await import("node:readline");
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    lines.question(prompt, (answer) => {
      lines.close();
      resolve(answer.trim());
    });
  });
}

async function ask(prompt: string): Promise<string> {
  const [{ createInterface }, { Writable }] = await Promise.all([
    import("node:readline"),
    import("node:stream"),
  ]);
  process.stderr.write(prompt);
  // readline echoes what is typed to its output: there is none.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  return new Promise((resolve, reject) => {
    lines.once("SIGINT", () => {
      lines.close();
      reject(new DOMException("interrupted", "AbortError"));
    });
    lines.question("", (answer) => {
      lines.close();
      process.stderr.write("\n");
      resolve(answer);
    });
  });
}
