import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

/**
 * SMP servers that nobody here wrote: the source distribution of smpclient holds ready-built Zephyr programs (native_sim,
 * QEMU boards with and without MCUboot) for its own tests. Kept in the user's cache; nothing of it is part of this repository.
 */
const PACKAGE = { name: "smpclient", version: "7.3.0" } as const;
const SHA256 = "86aa4bc1c621805d97f449793a4077f049aa88a98a1e916bf59423d072bd2a3b";
const INSIDE = `${PACKAGE.name}-${PACKAGE.version}/tests/fixtures/smp-server`;

/** native_sim programs are 32-bit. The C library asks for libgcc_s when a thread ends, and aborts without it. */
const LIBRARIES = ["libc6:i386", "libgcc-s1:i386"] as const;

const cache = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"),
  "bootproof-tests",
  PACKAGE.version,
);
const servers = join(cache, "servers");
const libraries = join(cache, "i386");

/** The folder with the servers, fetched before or now. Throws with the reason when it cannot be had. */
export function fetchRealServers(): string {
  if (!existsSync(servers)) fetched(servers, fetchPackage);
  if (!existsSync(libraries)) fetched(libraries, fetchLibraries);
  return servers;
}

/** The folder with the servers when it was fetched before. */
export function fetchedRealServers(): string | undefined {
  return existsSync(servers) && existsSync(libraries) ? servers : undefined;
}

/** Made beside its place and moved there whole, so that a fetch that was broken off leaves nothing half done. */
function fetched(place: string, fetch: (into: string, work: string) => void): void {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), "bootproof-fetch-"));
  const beside = mkdtempSync(`${place}.`);
  try {
    fetch(beside, work);
    // Another run of the tests may have been first.
    if (!existsSync(place)) renameSync(beside, place);
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(beside, { recursive: true, force: true });
  }
}

function fetchPackage(into: string, work: string): void {
  const wanted = join(work, "requirements.txt");
  writeFileSync(wanted, `${PACKAGE.name}==${PACKAGE.version} --hash=sha256:${SHA256}\n`);
  run("pip", [
    "download",
    "--quiet",
    "--no-deps",
    "--no-binary",
    ":all:",
    "--require-hashes",
    "-r",
    wanted,
    "-d",
    work,
  ]);
  const archive = join(work, `${PACKAGE.name}-${PACKAGE.version}.tar.gz`);
  const found = createHash("sha256").update(readFileSync(archive)).digest("hex");
  if (found !== SHA256) throw new Error(`${archive} has the sha256 ${found}, not ${SHA256}`);
  run("tar", ["-xzf", archive, "-C", into, `--strip-components=${INSIDE.split("/").length}`, INSIDE]);
}

/** Beside the system's package lists, which know no other architecture, and beside its libraries. */
function fetchLibraries(into: string, work: string): void {
  mkdirSync(join(work, "lists", "partial"), { recursive: true });
  const options = [
    ...["amd64", "i386"].flatMap((name) => ["-o", `APT::Architectures::=${name}`]),
    ...["-o", `Dir::State::lists=${join(work, "lists")}`],
    ...["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="],
  ];
  // One index of many may be out of step on a mirror: what counts is whether the packages can be had.
  spawnSync("apt-get", [...options, "update", "-q"], { stdio: "ignore" });
  run("apt-get", [...options, "download", "-q", ...LIBRARIES], work);
  for (const name of readdirSync(work).filter((file) => file.endsWith(".deb")))
    run("dpkg-deb", ["-x", join(work, name), into]);
}

function run(program: string, words: readonly string[], cwd?: string): SpawnSyncReturns<string> {
  const done = spawnSync(program, words, { encoding: "utf8", ...(cwd && { cwd }) });
  if (done.status === 0) return done;
  const why = done.error?.message ?? done.stderr.trim().split("\n").slice(-3).join("; ");
  throw new Error(`${program} ${words[0]}: ${why}`);
}
