import { execFileSync, spawnSync } from "node:child_process";
import { createRequire } from "node:module";

/** Programs that tests run, and the Debian packages that bring them. */
const needed: readonly (readonly [program: string, debianPackage: string])[] = [
  ["qemu-system-arm", "qemu-system-arm"],
  ["socat", "socat"],
  ["chromium", "chromium"],
  ["ser2net", "ser2net"],
  ["stm32flash", "stm32flash"],
  ["softhsm2-util", "softhsm2"],
  ["xz", "xz-utils"],
];

/**
 * Judges that nobody here wrote, from PyPI: imgtool checks our images, smpclient speaks to our board, labgrid lends one
 * out.
 */
const peers: readonly (readonly [program: string, pypiPackage: string])[] = [
  ["imgtool", "imgtool"],
  ["smpmgr", "smpmgr"],
  ["labgrid-client", "labgrid"],
];

const isThere = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;

/** Vitest global set-up: installs what is missing where that is possible, else says the exact command. */
export default function setup(): void {
  const missing = needed.filter(([program]) => !isThere(program)).map(([, debianPackage]) => debianPackage);
  if (missing.length > 0 && !install(missing)) {
    console.warn(
      `\nSome tests will be skipped: ${missing.join(", ")} not installed. To install:\n` +
        `  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing.join(" ")}\n`,
    );
  }
  if (process.env.CI === undefined) return;
  const missingPeers = peers.filter(([program]) => !isThere(program)).map(([, name]) => name);
  if (missingPeers.length > 0)
    spawnSync("pip", ["install", "--quiet", ...missingPeers], { stdio: "inherit" });
  installPkcs11();
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
  if (!isThere("apt-get") || (!asRoot && spawnSync("sudo", ["-n", "true"]).status !== 0)) return false;
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
