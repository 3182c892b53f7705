import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";
import { program, root } from "./cli-build.js";
import { canRunHere, runHere } from "./cli-in-process.js";
import { perFile } from "./per-file.js";

export interface Ended {
  /** Exit status; absent when a signal ended it. */
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** A program and its words that start ours, such as `setpriv ... --`. */
  through?: readonly string[];
}

/** The program under way. It is killed when the test ends. */
export interface Running {
  readonly child: ChildProcess;
  /** What was said on stdout and stderr so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves when either says what the pattern looks for; fails when the program ends without. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>;
  ended: Promise<Ended>;
}

/** Where the program finds no settings and may leave what it remembers. */
const home = perFile(
  () => {
    const folder = mkdtempSync(join(tmpdir(), "bootproof-home-"));
    // A test may run the program as somebody else, who must be able to look into it.
    chmodSync(folder, 0o755);
    return folder;
  },
  (folder) => rmSync(folder, { recursive: true, force: true }),
);

/** Nothing of the machine's own settings reaches the program. */
const cleanEnv = (): Record<string, string> => ({ PATH: process.env.PATH ?? "", HOME: home() });

/** Starts the built program as a user would. */
export function start(words: readonly string[], options: RunOptions = {}): Running {
  const { env = {}, cwd = root, through = [] } = options;
  const [file, ...args] = [...through, process.execPath, program, ...words];
  const child = spawn(file!, args, {
    cwd,
    env: { ...cleanEnv(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  const listeners = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
      for (const listener of listeners) listener();
    });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, ...said }));
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return {
    child,
    ended,
    get stdout() {
      return said.stdout;
    },
    get stderr() {
      return said.stderr;
    },
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(said.stdout) ?? pattern.exec(said.stderr);
          if (found) resolve(found);
        };
        listeners.add(look);
        look();
        void ended.then(() => reject(new Error(`it ended without saying ${pattern}:\n${said.stderr}`)));
      }),
  };
}

/** Would a process of its own do nothing else? */
const isSameHere = (words: readonly string[], { env = {}, cwd = root, through }: RunOptions): boolean =>
  through === undefined && resolve(cwd) === process.cwd() && canRunHere(words, env);

/** Runs the built program to its end, outside a test too; in this process where that is the same (cli-in-process.ts). */
export function runOnce(
  words: readonly string[],
  { env = {}, cwd = root }: Omit<RunOptions, "through"> = {},
): Promise<Ended> {
  if (isSameHere(words, { env, cwd })) return runHere(words, { ...cleanEnv(), ...env });
  const child = spawn(process.execPath, [program, ...words], {
    cwd,
    env: { ...cleanEnv(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, ...said }));
  });
}

/** Runs the built program to its end, in this process where that is the same (cli-in-process.ts). */
export function bootproof(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return isSameHere(words, options) ? runOnce(words, options) : start(words, options).ended;
}

/** Runs it with `--json`; what it printed, which must be one JSON value and nothing else. */
export async function json(words: readonly string[], options: RunOptions = {}) {
  const { status, stdout, stderr } = await bootproof([...words, "--json"], options);
  try {
    return { status, value: JSON.parse(stdout) as Record<string, unknown>, stderr };
  } catch (cause) {
    throw new Error(`no JSON on stdout: ${stdout}\nstderr: ${stderr}`, { cause });
  }
}

/** An empty folder for the length of the test. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A throw-away private key of the fixtures. */
export const keyFile = (name: string): string => join(root, `firmware-fixtures/keys/throwaway-${name}.pem`);

const body = (id: string): string => join(root, `firmware-fixtures/prebuilt/app-${id}.wasm`);

/** Words that sign a fixture for the `good` wasm board. */
export const signWords = (id: string, target: string, version = "2.0.0", counter = 2): string[] => [
  ..."sign --pad-header -S 0x20000 --align 4 -M 32 -v".split(" "),
  version,
  "-s",
  `${counter}`,
  "-k",
  keyFile("ed25519-1"),
  body(id),
  target,
];

export interface Bench {
  folder: string;
  image: string;
  publicKey: string;
}

/** A signed update and the public key that it is checked with, made by the program itself. */
export async function signedUpdate(id = "good-b"): Promise<Bench> {
  const folder = tempFolder();
  const image = join(folder, "update.bin");
  const publicKey = join(folder, "public.pem");
  await bootproof(signWords(id, image));
  await bootproof(["keys", "public", keyFile("ed25519-1"), publicKey]);
  return { folder, image, publicKey };
}
