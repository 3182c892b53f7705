import {
  closeSync,
  type Dirent,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
} from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { toHex } from "../../bytes.js";
import { KeyError } from "../../crypto/key-error.js";
import { type Key, parseKey } from "../../crypto/keys.js";
import { publishedKeyName } from "../../crypto/published-keys.js";
import type { AddVerb } from "../add-verb.js";
import { FileError } from "../files.js";
import { printable, table, tone } from "../output.js";
import { readPolicyFile } from "../policy/policy-options.js";
import { several } from "../several.js";
import { logFolder } from "../state-folders.js";
import { type CommonOptions, type Context, inContext } from "../verb-context.js";
import { clashes, type KeyUse, PURPOSES, readUse, usesIn } from "./lint-uses.js";

interface LintOptions extends CommonOptions {
  use?: string[];
  policy?: string;
  strict?: boolean;
}

/** Something that is wrong with where a key is, or what it is used for. */
interface LintFinding {
  readonly rule: "in-work-tree" | "readable-by-others" | "in-environment" | "published" | "two-purposes";
  readonly severity: "error" | "warning";
  /** A file, the name of a variable, or a key's hash. */
  readonly at: string;
  readonly message: string;
}

export function defineLint(verb: AddVerb): void {
  verb("lint [folder]", "keys where they must not be, and keys used for two purposes; for CI")
    .option(
      "--use <purpose=file>",
      `what a key is for (repeatable): ${PURPOSES.join(", ")}; images, TUF roots, log keys and the policy are read too`,
      several,
    )
    .option(
      "--policy <file>",
      "the policy whose keys count (default: BOOTPROOF_POLICY, else the config file's)",
    )
    .option("--strict", "warnings end with status 49 too")
    .action((folder: string | undefined, options: LintOptions) =>
      inContext(options, (context) => lint(folder ?? ".", options, context)),
    );
}

async function lint(folder: string, options: LintOptions, context: Context): Promise<void> {
  const { out } = context;
  mustBeFolder(folder);
  const findings: LintFinding[] = environmentFindings();
  const uses: KeyUse[] = await namedUses(options, context);
  let files = 0;
  let keys = 0;
  for (const file of walk(folder)) {
    files++;
    const content = readStart(file);
    if (content === undefined) continue;
    const found = await keyIn(file, content);
    if (found) {
      keys++;
      findings.push(...fileFindings(file, found));
    } else uses.push(...(await usesIn(file, content)));
  }
  for (const { hash, uses: all } of clashes(uses))
    findings.push({
      rule: "two-purposes",
      severity: "error",
      at: hash.slice(0, 16),
      message: `One key, several purposes: ${all.map(({ purpose, where }) => `${purpose} (${where})`).join(", ")}.`,
    });
  const isBad = findings.some(({ severity }) => severity === "error" || options.strict);
  const rows = findings.map(({ severity, rule, at, message }) => [
    severity === "error" ? tone("bad", "error") : tone("warn", "warning"),
    rule,
    printable(at),
    printable(message),
  ]);
  const counted = `${files} files, ${keys} keys and ${uses.length} uses of keys checked`;
  out.result(
    { folder, files, keys, findings },
    rows.length === 0
      ? `Nothing found: ${counted}.`
      : `${table(["", "RULE", "WHERE", "WHAT"], rows)}\n${counted}.`,
  );
  if (isBad) process.exitCode = 49;
}

function mustBeFolder(folder: string): void {
  if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new FileError("file-missing", folder, `${folder} is not a folder.`, {
    hint: "Name the folder to search.",
  });
}

/** What the command line, the config file, the policy and this user's audit log say keys are for. */
async function namedUses(options: LintOptions, { config }: Context): Promise<KeyUse[]> {
  const named = (options.use ?? []).map(readUse);
  const own = join(logFolder(), "key.pem");
  const files = [
    ...named.map(({ purpose, file }) => ({ purpose, file, where: file })),
    ...config.keys.map((file) => ({
      purpose: "image" as const,
      file,
      where: `${file}, a key of the config file`,
    })),
    ...(existsSync(own) ? [{ purpose: "audit" as const, file: own, where: own }] : []),
  ];
  const uses = await Promise.all(
    files.map(async ({ purpose, file, where }): Promise<KeyUse[]> => {
      const key = await keyIn(file, readFileSync(file));
      if (key?.hash === undefined)
        throw new FileError("file-unreadable", file, `${file} is not a key whose hash can be read.`, {
          hint: "Name the public half: bootproof keys public KEY FILE writes it.",
        });
      return [{ purpose, hash: key.hash, where }];
    }),
  );
  const policyFile = options.policy ?? (process.env.BOOTPROOF_POLICY || undefined) ?? config.policy;
  if (policyFile === undefined) return uses.flat();
  const { settings } = await readPolicyFile(policyFile);
  const listed = (purpose: KeyUse["purpose"], hashes: readonly string[] = []) =>
    hashes.map((hash) => ({ purpose, hash, where: `${policyFile}` }));
  return [
    ...uses.flat(),
    ...listed("image", settings.keys),
    ...listed("provenance", settings.provenanceKeys),
  ];
}

