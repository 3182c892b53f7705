// The installed program begins here, behind parts.cjs. What V8 compiles of a part in one run is kept for the next ones, in a
// folder of this user's cache that belongs to this user and that nobody else may write. NODE_DISABLE_COMPILE_CACHE does
// without, as with Node's own cache of that kind.
/* global constants, loaderOf, readFileSync, withoutWarningOfImports, dirname, join */
const { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } = require("node:fs");
const { homedir } = require("node:os");
const { isAbsolute } = require("node:path");

/** A hash of the parts: another build has another cache. Filled in when they are built. */
const BUILD = "BUILD";
const STALE_MS = 30 * 24 * 3600 * 1000;

const lookAt = (path) => {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
};

/** Where the cache is, whether it is there or not; undefined for a user without a home, and below whatever folder this is. */
function cachePlace() {
  try {
    const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
    if (!isAbsolute(base)) return undefined;
    return join(base, "bootproof", `compiled-${BUILD}-${process.version}-${process.arch}`);
  } catch {
    return undefined;
  }
}

const nameOf = (part) => part.slice(__dirname.length + 1).replace(/[/\\]/g, "-");

/** Windows keeps a user's folders from others by itself. */
const isOurs = (found) => process.geteuid === undefined || found.uid === process.geteuid();
const isSafe = (found) =>
  found.isDirectory() && isOurs(found) && (process.platform === "win32" || (found.mode & 0o022) === 0);

/** Makes a folder, and those above it, if it is to be in one of this user's. Throws where it cannot be made. */
function makeOurs(folder) {
  const found = lookAt(folder);
  if (found) return isOurs(found);
  const above = dirname(folder);
  if (above === folder || !makeOurs(above)) return false;
  mkdirSync(folder, { mode: 0o700 });
  return true;
}

/** What an earlier version or another Node left, and nobody has used for long. */
function removeStale(place) {
  const all = dirname(place);
  for (const name of readdirSync(all)) {
    const folder = join(all, name);
    if (!name.startsWith("compiled-") || folder === place) continue;
    if (Date.now() - lstatSync(folder).mtimeMs > STALE_MS) rmSync(folder, { recursive: true, force: true });
  }
}

/** Whole files only: another run may read them meanwhile. Whatever cannot be written is compiled again the next time. */
function keep(place, scripts) {
  try {
    const isNew = lookAt(place) === undefined;
    if (!makeOurs(place) || !isSafe(lstatSync(place))) return;
    for (const [file, script] of scripts) {
      const target = join(place, nameOf(file));
      const data = script.createCachedData();
      writeFileSync(`${target}.${process.pid}`, Buffer.concat([data, data]), { mode: 0o600 });
      renameSync(`${target}.${process.pid}`, target);
    }
    if (isNew) removeStale(place);
  } catch {
    // A read-only home, a full disk.
  }
}

/**
 * What is kept of a part. V8 looks at no more than the beginning, and ends the process where the rest is damaged: so it is kept
 * twice, and counts when both are the same.
 */
function kept(place, part) {
  try {
    const twice = readFileSync(join(place, nameOf(part)));
    const once = twice.subarray(0, twice.length / 2);
    return once.equals(twice.subarray(once.length)) ? once : undefined;
  } catch {
    return undefined;
  }
}

/** Loads the program; the cache is read and kept where there may be one. */
function start(file) {
  const place = process.env.NODE_DISABLE_COMPILE_CACHE ? undefined : cachePlace();
  const found = place && lookAt(place);
  const isUsed = found !== undefined && isSafe(found);
  // With other flags V8 refuses what it compiled without: each kind of run would replace the other's.
  const isUsual = process.execArgv.length === 0 && !process.env.NODE_OPTIONS;
  const fresh = new Map();
  const load = loaderOf(__dirname, {
    cacheOf: (part) => (isUsed ? kept(place, part) : undefined),
    onScript(part, script) {
      if (script.cachedDataRejected !== false) fresh.set(part, script);
    },
  });
  if (place !== undefined && isUsual && (isUsed || found === undefined))
    process.on("exit", () => fresh.size > 0 && keep(place, fresh));
  load(file);
}

const program = join(__dirname, "program.js");
// A Node that is too old is told so by the program.
if (constants === undefined) require(program);
else {
  withoutWarningOfImports();
  start(program);
}
