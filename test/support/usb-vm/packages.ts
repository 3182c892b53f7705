import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "./cache.js";

/** What the machine inside needs, Debian's names. Unpacked, never configured. The last four judge our emulation. */
export const GUEST_PACKAGES = [
  "busybox-static",
  "udev",
  "kmod",
  "libc6",
  "libstdc++6",
  "libgcc-s1",
  "libkmod2",
  "liblzma5",
  "libzstd1",
  "libssl3",
  "libudev1",
  "libacl1",
  "libblkid1",
  "libcap2",
  "libselinux1",
  "libpcre2-8-0",
  "zlib1g",
  "libusb-1.0-0",
  "dfu-util",
  "uhubctl",
  "stm32flash",
  "usbip",
] as const;

/** The generic kernel: Debian's cloud kernel has no USB at all. */
const KERNEL_META_PACKAGE = "linux-image-amd64";

const HOST_PROGRAMS: readonly (readonly [program: string, debianPackage: string])[] = [
  ["qemu-system-x86_64", "qemu-system-x86"],
  // The board behind the cable.
  ["qemu-system-arm", "qemu-system-arm"],
  ["mke2fs", "e2fsprogs"],
  ["xz", "xz-utils"],
];

/** Why the virtual machine cannot be had here, or undefined when it can. Installs what is missing where that is possible. */
export function whyNoVirtualMachine(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64")
    return "the USB machine is built from Debian packages for linux-x64";
  const missing = HOST_PROGRAMS.filter(([program]) => !isThere(program)).map(([, name]) => name);
  if (missing.length > 0 && !install(missing))
    return `not installed: sudo apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  return undefined;
}

/** Paths of the .deb files, downloaded if they are not in the cache. Throws with apt's own words when one cannot be had. */
export function downloadPackages(): { kernel: string; guest: string[] } {
  const folder = join(CACHE, "debs");
  mkdirSync(folder, { recursive: true });
  let held = readdirSync(folder);
  const kernel = held.find((file) => isKernel(file)) ?? kernelPackage();
  const missing = [...GUEST_PACKAGES].filter((name) => !held.some((file) => file.startsWith(`${name}_`)));
  if (!kernel.endsWith(".deb")) download(folder, kernel);
  if (missing.length > 0) download(folder, ...missing);
  held = readdirSync(folder);
  const fileOf = (name: string) => join(folder, held.find((file) => file.startsWith(`${name}_`))!);
  return { kernel: join(folder, held.find(isKernel)!), guest: GUEST_PACKAGES.map(fileOf) };
}

const isKernel = (file: string) => /^linux-image-\d.*-amd64_.*\.deb$/.test(file);

/** The meta package follows the newest kernel; its one dependency is the kernel itself. */
function kernelPackage(): string {
  const ask = () =>
    /linux-image-\d\S*-amd64/.exec(
      spawnSync("apt-cache", ["depends", KERNEL_META_PACKAGE], { encoding: "utf8" }).stdout ?? "",
    )?.[0];
  let name = ask();
  if (name === undefined) {
    updateLists();
    name = ask();
  }
  if (name === undefined)
    throw new Error(`apt knows no ${KERNEL_META_PACKAGE}: the USB machine needs Debian's packages`);
  return name;
}

function download(folder: string, ...names: string[]): void {
  const get = () => spawnSync("apt-get", ["download", "-q", ...names], { cwd: folder, encoding: "utf8" });
  let { status, stderr } = get();
  if (status !== 0) {
    updateLists();
    ({ status, stderr } = get());
  }
  if (status !== 0) throw new Error(`apt-get download ${names.join(" ")}: ${stderr.trim()}`);
}

export const isThere = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;

/** Words before a command that needs root, or undefined when this user cannot become root without a question. */
function rootPrefix(): string[] | undefined {
  if (process.getuid?.() === 0) return [];
  return spawnSync("sudo", ["-n", "true"]).status === 0 ? ["sudo", "-n"] : undefined;
}

function updateLists(): void {
  const prefix = rootPrefix();
  if (prefix) asRoot(prefix, "apt-get", "update", "-q");
}

/** False when that needs a question, or does not work; apt-get has said why. */
export function install(packages: readonly string[]): boolean {
  const prefix = rootPrefix();
  if (!prefix || !isThere("apt-get")) return false;
  try {
    asRoot(prefix, "apt-get", "update", "-q");
    asRoot(prefix, "apt-get", "install", "-y", "-q", "--no-install-recommends", ...packages);
    return true;
  } catch {
    // apt-get has said on stderr what went wrong; the reason for skipping names the packages.
    return false;
  }
}

function asRoot(prefix: readonly string[], ...words: string[]): void {
  const [program, ...rest] = [...prefix, ...words];
  execFileSync(program!, rest, { stdio: ["ignore", "ignore", "inherit"] });
}
