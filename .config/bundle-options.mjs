// What the builds have in common: where the sources are, and which packages stay outside.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = new URL("../", import.meta.url);
export const manifest = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
export const packages = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
/** The path of a file of this repository. */
export const at = (path) => fileURLToPath(new URL(path, root));

/** `./dist/hil/index.js` is made from `hil/index.ts`, all others from `src`. */
export const sourceOf = (built) => at(built.startsWith("hil/") ? `${built}.ts` : `src/${built}.ts`);

/** The public entries: their names, and what they are built into. */
export const exported = Object.entries(manifest.exports).map(([name, { default: file }]) => ({
  name: name.replace(/^\./, manifest.name),
  built: file.replace(/^\.\/dist\/(.*)\.js$/, "$1"),
}));
/** The packages but for some. Node's own modules stay outside anyway. */
export function externalBut(joined) {
  const names = packages.filter((name) => !joined.has(name));
  return [...names.flatMap((name) => [name, new RegExp(`^${name}/`)])];
}

/** What everything is made with. */
export const common = {
  platform: "node",
  checks: { ineffectiveDynamicImport: false },
  external: externalBut(new Set()),
  // The parts name each other by the package's own entries; here all are one program.
  resolve: {
    alias: Object.fromEntries(
      exported
        .toSorted((a, b) => b.name.length - a.name.length)
        .map(({ name, built }) => [name, sourceOf(built)]),
    ),
  },
};

/** Commander runs programs for subcommands that are programs. There are none here, and the module is slow to load. */
export const noPrograms = {
  name: "no-programs",
  resolveId: (name, importer) =>
    name === "node:child_process" && importer?.includes("/commander/") ? "\0no-programs" : undefined,
  load: (id) => (id === "\0no-programs" ? "export {};" : undefined),
};

/** A file of the source and all that it imports without being asked to, which loads with it. */
function loadedWith(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  const imports = readFileSync(file, "utf8").matchAll(
    /^(?:import|export) (?!type )[^;]*? from "(\.[^"]+)\.js";/gms,
  );
  for (const [statement, path] of imports)
    if (!/^\w+ \{\s*(?:type \w+(?: as \w+)?,?\s*)+\}/.test(statement))
      loadedWith(join(dirname(file), `${path}.ts`), found);
  return found;
}

const loaded = (...names) => new Set(names.flatMap((name) => [...loadedWith(sourceOf(name))]));
const files = (...names) => new Set(names.map(sourceOf));
/** What is loaded at once, a file each: first what nearly each run needs, then what speaking to a board does, then more of both. */
const groups = Object.entries({
  run: new Set([
    ...loaded("cli/run", "cli/version", "cli/several", "bytes"),
    ...files("cli/usage-error", "crypto/provider", "crypto-node/openssl"),
  ]),
  // What finds a board among what is plugged in: none of it for one behind a network.
  port: files(
    "boards/address-meant",
    "boards/choose-device",
    "devices/select",
    "profiles/read",
    "session/retry-until-back",
    "transport/linux",
    "transport/list",
    "transport/native-modules",
  ),
  // What uploads and downloads reckon with, and what few questions to a board need.
  pace: files("client/message-size", "client/server-latency", "client/window", "smp/json"),
  board: new Set([
    ...loaded("client/client", "transport/address"),
    ...files(
      "boards/board-identity",
      "boards/config",
      "cli/audit/board-events",
      "cli/board-options",
      "cli/context",
      "cli/link-memory",
      "cli/make-folder",
      "cli/open-board",
      "cli/verb-context",
      "client/connect",
      "session/session",
      "smp/command",
      "smp/framing/raw",
      "smp/groups/os-first",
      "transport/bridge-token",
      "transport/chunk-queue",
      "transport/open-stream",
      "transport/parse-address",
    ),
  ]),
  image: loaded("cli/imgtool/run", "cli/imgtool/verify"),
  sign: loaded("cli/imgtool/sign"),
  log: loaded("cli/audit/open-log"),
  verb: loaded("cli/verb-context"),
  link: loaded("cli/context"),
}).map(([name, members], index) => ({ name, priority: 20 - index, test: (id) => members.has(id) }));

/**
 * A part loads what it names when it first uses it, and not with itself: a verb names much that few of its runs need. Rolldown
 * writes `const require_FILE = require("./FILE.js");` for each, and `require_FILE.export` wherever one is used.
 */
const whenUsed = {
  name: "when-used",
  renderChunk(code) {
    const loads = /^(?:const|let) ((?:require|node)_\w+(?:\$\d+)?) = require\(("[^"]+")\);$/gm;
    const names = [...code.matchAll(loads)].map(([, name]) => name).filter((name) => name !== RUNTIME);
    if (names.length === 0) return plainExports(code);
    const named = `(?<![\\w$]|(?<!\\.\\.)\\.)(${names.map((name) => name.replaceAll("$", "\\$")).join("|")})(?![\\w$])`;
    return plainExports(code)
      .replace(new RegExp(`\\bnew ${named}((?:\\.\\w+)+)`, "g"), "new ($1()$2)")
      .replace(new RegExp(`${named}(?! = require\\(|\\(\\))`, "g"), "$1()")
      .replace(loads, (line, name, file) =>
        name === RUNTIME ? line : `let ${name}$;\nconst ${name} = () => (${name}$ ??= require(${file}));`,
      );
  },
};

/** An export that never changes is a value: rolldown writes six lines with a function for each. */
function plainExports(code) {
  const exported =
    /^Object\.defineProperty\(exports, "(\w+)", \{\s+enumerable: true,\s+get: function ?\(\) \{\s+return ([\w$]+);\s+\}\s+\}\);$/gm;
  return code.replace(exported, (text, name, value) => {
    const word = value.replaceAll("$", "\\$");
    const isConstant = new RegExp(
      `^(?:(?:async )?function\\*? ${word}\\(|const ${word} = |var ${word} = class )`,
      "m",
    );
    return isConstant.test(code) ? `exports.${name} = ${value};` : text;
  });
}

/**
 * What the loader of the parts (parts.cjs) asks for. `import()`: Node 20 has none in code that V8 compiled earlier, so the loader
 * gives each part one. Characters beyond Latin-1: a text with one takes V8 twice the memory and time to read, so they are escapes.
 */
const forLoader = {
  name: "for-loader",
  // Not in renderChunk: rolldown writes some characters out again behind it.
  generateBundle(_, parts) {
    for (const part of Object.values(parts))
      if (part.type === "chunk")
        part.code = part.code
          // CommonJS itself: the machinery of ES modules, and its look at every file's exports, take longer than the package.
          .replace(/\bimport\(("serialport")\)/g, "Promise.resolve().then(() => require($1))")
          .replace(/\bimport\(/g, "nativeImport(")
          .replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  },
};

/** What rolldown itself adds. Each part needs it at once. */
const RUNTIME = "require_rolldown_runtime";

/** How the program is built. `joined`: the packages that become part of it. */
export const programOf = (joined) => ({
  ...common,
  plugins: [noPrograms, whenUsed, forLoader],
  external: externalBut(joined),
  input: { main: sourceOf("cli/main") },
  preserveEntrySignatures: "allow-extension",
  // A command must not load a file for an import that it makes no use of.
  treeshake: { moduleSideEffects: false },
});
/** As CommonJS, in the parts that verbs need. */
export const programOutput = {
  keepNames: true,
  entryFileNames: "[name].js",
  chunkFileNames: "chunks/[name].js",
  format: "cjs",
  comments: { jsdoc: false },
  codeSplitting: { groups, includeDependenciesRecursively: false },
};
