import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cachedFolder, keyOf, REPOSITORY, repositoryFile } from "./cache.js";
import { downloadPackages } from "./packages.js";

/** What QEMU boots. */
export interface MachineImage {
  readonly kernel: string;
  readonly initrd: string;
  readonly disk: string;
}

/** Modules that reach the disk; everything else comes from there. */
const BOOT_MODULES = ["virtio_pci", "virtio_blk", "ext4", "crc32c_generic"];
/** Loaded once the disk is there: the line to us, and the USB host controller that QEMU plugs in. */
export const LATER_MODULES = ["virtio_net", "xhci-pci"];

const MODULE_FOLDERS = [
  "drivers/usb",
  "drivers/virtio",
  "drivers/block",
  "drivers/net/virtio_net.ko",
  "drivers/net/net_failover.ko",
  "net/core/failover.ko",
  "fs/configfs",
  "fs/ext4",
  "fs/jbd2",
  "fs/mbcache.ko",
  "crypto/crc32c_generic.ko",
  "lib/crc16.ko",
];

/** udev names ttys, links them by id and loads drivers. Its other rules are for disks, sound and screens. */
const UDEV_RULES = /^(50-udev-default|60-serial|73-special-net-names|80-drivers|60-dfu-util)\.rules$/;

const GUEST_SOURCES = ["test/support/usb-vm/guest/init.sh", "test/support/usb-vm/guest/boot.sh"];
const BUILDERS = ["image.ts", "packages.ts", "cache.ts"].map((name) => `test/support/usb-vm/${name}`);

/** Builds, or finds in the cache, everything that does not change with our own sources. */
export async function machineImage(): Promise<MachineImage> {
  const ingredients = [...BUILDERS, ...GUEST_SOURCES, "package-lock.json"].map(repositoryFile);
  const key = keyOf([process.version, ...ingredients]);
  const folder = await cachedFolder("machine", key, buildMachine);
  const at = (name: string) => join(folder, name);
  return { kernel: at("vmlinux"), initrd: at("initrd"), disk: at("disk.ext4") };
}

async function buildMachine(folder: string): Promise<void> {
  const packages = downloadPackages();
  const root = join(folder, "root");
  mkdirSync(root);
  for (const file of packages.guest) unpack(file, root, []);
  trim(root);
  const version = unpackKernel(packages.kernel, folder, root);
  writeAccounts(root);
  linkBusybox(root);
  installNode(root);
  await writeInitrd(folder, root, version);
  writeDisk(folder, root);
  rmSync(root, { recursive: true });
}

/** Debian's own way of unpacking a package without installing it. No patterns: everything. */
function unpack(file: string, into: string, patterns: readonly string[]): void {
  const only = patterns.length > 0 ? ["--wildcards", ...patterns] : [];
  shell('file=$1; into=$2; shift 2; dpkg-deb --fsys-tarfile "$file" | tar -x -C "$into" "$@"', [
    file,
    into,
    ...only,
  ]);
}

function trim(root: string): void {
  for (const path of ["usr/share", "lib/udev/hwdb.d", "usr/lib/udev/hwdb.d"])
    rmSync(join(root, path), { recursive: true, force: true });
  for (const rules of ["lib/udev/rules.d", "usr/lib/udev/rules.d"].map((path) => join(root, path)))
    for (const name of namesIn(rules)) if (!UDEV_RULES.test(name)) rmSync(join(rules, name));
}

/** The kernel as an uncompressed program, which spares the emulated machine seconds of decompressing; and its modules. */
function unpackKernel(file: string, folder: string, root: string): string {
  const version = /linux-image-([^_]+)_/.exec(file)![1]!;
  const modules = `./lib/modules/${version}`;
  unpack(file, root, [
    `./boot/vmlinuz-${version}`,
    `${modules}/modules.*`,
    ...MODULE_FOLDERS.map((name) => `${modules}/kernel/${name}`),
  ]);
  const compressed = readFileSync(join(root, "boot", `vmlinuz-${version}`));
  const xz = compressed.indexOf(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]));
  if (xz < 0) throw new Error(`the kernel of ${version} is not packed with xz`);
  // The kernel's own loader follows the packed part: xz unpacks all it should, then complains about the rest.
  const vmlinux = join(folder, "vmlinux");
  spawnSync("xz", ["-dc"], {
    input: compressed.subarray(xz),
    stdio: ["pipe", openSync(vmlinux, "w"), "ignore"],
    maxBuffer: 1 << 28,
  });
  if (!readFileSync(vmlinux).subarray(0, 4).equals(Buffer.from("\x7fELF")))
    throw new Error(`the kernel of ${version} could not be unpacked`);
  rmSync(join(root, "boot"), { recursive: true });
  guestProgram(root, "bin/kmod", "depmod", ["-b", root, version]);
  return version;
}

/** Runs a program of the unpacked tree with the tree's own loader and libraries: two C libraries do not mix. */
function guestProgram(root: string, path: string, name: string, args: readonly string[]): void {
  const libraries = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"].map((folder) => join(root, folder));
  const loader = join(libraries[0]!, "ld-linux-x86-64.so.2");
  const words = ["--argv0", name, "--library-path", libraries.join(":"), join(root, path), ...args];
  execFileSync(loader, words, { stdio: ["ignore", "ignore", "inherit"] });
}

