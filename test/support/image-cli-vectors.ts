import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concat, fromHex } from "../../src/bytes.js";
import { runImgtool } from "../../src/cli/imgtool/run.js";
import { formatIntelHex } from "../../src/formats/intel-hex.js";
import { payload, vectorFile } from "./image-imgtool-args.js";

/** MessageSize and the first 16 bytes of SHA-256. */
export type Digest = [length: number, sha256: string];

/** What imgtool did: see test/vectors/image/README.md. */
export interface CliRow {
  readonly args: string[];
  readonly exit: number;
  readonly out?: string | Digest;
  readonly files?: Readonly<Record<string, Digest | { readonly length?: number; readonly prefix: Digest }>>;
}

export interface CliVectors {
  readonly made_by: string;
  readonly inputs: Readonly<Record<string, string | [number, string][]>>;
  readonly extra: Readonly<Record<string, string>>;
  readonly rows: readonly CliRow[];
}

export const cliVectors = JSON.parse(vectorFile("imgtool-cli.json")) as CliVectors;

/** What a run of ours did. */
export interface CliRun {
  readonly exit: number;
  readonly out: Uint8Array;
  readonly err: string;
  /** Files that are new or changed. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** Runs imgtool's command line in a fresh folder with the vectors' files; relative names are in it. */
export async function runInFolder(args: readonly string[]): Promise<CliRun> {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-imgtool-"));
  const before = process.cwd();
  try {
    for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
    process.chdir(folder);
    const out: Uint8Array[] = [];
    let err = "";
    const exit = await runImgtool(args, {
      out: (content) => out.push(typeof content === "string" ? new TextEncoder().encode(content) : content),
      err: (text) => {
        err += `${text}\n`;
      },
    });
    return { exit, out: concat(...out), err, files: changedIn(folder) };
  } finally {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  }
}

export function digestOf(bytes: Uint8Array): Digest {
  return [bytes.length, createHash("sha256").update(bytes).digest("hex").slice(0, 32)];
}

function changedIn(folder: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const name of readdirSync(folder).toSorted()) {
    const bytes = new Uint8Array(readFileSync(join(folder, name)));
    const old = files.get(name);
    if (!old || Buffer.compare(old, bytes) !== 0) found.set(name, bytes);
  }
  return found;
}

const files = new Map<string, Uint8Array>([...inputFiles(), ...keyFiles(), ...extraFiles()]);

function inputFiles(): [string, Uint8Array][] {
  return Object.entries(cliVectors.inputs).map(([name, what]) => [
    name,
    typeof what === "string"
      ? payload(what)
      : new TextEncoder().encode(
          formatIntelHex(what.map(([address, source]) => ({ address, bytes: payload(source) }))),
        ),
  ]);
}

function keyFiles(): [string, Uint8Array][] {
  const { keys } = JSON.parse(vectorFile("keys.json")) as {
    keys: { type: string; forms: Record<string, string> }[];
  };
  const forms = { pem: "pkcs8", pub: "spki", enc: "encrypted" } as const;
  return keys.flatMap((key) =>
    Object.entries(forms).map(([suffix, form]): [string, Uint8Array] => [
      `${key.type}.${suffix}`,
      new TextEncoder().encode(key.forms[form]),
    ]),
  );
}

function extraFiles(): [string, Uint8Array][] {
  return [
    ["nonsense.pem", new TextEncoder().encode("not a key\n")],
    ...Object.entries(cliVectors.extra).map(([name, hex]): [string, Uint8Array] => [name, fromHex(hex)]),
  ];
}