/** Node's modules and git's own files hold no keys of a product, and are many. */
const PASSED_OVER: ReadonlySet<string> = new Set([".git", "node_modules"]);
const MOST_FILES = 100_000;
const LARGEST_LOOKED_AT = 1 << 20;

/** Regular files below a folder; links are not followed. */
function* walk(folder: string): Generator<string> {
  const waiting = [folder];
  let count = 0;
  while (waiting.length > 0) {
    const at = waiting.pop()!;
    for (const entry of listFolder(at)) {
      const path = join(at, entry.name);
      if (entry.isDirectory() && !PASSED_OVER.has(entry.name)) waiting.push(path);
      else if (entry.isFile() && count++ < MOST_FILES) yield path;
    }
  }
}

function listFolder(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    // A folder that this user may not read holds no key that this user could leak.
    return [];
  }
}

/** The beginning of a file; undefined when it cannot be read. */
function readStart(path: string): Uint8Array | undefined {
  try {
    const file = openSync(path, "r");
    try {
      const buffer = new Uint8Array(Math.min(lstatSync(path).size, LARGEST_LOOKED_AT));
      return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(file);
    }
  } catch {
    // The same as above: nothing that this user could leak.
    return undefined;
  }
}

interface FoundKey {
  readonly isPrivate: boolean;
  readonly isEncrypted: boolean;
  /** Hex; absent for an encrypted key, and for a kind of key that signs no firmware. */
  readonly hash?: string;
  readonly published?: string;
}

const PEM = /-----BEGIN ((?:[A-Z0-9]+ )*)(PRIVATE|PUBLIC) KEY-----/;

/** A key in a file of any name: PEM anywhere in it, or DER in a file that is called so. */
async function keyIn(path: string, content: Uint8Array): Promise<FoundKey | undefined> {
  const text = Buffer.from(content.subarray(0, LARGEST_LOOKED_AT)).toString("latin1");
  const pem = PEM.exec(text);
  const isDer = /\.(der|key|pk8|p8)$/i.test(path) && content[0] === 0x30;
  if (pem === null && !isDer) return undefined;
  try {
    const key = await parseKey(pem === null ? content : text.slice(pem.index));
    return { isPrivate: key.isPrivate, isEncrypted: false, ...about(key) };
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    if (pem === null) return undefined;
    const isEncrypted = ["passphrase-needed", "unsupported-encryption"].includes(error.code);
    return { isPrivate: pem[2] === "PRIVATE", isEncrypted };
  }
}

function about(key: Key): Pick<FoundKey, "hash" | "published"> {
  const published = publishedKeyName(key.keyHash);
  return { hash: toHex(key.keyHash), ...(published !== undefined && { published }) };
}

function fileFindings(file: string, { isPrivate, isEncrypted, published }: FoundKey): LintFinding[] {
  const findings: LintFinding[] = [];
  if (published !== undefined)
    findings.push({
      rule: "published",
      severity: "error",
      at: file,
      message: `MCUboot's development key ${published}: everybody has its private part.`,
    });
  if (!isPrivate) return findings;
  const tree = workTree(file);
  if (tree !== undefined)
    findings.push({
      rule: "in-work-tree",
      severity: isEncrypted ? "warning" : "error",
      at: file,
      message: `A private key${isEncrypted ? ", encrypted," : ""} in the git work tree ${tree}. A key that was ever committed has to be replaced.`,
    });
  const mode = lstatSync(file).mode & 0o777;
  if (process.platform !== "win32" && (mode & 0o044) !== 0)
    findings.push({
      rule: "readable-by-others",
      severity: isEncrypted ? "warning" : "error",
      at: file,
      message: `Mode ${mode.toString(8).padStart(4, "0")}: others on this machine can read it (chmod 600).`,
    });
  return findings;
}

/** The git work tree that a file is in, as a path from here. */
function workTree(file: string): string | undefined {
  for (let at = dirname(resolve(file)); ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return relative(process.cwd(), at) || ".";
    if (dirname(at) === at) return undefined;
  }
}

/** A private key in a variable, plain or in base64. Its value is never shown. */
function environmentFindings(): LintFinding[] {
  return Object.entries(process.env).flatMap(([name, value = ""]): LintFinding[] => {
    const plain = /^LS0tLS1CRUdJ/.test(value.trim())
      ? Buffer.from(value, "base64").toString("latin1")
      : value;
    if (!/-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/.test(plain)) return [];
    return [
      {
        rule: "in-environment",
        severity: "error",
        at: name,
        message:
          "A private key in an environment variable: every program of the job can read it, and logs may show it.",
      },
    ];
  });
}