const USERS = { root: 0, technician: 1000 };
const GROUPS = "root:0 tty:5 disk:6 lp:7 kmem:15 dialout:20 cdrom:24 tape:26 audio:29 video:44 plugdev:46";
const MORE_GROUPS = "input:101 sgx:102 kvm:103 render:104 technician:1000";

/** udev refuses rules that name groups it cannot find. */
function writeAccounts(root: string): void {
  mkdirSync(join(root, "etc"), { recursive: true });
  const users = Object.entries(USERS).map(([name, id]) => `${name}:x:${id}:${id}::/tmp:/bin/sh\n`);
  writeFileSync(join(root, "etc/passwd"), users.join(""));
  const groups = `${GROUPS} ${MORE_GROUPS}`.split(" ").map((group) => `${group.replace(":", ":x:")}:\n`);
  writeFileSync(join(root, "etc/group"), groups.join(""));
}

/** sh, ls and the rest are one program under many names; what a package brought itself stays. */
function linkBusybox(root: string): void {
  const folder = join(root, "bin");
  const names = execFileSync(join(folder, "busybox"), ["--list"], { encoding: "utf8" }).trim().split("\n");
  const taken = ["bin", "sbin", "usr/bin", "usr/sbin"].flatMap((path) => namesIn(join(root, path)));
  for (const name of names) if (!taken.includes(name)) symlinkSync("busybox", join(folder, name));
}

/** The very node that runs the tests, and the packages that `npm install bootproof` would bring. */
function installNode(root: string): void {
  mkdirSync(join(root, "usr/bin"), { recursive: true });
  copyFileSync(process.execPath, join(root, "usr/bin/node"));
  chmodSync(join(root, "usr/bin/node"), 0o755);
  for (const path of productionPackages())
    cpSync(join(REPOSITORY, path), join(root, "app", path), { recursive: true, filter: isNotForeign });
  writeFileSync(join(root, "app/package.json"), repositoryFile("package.json"));
}

function productionPackages(): string[] {
  const lock = JSON.parse(Buffer.from(repositoryFile("package-lock.json")).toString()) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== "" && dev !== true)
    .map(([path]) => path)
    .filter((path) => namesIn(join(REPOSITORY, path)).length > 0);
}

const isNotForeign = (path: string) => !/prebuilds\/(?!linux-x64)[^/]+$/.test(path);

async function writeInitrd(folder: string, root: string, version: string): Promise<void> {
  const tiny = join(folder, "initrd.d");
  for (const name of ["bin", "proc", "sys", "dev", "root", "modules"])
    mkdirSync(join(tiny, name), { recursive: true });
  copyFileSync(join(root, "bin/busybox"), join(tiny, "bin/busybox"));
  symlinkSync("busybox", join(tiny, "bin/sh"));
  const files = inLoadingOrder(join(root, "lib/modules", version), BOOT_MODULES);
  for (const [index, file] of files.entries())
    copyFileSync(file, join(tiny, "modules", `${String(index).padStart(2, "0")}.ko`));
  copyFileSync(join(REPOSITORY, GUEST_SOURCES[0]!), join(tiny, "init"));
  chmodSync(join(tiny, "init"), 0o755);
  const busybox = join(tiny, "bin/busybox");
  shell('cd "$1" && "$2" find . | "$2" cpio -o -H newc > "$3"', [tiny, busybox, join(folder, "initrd")]);
  rmSync(tiny, { recursive: true });
}

/** Files of these modules and of all they need, each after what it needs. From depmod's own list. */
function inLoadingOrder(folder: string, names: readonly string[]): string[] {
  const rows = readFileSync(join(folder, "modules.dep"), "utf8").trim().split("\n");
  const needs = new Map(
    rows.map((row) => {
      const [file, rest] = row.split(":");
      return [file!, rest!.trim().split(" ").filter(Boolean).reverse()] as const;
    }),
  );
  const wanted = names.map((name) => [...needs.keys()].find((file) => file.endsWith(`/${name}.ko`))!);
  const ordered = wanted.flatMap((file) => [...needs.get(file)!, file]);
  return [...new Set(ordered)].map((file) => join(folder, file));
}

/** mke2fs fills the disk from a folder: no root, no mount. */
function writeDisk(folder: string, root: string): void {
  for (const name of ["proc", "sys", "dev", "run", "tmp", "app", "var"])
    mkdirSync(join(root, name), { recursive: true });
  // The usbip tool keeps its notes there.
  symlinkSync("../run", join(root, "var/run"));
  copyFileSync(join(REPOSITORY, GUEST_SOURCES[1]!), join(root, "boot.sh"));
  chmodSync(join(root, "boot.sh"), 0o755);
  const disk = join(folder, "disk.ext4");
  execFileSync("mke2fs", ["-q", "-t", "ext4", "-O", "^has_journal", "-d", root, disk, "512M"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, PATH: `${process.env.PATH}:/sbin:/usr/sbin` },
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Not there: nothing is in it.
    return [];
  }
}

function shell(script: string, args: readonly string[]): void {
  execFileSync("sh", ["-c", `set -e; ${script}`, "sh", ...args], { stdio: ["ignore", "ignore", "inherit"] });
}
